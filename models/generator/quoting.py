"""Quoting: a reply that chooses a sentence of the passages says it as it stands there.

    prompt   <|knowledge|> <|1|> Opening hours: <|2|> We open at nine. <|3|> ... <|user|> When do you open?
    reply    <|2|> We open at nine. [1]

The model chooses by a sentence's mark, and decides after each whether the next one follows. The words between are not
its to choose: a model of this size would sooner or later copy a wrong one, and a price with a wrong digit is worse than
no price. Behind a quotation stands the number of its passage, which is known and need not be remembered.

Knows the tokens of one prompt; knows no model and no request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer
from tokens import END, KNOWLEDGE, MARKS, PASSAGE_NUMBER, knowledge_of, pieces_of, special_id

FIRST_MARK = special_id(MARKS[0])
ALL_MARKS = range(FIRST_MARK, FIRST_MARK + len(MARKS))


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that a mark stands before."""

    blank: tuple[int, ...]  # what parts it from the one before
    words: tuple[int, ...]
    cite: tuple[int, ...]  # the number of its passage, as it is written; none where passages have no numbers


@dataclass(slots=True)
class Quotation:
    """What one reply quotes: let the model choose among `allowed`, and write what `taken` makes of its choice."""

    sentences: dict[int, Sentence]  # by mark
    unsayable: list[int] = field(default_factory=list)  # marks that stand before no sentence: in talk, all of them
    _current: int | None = field(default=None)  # the mark of the sentence that was said last
    _due: deque[int] = field(default_factory=deque)

    @property
    def allowed(self) -> Sequence[int] | None:
        """The tokens of which one must come next; None: any."""
        if self._due:
            return (self._due[0],)
        if self._current is None:
            return None
        following = self._current + 1
        return (special_id(END), following) if following in self.sentences else (special_id(END),)

    def taken(self, token: int) -> int:
        """The token to write, now that the model has chosen this one."""
        if self._due:
            return self._due.popleft()
        if token in self.sentences:
            sentence = self.sentences[token]
            self._due.extend(sentence.words if self._current is None else (*sentence.blank, *sentence.words))
            self._current = token
        elif token == special_id(END) and self._current is not None:
            self._due.extend((*self.sentences[self._current].cite, token))
            return self._due.popleft()
        return token


def quotation(tokenizer: Tokenizer, prompt: Sequence[int], messages: Iterable[tuple[str, str]]) -> Quotation:
    """What a reply to the prompt, which `tokens.prompt_tokens` made of the messages, may quote."""
    passages = knowledge_of(messages)
    if not passages:
        return Quotation({}, [*ALL_MARKS])
    numbers = passage_numbers(passages)
    blanks = frozenset(token for text in (" ", "\n") for token in tokenizer.encode(text, add_special_tokens=False).ids)
    sentences: dict[int, Sentence] = {}
    blank: tuple[int, ...] = ()
    for mark, tokens in marked(prompt):
        words = list(tokens)
        while words and words[-1] in blanks:
            words.pop()
        number = numbers[mark - FIRST_MARK]
        cite = tokenizer.encode(f" [{number}]", add_special_tokens=False).ids if number else []
        if words:
            sentences[mark] = Sentence(blank, tuple(words), tuple(cite))
        blank = tuple(tokens[len(words) :])
    return Quotation(sentences, [mark for mark in ALL_MARKS if mark not in sentences])


def passage_numbers(passages: str) -> list[str | None]:
    """For each piece of the passages, the number that its passage has."""
    numbers: list[str | None] = []
    for line in passages.split("\n") if passages else ():
        found = PASSAGE_NUMBER.match(line)
        numbers += [found[0].strip("[] ") if found else None] * len(pieces_of(line))
    return numbers


def marked(prompt: Sequence[int]) -> list[tuple[int, list[int]]]:
    """The marks of the passages in a prompt, and the tokens behind each, up to the next."""
    if special_id(KNOWLEDGE) not in prompt:
        return []
    begin = list(prompt).index(special_id(KNOWLEDGE))
    end = list(prompt).index(special_id(END), begin)
    found: list[tuple[int, list[int]]] = []
    for token in prompt[begin + 1 : end]:
        if token in ALL_MARKS:
            found.append((token, []))
        elif found:
            found[-1][1].append(token)
    return found[:-1]  # the last mark closes the passages
