"""Write the words of English by which typing errors are told from words that a bot has not: english_words.npy.

    python models/encoder/english_words.py [--out layers/parley/python/parley/nlu/english_words.npy]

The words are those of the frequency dictionary that the PyPI package symspellpy brings (82,765, English words by SCOWL
that Google's books have). Only their hashes are kept, so that the file is small and is read in a millisecond.
"""

import argparse
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "layers/parley/python"))

from parley.nlu.hearing import ENGLISH, word_hash

DICTIONARY = "frequency_dictionary_en_82_765.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ENGLISH, help="the file to write")
    arguments = parser.parse_args()
    lines = files("symspellpy").joinpath(DICTIONARY).read_text(encoding="utf-8-sig").splitlines()
    hashes = np.unique(np.array([word_hash(line.split()[0]) for line in lines], np.uint32))
    np.save(arguments.out, hashes)
    print(f"{len(lines):,} words, {arguments.out.stat().st_size:,} bytes: {arguments.out}")


if __name__ == "__main__":
    main()
