"""One question made of another: said otherwise it is the same (1), edited it becomes a different one (0).

Knows English frames, courtesies and contractions, and what makes another question of one: a number, a negation, an
opposite, two names that change places, another of a kind. No pair is kept in the repository.
"""

import itertools
import random
import re
from collections.abc import Callable, Sequence

from pairs import Pair
from wordnet import WordNet

# Said otherwise -------------------------------------------------------------------------------------------------------

_HOW = re.compile(
    r"^how (?:do|can|should|would|could) (?:i|you|we|one) |^how to |^what is the best way to ", re.IGNORECASE
)
_HOW_FORMS = (
    "how do I ",
    "how can I ",
    "How to ",
    "What is the way to ",
    "What is the best way to ",
    "what's the best way to ",
    "Can you tell me how to ",
    "How would I ",
    "How does one ",
    "What are the steps to ",
    "Is there a way to ",
    "i want to know how to ",
    "please tell me how to ",
    "How should I ",
    "what do I have to do to ",
)
_BEFORE = (
    "Can you tell me ",
    "Please tell me ",
    "hi, ",
    "Hello, ",
    "I would like to know ",
    "do you know ",
    "I was wondering, ",
    "Excuse me, ",
)
_AFTER = (" please", " thanks", "??", "", "?", " ?", ".")
_CONTRACTIONS = (
    ("what is", "what's"),
    ("do not", "don't"),
    ("does not", "doesn't"),
    ("i am", "I'm"),
    ("cannot", "can't"),
    ("where is", "where's"),
    ("who is", "who's"),
    ("is not", "isn't"),
    ("did not", "didn't"),
    ("how is", "how's"),
)
_FORMS = [
    (re.compile(form, re.IGNORECASE), others)
    for form, others in (
        (
            r"^what (?:is|are) (?:the |some )?(?:best|good) (.+)$",
            (
                "What are some good {}",
                "Which {} is best?",
                "which are the best {}",
                "What are the best {}",
                "can you suggest good {}",
            ),
        ),
        (
            r"^how long does it take to (.+)$",
            ("How much time does it take to {}", "what time is needed to {}", "How long will it take to {}"),
        ),
        (
            r"^what is the (?:main )?difference between ([\w ]+) and ([\w ]+)\??$",
            (
                "How are {} and {} different?",
                "What's the difference between {1} and {0}?",
                "how do {} and {} differ",
                "What distinguishes {} from {}?",
            ),
        ),
        (r"^where can i find (.+)$", ("Where do I find {}", "where can I get {}", "Where is it possible to find {}")),
        (r"^is it possible to (.+)$", ("Can I {}", "Is there a way to {}", "could one {}")),
        (r"^can i (.+)$", ("Is it possible to {}", "Am I able to {}", "May I {}", "Could I {}")),
        (r"^(?:which|what) (\w+) (was|is|are|were) (.+)$", ("What {1} the {0} that {1} {2}", "which {0} {1} {2}")),
        (r"^who (was|is) (the .+ of .+)$", ("What is the name of {1}", "can you tell me who {0} {1}", "Name {1}")),
        (
            r"^what is the (\w+) of ([^,]+?)\??$",
            ("What's the {0} of {1}?", "What {0} does {1} have?", "Tell me the {0} of {1}", "which is the {0} of {1}"),
        ),
        (
            r"^what are the symptoms of (.+)$",
            ("What are the signs and symptoms of {}", "Which symptoms does {} have", "What are some symptoms of {}"),
        ),
        (
            r"^what are the treatments for (.+)$",
            ("How is {} treated", "What is the treatment for {}", "how to treat {}"),
        ),
        (
            r"^(?:what causes|what are the causes of) (.+)$",
            ("What is the cause of {}", "What are the causes of {}", "Why does {} occur"),
        ),
        (
            r"^how does (?:a |an |the )?(.+?) works?$",
            (
                "How do {} work",
                "Can you explain how {} works",
                "What is the working principle of {}",
                "explain how {} works",
                "In what way does {} work",
            ),
        ),
        (
            r"^(?:what is|what's) (?:a |an |the )?([\w ]{3,30})$",
            (
                "What exactly is {}",
                "What do you mean by {}",
                "What is meant by {}",
                "can you explain what {} is",
                "Define {}",
                "what is the meaning of {}",
                "What does {} mean",
                "tell me what {} is",
            ),
        ),
        (
            r"^when (do|does|did|will|is|are|can) (.+)$",
            (
                "What time {0} {1}",
                "At what time {0} {1}",
                "Can you tell me when {0} {1}",
                "do you know at what time {0} {1}",
            ),
        ),
        (
            r"^what time (do|does|did|will|is|are|can) (.+)$",
            ("When {0} {1}", "at what time {0} {1}", "Could you tell me what time {0} {1}"),
        ),
        (
            r"^do you (?:have|offer) (?:any |a |an )?(.+)$",
            (
                "Are there {}",
                "Is there {}",
                "Do you offer {}",
                "Can I get {}",
                "I want to know if you have {}",
                "do they have {}",
                "Does this place have {}",
                "have you got {}",
            ),
        ),
        (
            r"^(?:is|are) there (?:any |a |an )?(.+)$",
            (
                "Do you have {}",
                "Do you offer {}",
                "Does it have {}",
                "is there a {}",
                "Are there any {}",
                "do they have {}",
            ),
        ),
        (
            r"^how many ([\w ]+?) (?:are there |are )in (.+)$",
            (
                "What is the number of {} in {}",
                "what's the number of {} in {}",
                "How many {1} has {0}",
                "How many {} are in {}",
            ),
        ),
        (
            r"^how many people live in (.+)$",
            ("What is the population of {}", "How large is the population of {}", "How big is the population in {}"),
        ),
        (r"^what is the population of (.+)$", ("How many people live in {}", "How many inhabitants does {} have")),
        (
            r"^how much (?:does|do|is|are) (.+?)(?: cost)?$",
            (
                "What is the price of {}",
                "What does {} cost",
                "How expensive is {}",
                "what's the cost of {}",
                "What do I have to pay for {}",
                "What will {} cost me",
            ),
        ),
        (r"^why (?:is|are) (.+?) (\w+)$", ("What makes {} {}", "What is the reason {} is {}", "how come {} is {}")),
        (
            r"^why (do|does|did) (.+)$",
            ("What is the reason why {1}", "How come {1}", "what makes {1}", "for what reason {0} {1}"),
        ),
        (
            r"^what should i do if (.+?)$",
            ("{}, what do I do", "What do I do when {}", "what can I do if {}", "What if {}", "{}. What should I do"),
        ),
        (
            r"^(?:my|the) (.+?)(?:\.|,) what (?:should|do|can) i do$",
            ("What should I do if my {}", "what do I do when my {}"),
        ),
        (
            r"^who (?:is|was) the (\w+) of (.+)$",
            ("What is the name of the {} of {}", "who's the {} of {}", "Which person is the {} of {}"),
        ),
        (
            r"^which (\w+) (is|was|has|had) (.+)$",
            ("What {0} {1} {2}", "what's the {0} that {1} {2}", "Can you name the {0} that {1} {2}"),
        ),
        (r"^what (\w+) (is|was|has|had|do|does|did) (.+)$", ("Which {0} {1} {2}", "Tell me what {0} {1} {2}")),
        (
            r"^(?:can|could) you (?:please )?(.+)$",
            (
                "Please {}",
                "{}",
                "I need you to {}",
                "would you {}",
                "I want you to {}",
                "could you {} please",
                "Will you {}",
                "i would like you to {}",
            ),
        ),
        (
            r"^i (?:want|need|would like|wish) to (.+)$",
            (
                "I'd like to {}",
                "Can I {}",
                "I need to {}",
                "help me {}",
                "How can I {}",
                "I'm trying to {}",
                "i have to {}",
                "I am looking to {}",
                "assist me to {}",
            ),
        ),
        (
            r"^(?:please )?(?:show|tell|give) me (.+)$",
            (
                "I want {}",
                "Can you show me {}",
                "show {}",
                "let me see {}",
                "I'd like to see {}",
                "May I have {}",
                "could you give me {}",
                "I need {}",
            ),
        ),
        (
            r"^(?:do|does) (.+?) (?:accept|take) (.+)$",
            ("Can I pay with {1} at {0}", "Is {1} accepted by {0}", "does {0} take {1}", "Will {0} accept {1}"),
        ),
        (
            r"^can i pay (?:with|by) (.+)$",
            (
                "Do you accept {}",
                "Do you take {}",
                "Is it possible to pay with {}",
                "Do you accept {} as payment",
                "is {} accepted",
            ),
        ),
        (
            r"^(?:do i|must i) (?:need|have) to (.+)$",
            ("Is it necessary to {}", "Am I required to {}", "Must I {}", "Do I really need to {}"),
        ),
        (
            r"^what (?:do|will) i need (?:to|for) (.+)$",
            (
                "What is needed to {}",
                "What is required to {}",
                "Which things do I need to {}",
                "what are the requirements to {}",
            ),
        ),
        (
            r"^how long (?:is|does|do|will) (.+?)(?: take| last)?$",
            (
                "What is the duration of {}",
                "How much time does {} take",
                "for how long does {} last",
                "How long will {} take",
            ),
        ),
        (r"^how old (?:is|was) (.+)$", ("What is the age of {}", "What age is {}", "tell me the age of {}")),
        (
            r"^how (tall|high|deep|long|wide|heavy|fast) is (.+?)$",
            ("Do you know how {0} {1} is", "Tell me how {0} {1} is"),
        ),
        (
            r"^(is|are) (.+?) (included|allowed|permitted|available|required|free)(.*)$",
            ("Could you tell me whether {1} {0} {2}{3}", "I'd like to know if {1} {0} {2}{3}"),
        ),
        (
            r"^where (?:do|can|could|should) i (.+)$",
            ("Where is the best place to {}", "what is a good place to {}", "In which place can I {}", "where to {}"),
        ),
        (
            r"^who (wrote|invented|discovered|painted|directed|founded|created|built|designed) (.+?)$",
            (
                "By whom was {1} {0}",
                "Who was it that {0} {1}",
                "What is the name of the person who {0} {1}",
                "Who has {0} {1}",
            ),
        ),
        (r"^in (?:what|which) year (.+)$", ("What year {}", "When {}", "which year {}")),
        (
            r"^what are (?:the |some )?(.+)$",
            (
                "Which are the {}",
                "Can you list the {}",
                "List {}",
                "Name some {}",
                "Which {} are there",
                "tell me the {}",
            ),
        ),
        (
            r"^why (is|are|do|does|did) (.+)$",
            ("What is the reason that {0} {1}", "Do you know why {0} {1}", "why exactly {0} {1}"),
        ),
        (r"^when (was|did|is) (.+)$", ("In what year {0} {1}", "On which date {0} {1}", "do you know when {0} {1}")),
        (r"^where (was|is|are) (.+)$", ("In which place {0} {1}", "do you know where {0} {1}")),
    )
]
_FRONT = re.compile(
    r"^(?P<rest>.{12,}?) (?P<adjunct>(?:in|during|at|after|before) (?:the )?[\w']+(?: [\w']+)?)\?*$", re.IGNORECASE
)


_JOINED = re.compile(r"\b(between |both |either )?(\w+) (and|or) (\w+)(?=\W*$| (?:in|at|for|the|to|of)\b)")
_ONE_OF_A_KIND = re.compile(r"\b(?:a|an) ([a-z]{3,}[^s\W])\b(?! [a-z]+s\b)")
_MANY_OF_A_KIND = re.compile(r"\b(the|my|your) ([a-z]{4,}[^s\W])s\b")
_ASKING = re.compile(r"^(what|where|why|when|who|how)\b", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(the|a|an|my|your|this) (?=[a-z])")
_OTHER_ARTICLES = {
    "the": ("", "your ", "this "), "a": ("", "the ", "one "), "an": ("", "the "), "my": ("the ", "a ", ""),
    "your": ("the ", ""), "this": ("the ",),
}  # fmt: skip
_TWO_LAST = re.compile(
    r"^(.{10,}?) ((?:in|at|on|for|with|from|to) (?:the |my |a |your )?[\w'-]+)"
    r" ((?:in|at|on|for|with) (?:the |my |a |your )?[\w'-]+)([?.!]*)$"
)


def _swap_joined(text: str) -> str | None:
    """What "and" or "or" joins changes places."""
    if re.search(r"\bfrom\b", text):
        return None
    found = _JOINED.sub(lambda match: f"{match[1] or ''}{match[4]} {match[3]} {match[2]}", text, count=1)
    return found if found != text else None


def _pluralize(text: str) -> str | None:
    """One thing of a kind, or all of the kind."""
    found = _ONE_OF_A_KIND.sub(r"\1s", text, count=1)
    if found == text:
        found = _MANY_OF_A_KIND.sub(r"\1 \2", text, count=1)
    return found if found != text else None


def _fill(text: str, rng: random.Random) -> str | None:
    """A word more that says nothing."""
    return _ASKING.sub(rf"\1 {rng.choice(('exactly', 'actually'))}", text) if _ASKING.match(text) else None


def _other_article(text: str, rng: random.Random) -> str | None:
    places = list(_ARTICLE.finditer(text))
    if not places:
        return None
    match = rng.choice(places)
    return text[: match.start()] + rng.choice(_OTHER_ARTICLES[match[1]]) + text[match.end() :]


def _move_last(text: str) -> str | None:
    """What stands last with its preposition comes before what stands before it."""
    match = _TWO_LAST.match(text)
    return f"{match[1]} {match[3]} {match[2]}{match[4]}" if match else None


def paraphrase(text: str, words: WordNet, rng: random.Random) -> tuple[str, str] | None:
    """The question said otherwise, and how."""
    ways: list[tuple[str, Callable[[], str | None]]] = [
        *[("frame", lambda: _reframe(text, rng))] * 4,
        ("joined", lambda: _swap_joined(text)),
        ("number", lambda: _pluralize(text)),
        ("filler", lambda: _fill(text, rng)),
        ("article", lambda: _other_article(text, rng)),
        ("word order", lambda: _move_last(text)),
        ("courtesy", lambda: rng.choice(_BEFORE) + _lower(text)),
        ("ending", lambda: text.rstrip("?. ") + rng.choice(_AFTER)),
        ("contraction", lambda: _contract(text)),
        ("typing error", lambda: _mistype(text, rng)),
        ("synonym", lambda: _replace(text, words.only_synonym, rng)),
        ("synonym", lambda: _replace(text, words.only_synonym, rng)),
        ("word order", lambda: _front(text)),
        ("case", lambda: text.lower().rstrip("?")),
    ]
    rng.shuffle(ways)
    ways.sort(key=lambda way: way[0] in ("courtesy", "ending", "case") and rng.random() < 0.7)
    for name, way in ways:
        other = way()
        if other and other != text:
            return other, name
    return None


def _reframe(text: str, rng: random.Random) -> str | None:
    match = _HOW.match(text)
    if match:
        return rng.choice(_HOW_FORMS) + text[match.end() :]
    fitting = [(match, others) for form, others in _FORMS if (match := form.match(text.rstrip("?. ")))]
    if not fitting:
        return None
    match, others = rng.choice(fitting)
    made = re.sub(r"\s+", " ", rng.choice(others).format(*match.groups())).strip()
    return made + ("?" if text.endswith("?") and rng.random() < 0.8 else "")


def _lower(text: str) -> str:
    return text if text[:2].isupper() or text[:2] == "I " else text[:1].lower() + text[1:]


def _contract(text: str) -> str | None:
    for long, short in _CONTRACTIONS:
        found = re.sub(rf"\b{long}\b", short, text, count=1, flags=re.IGNORECASE)
        if found != text:
            return found[:1].upper() + found[1:]
    return None


def _mistype(text: str, rng: random.Random) -> str | None:
    places = list(re.finditer(r"\b[a-z]{7,}\b", text))
    if not places:
        return None
    match = rng.choice(places)
    word = match.group()
    at = rng.randrange(2, len(word) - 2)
    wrong = word[:at] + (word[at + 1] + word[at] + word[at + 2 :] if rng.random() < 0.5 else word[at + 1 :])
    return text[: match.start()] + wrong + text[match.end() :] if wrong != word else None


def _front(text: str) -> str | None:
    match = _FRONT.match(text)
    if not match or re.search(r"\b(in|at|of|for|to)$", match["rest"]):
        return None
    return f"{match['adjunct'][:1].upper()}{match['adjunct'][1:]}, {_lower(match['rest'])}?"


# Edited to be another -------------------------------------------------------------------------------------------------

_LITTLE = frozenset(
    """
    the a an of in on at to for from with by and or is are was were do does did can could would will should i
    you he she it we they what which who when where why how much many that this my your be been has have had not
    as than me my him her them us need needs want know please yes let tell give get don doesn isn s t one some
    any other only also just now here there
    """.split()  # noqa: SIM905
)
_ADDED = (
    "in India",
    "for beginners",
    "in 2016",
    "without a computer",
    "for free",
    "in the UK",
    "at home",
    "for children",
    "on an iPhone",
    "after surgery",
    "by law",
    "in winter",
    "on weekends",
    "for women",
    "online",
    "in a week",
    "in China",
    "before an exam",
)
_EXTENT = (
    ("more", "less"),
    ("most", "least"),
    ("all", "some"),
    ("always", "never"),
    ("before", "after"),
    ("first", "last"),
    ("largest", "smallest"),
    ("best", "worst"),
    ("highest", "lowest"),
    ("longest", "shortest"),
    ("increase", "decrease"),
    ("high", "low"),
    ("open", "close"),
    ("buy", "sell"),
    ("oldest", "youngest"),
    ("advantages", "disadvantages"),
    ("cause", "prevent"),
    ("causes", "effects"),
    ("symptoms", "causes"),
    ("treatment", "prevention"),
    ("with", "without"),
)


def edit(text: str, words: WordNet, names: Sequence[str], rng: random.Random) -> tuple[str, str] | None:
    """Another question that reads nearly the same, and what was done to it."""
    ways: list[tuple[str, Callable[[], str | None]]] = [
        ("number", lambda: _renumber(text, rng)),
        ("negation", lambda: _negate(text)),
        ("opposite", lambda: _oppose(text)),
        ("opposite", lambda: _replace(text, words.opposite, rng)),
        ("swap", lambda: _swap(text, words, rng)),
        ("swap", lambda: _swap(text, words, rng)),
        ("name", lambda: _rename(text, names, rng)),
        ("sibling", lambda: _replace(text, words.sibling, rng)),
        ("sibling", lambda: _replace(text, words.sibling, rng)),
        ("sibling", lambda: _replace(text, words.sibling, rng)),
        ("added", lambda: f"{text.rstrip('?. ')} {rng.choice(_ADDED)}?"),
        ("left out", lambda: _leave_out(text, rng)),
        ("asked", lambda: _ask_another(text, rng)),
    ]
    rng.shuffle(ways)
    for name, way in ways:
        other = way()
        if other and other.lower() != text.lower():
            return other, name
    return None


def _renumber(text: str, rng: random.Random) -> str | None:
    match = re.search(r"\b\d+\b", text)
    return (
        text[: match.start()] + str(int(match.group()) + rng.choice((1, 2, 7, 10))) + text[match.end() :]
        if match
        else None
    )


def _negate(text: str) -> str | None:
    found = re.sub(
        r"\b(is|are|was|were|can|could|should|would|will|does|did) (i |you |we |it |they )?",
        r"\1 \2not ",
        text,
        count=1,
        flags=re.IGNORECASE,
    )
    return found if found != text else None


def _oppose(text: str) -> str | None:
    for a, b in _EXTENT:
        for x, y in ((a, b), (b, a)):
            found = re.sub(rf"\b{x}\b", y, text, count=1, flags=re.IGNORECASE)
            if found != text:
                return found
    return None


def _swap(text: str, words: WordNet, rng: random.Random) -> str | None:
    """Two nouns, or two names, that do not stand side by side change places."""
    places = [
        m
        for m in re.finditer(r"[\w'-]+", text)
        if m.group().lower() not in _LITTLE and (m.group().lower() in words.siblings or m.group()[0].isupper())
    ]
    places = places[1:] if places and places[0].start() == 0 else places

    def stem(match: re.Match[str]) -> str:
        return match.group().lower().rstrip("s")

    chances = [
        (a, b)
        for at, a in enumerate(places)
        for b in places[at + 2 :]
        if stem(a) != stem(b) and a.group()[0].isupper() == b.group()[0].isupper()
    ]
    chances += [
        (a, b)
        for a, b in itertools.pairwise(places)
        if re.search(r"\b(to|from|by|than|of|in|for|with)\b", text[a.end() : b.start()])
    ]
    if not chances:
        return None
    a, b = rng.choice(chances)
    if re.fullmatch(r"\W*(and|or|vs)\W*", text[a.end() : b.start()]):
        return None
    return text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]


def _rename(text: str, names: Sequence[str], rng: random.Random) -> str | None:
    places = [m for m in re.finditer(r"\b[A-Z][a-z]{3,}\b", text) if m.start() > 0]
    if not places:
        return None
    match = rng.choice(places)
    return text[: match.start()] + rng.choice(names) + text[match.end() :]


def _replace(text: str, by: Callable[[str, random.Random], str | None], rng: random.Random) -> str | None:
    places = [m for m in re.finditer(r"\b[a-z]{4,}\b", text) if m.group() not in _LITTLE]
    rng.shuffle(places)
    for match in places:
        if new := by(match.group(), rng):
            return text[: match.start()] + new + text[match.end() :]
    return None


def _leave_out(text: str, rng: random.Random) -> str | None:
    """Without one of its content words that is no filler."""
    places = [m for m in re.finditer(r"[\w'-]+", text) if m.group().lower() not in _LITTLE and len(m.group()) > 4]
    if len(places) < 4:
        return None
    match = rng.choice(places)
    return re.sub(r"\s+", " ", text[: match.start()] + text[match.end() :])


def _ask_another(text: str, rng: random.Random) -> str | None:
    asking = ["why", "when", "where", "how"]
    match = re.match(r"(why|when|where|how)\b(?! (?:much|many|long|old|far|often|to))", text, re.IGNORECASE)
    if not match:
        return None
    return rng.choice([word for word in asking if word != match.group().lower()]).capitalize() + text[match.end() :]


def edits(texts: Sequence[str], source: str, words: WordNet, rng: random.Random, count: int) -> list[Pair]:
    """As many pairs of either label, made of `texts`."""
    names = sorted({m.group() for text in texts for m in re.finditer(r"(?<=[a-z] )[A-Z][a-z]{3,}\b", text)}) or [
        "Norway"
    ]
    pairs = []
    for text in rng.sample(list(texts), min(len(texts), count // 2)):
        if made := paraphrase(text, words, rng):
            again = paraphrase(made[0], words, rng) if rng.random() < 0.7 else None
            pairs.append(Pair(text, again[0] if again else made[0], 1, source, again[1] if again else made[1]))
        if made := edit(text, words, names, rng):
            other = paraphrase(made[0], words, rng) if rng.random() < 0.5 else None
            pairs.append(Pair(text, other[0] if other else made[0], 0, source, made[1]))
    return pairs
