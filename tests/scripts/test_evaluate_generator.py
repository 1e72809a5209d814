"""The figures of a generator's evaluation, against values worked out by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import evaluate_generator as evaluation
from evaluate_generator import Answered, Question
from steps import Stop

QUESTION = Question("We open at nine. Parking is free.", "When?", ("We open at nine.", "At nine"), "inn")


def answered(reply: str, *, source: str = "inn", first: float = 0.1, seconds: float = 1.0, tokens: int = 5) -> Answered:
    question = Question(QUESTION.passage, QUESTION.question, QUESTION.answers, source)
    return Answered(question, reply, first, seconds, tokens)


def test_token_f1_is_squads() -> None:
    assert evaluation.token_f1("We open at ten!", "we open at nine") == pytest.approx(0.75)
    assert evaluation.token_f1("The inn", "inn.") == 1
    assert evaluation.token_f1("yes", "no") == 0
    assert evaluation.token_f1("", "no") == 0


def test_the_mark_of_a_passage_is_no_part_of_an_answer() -> None:
    assert evaluation.is_exact("We open at nine. [1]", "We open at nine.")
    assert evaluation.scores_of([answered("We open at nine. [1]")]).rouge_l == 100


def test_the_nearest_answer_counts() -> None:
    scores = evaluation.scores_of([answered("at nine")])

    assert scores.f1 == scores.exact == 100
    assert scores.rouge1 < 100  # of the first answer alone


def test_a_wrong_reply_scores_nothing() -> None:
    scores = evaluation.scores_of([answered("Pets cost extra")])

    assert (scores.f1, scores.exact, scores.rouge1) == (0, 0, 0)


def test_times_are_of_the_first_piece_and_of_all_tokens() -> None:
    scores = evaluation.scores_of([answered("a", first=share / 100, tokens=10) for share in range(1, 101)])

    assert scores.first_token_p50_ms == pytest.approx(500)
    assert scores.first_token_p99_ms == pytest.approx(990)
    assert scores.tokens_per_s == pytest.approx(10)


def test_each_source_has_its_scores() -> None:
    scores = evaluation.by_source([answered("We open at nine."), answered("no", source="shop")])

    assert {name: each.exact for name, each in scores.items()} == {"inn": 100, "shop": 0, "all": 50}


def test_a_passage_is_asked_about_as_parley_does() -> None:
    question = Question("First line.\n\n  Second line.", "Why?", ("x",), "all")

    system, user = evaluation.messages_for(question)

    assert system["content"].endswith("\n\nKnowledge:\n[1] Passage: First line.\nSecond line.\n")
    assert user == {"role": "user", "content": "Why?"}


@pytest.mark.parametrize(
    "line", ["no json", '{"passage": "a", "question": "b"}', '{"passage": "a", "question": "b", "answers": []}']
)
def test_a_line_that_is_no_question_is_named(line: str) -> None:
    good = '{"passage": "a", "question": "b", "answers": ["c"]}'

    with pytest.raises(Stop, match="line 2"):
        evaluation.read_questions([good, line])


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A server that answers every question with two pieces and counts five tokens."""
    chunks: list[dict[str, object]] = [{"choices": [{"delta": {"content": text}}]} for text in ("We open", " at nine.")]
    chunks.append({"choices": [], "usage": {"completion_tokens": 5}})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
        server.shutdown()


def test_any_openai_compatible_server_can_be_measured(
    endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"passage": QUESTION.passage, "question": "When?", "answers": ["We open at nine."], "source": "inn"}] * 2
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    out = tmp_path / "scores.json"

    evaluation.main(["--questions", str(tmp_path / "questions.jsonl"), "--endpoint", endpoint, "--json", str(out)])

    content = json.loads(out.read_text())
    assert content["scores"]["inn"]["exact"] == 100
    assert content["scores"]["all"]["questions"] == 2
    assert content["answers"][0] == {"question": "When?", "reply": "We open at nine."}
    assert "inn" in capsys.readouterr().out


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"passage": "a", "question": "b", "answers": ["c"]}) + "\n")

    with pytest.raises(Stop, match="does not answer"):
        evaluation.main(["--questions", str(questions), "--endpoint", "http://127.0.0.1:9/v1/chat/completions"])
