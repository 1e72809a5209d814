"""Write files for scripts/evaluate_retrieval.py: questions about passages, half of which are taken away.

    python models/encoder/retrieval_sets.py --data DIR --out FOLDER

DIR holds text/. Of each set passages are drawn; the questions of the second half are those that nothing answers.
"""

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

from evaluate import read_rows

SETS = ("qed_dev", "selqa", "covid_qa", "docs_faq")
SEED = 5
MOST_PASSAGES = 1300
QUESTIONS_EACH = 2


def write(name: str, data: Path, out: Path) -> tuple[int, int]:
    """How many passages and questions were written."""
    asked: dict[str, list[str]] = defaultdict(list)
    for file in sorted((data / "text" / name).glob("*.jsonl.gz")):
        for row in read_rows(file):
            if row["passage"].strip():
                asked[row["passage"]].append(row["question"])
    drawn = list(asked.items())
    random.Random(SEED).shuffle(drawn)
    drawn = drawn[:MOST_PASSAGES]
    kept = len(drawn) // 2
    passages = [{"id": str(place), "title": "", "text": text} for place, (text, _) in enumerate(drawn[:kept])]
    questions = [
        {"question": question, "passage": str(place) if place < kept else None, "answerable": place < kept}
        for place, (_, questions) in enumerate(drawn)
        for question in questions[:QUESTIONS_EACH]
    ]
    for kind, rows in (("passages", passages), ("questions", questions)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (out / f"{name}.{kind}.jsonl").write_text(lines, encoding="utf-8")
    return len(passages), len(questions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        passages, questions = write(name, arguments.data, arguments.out)
        print(f"{name}: {passages} passages, {questions} questions")


if __name__ == "__main__":
    main()
