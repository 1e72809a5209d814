"""What a generator's distillation decides before it computes, and what its folder remembers after a kill."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from models.compression import distil_generator_plan
from models.compression.distil_generator_plan import (
    BadInput,
    Recipe,
    Reply,
    half_of,
    known_layers,
    lesson,
    prompts_of,
    read_conversations,
    rows_of_step,
    to_learn,
    windows_hash,
    written_replies,
)
from models.compression.run_settings import Mismatch, remember
from models.generator.tokens import Rows, conversation_tokens, pack, train_tokenizer

TALK = [
    ["hi there", "hello"],
    ["how are you", "fine, and you", "fine too", "good to hear"],
    ["a", "b", "c", "d", "e", "f"],
]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """TALK in one row of 96 tokens and what is left of it."""
    tokenizer = train_tokenizer([turn for window in TALK for turn in window], 300)
    return pack(tokenizer, TALK, 96, seed=1)


def written(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def echo(prompts, seed):
    return [Reply([*prompt, f"{len(prompt)} {seed}"], True) for prompt in prompts]


@pytest.mark.parametrize(
    ("layers", "kept"), [(6, [0, 2, 5]), (4, [0, 3]), (3, [0]), (1, [0]), (12, [0, 2, 4, 7, 9, 11])]
)
def test_half_of_the_layers_reach_from_the_first_to_the_last(layers, kept):
    assert half_of(layers) == kept


@pytest.mark.parametrize("layers", [[], [0, 6], [-1]])
def test_layers_that_the_teacher_lacks_are_refused(layers):
    with pytest.raises(BadInput, match="layers 0 to 5"):
        known_layers(layers, 6)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 0}, "steps"),
        ({"rate": 0.0}, "rate"),
        ({"temperature": 0.0}, "temperature"),
        ({"hard": 1.5}, "hard"),
        ({"replies": -1}, "replies"),
        ({"reply_temperature": -1.0}, "drawn"),
        ({"batch_rows": 0}, "batch"),
        ({"row_tokens": 40}, "no room"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused_in_words(wrong, words):
    with pytest.raises(BadInput, match=words):
        Recipe(**wrong)


def test_all_faults_of_a_recipe_are_told_at_once():
    with pytest.raises(BadInput, match=r"steps.*; .*hard"):
        Recipe(steps=0, hard=2.0)


def test_an_epoch_shows_no_row_twice_and_the_next_has_another_order():
    first = np.concatenate([rows_of_step(50, 8, seed=3, step=step) for step in range(6)])
    second = np.concatenate([rows_of_step(50, 8, seed=3, step=step) for step in range(6, 12)])

    assert len(set(first.tolist())) == len(first) == 48
    assert len(set(second.tolist())) == len(second) == 48
    assert first.tolist() != second.tolist()


def test_a_step_alone_says_its_rows():
    assert np.array_equal(rows_of_step(50, 8, seed=3, step=9), rows_of_step(50, 8, seed=3, step=9))


def test_fewer_rows_than_a_batch_are_all_learnt_at_every_step():
    assert sorted(rows_of_step(3, 8, seed=0, step=5).tolist()) == [0, 1, 2]


def test_no_token_is_foretold_from_another_conversation(rows: Rows):
    batch = lesson(rows, np.arange(len(rows)), "everything")

    places = np.argwhere(batch.learnt)
    assert all(batch.conversation[row, place] == batch.conversation[row, place + 1] > 0 for row, place in places)
    assert all(batch.position[row, place] + 1 == batch.position[row, place + 1] for row, place in places)
    conversations = len(TALK)
    assert batch.learnt.sum() == (rows.conversation > 0).sum() - conversations  # all but what begins each


def test_replies_are_foretold_from_the_mark_before_them_to_their_end(rows: Rows):
    batch = lesson(rows, np.arange(len(rows)), "replies")

    goals = np.roll(batch.learnt, 1, axis=1)
    assert np.array_equal(goals, rows.reply)


def test_of_a_written_conversation_only_the_last_reply_is_learnt():
    tokenizer = train_tokenizer([turn for window in TALK for turn in window], 300)
    rows = pack(tokenizer, TALK, 96, seed=1)

    batch = lesson(rows, np.arange(len(rows)), "last replies")

    goals = np.roll(batch.ids, -1, axis=1)
    learnt = sorted(
        tokenizer.decode(goals[row][batch.learnt[row] & (batch.conversation[row] == number)].tolist())
        for row in range(len(rows))
        for number in range(1, batch.conversation[row].max() + 1)
    )
    assert learnt == sorted(window[-1] for window in TALK)


def test_a_row_that_ends_in_its_last_reply_is_learnt_to_the_end():
    tokenizer = train_tokenizer([turn for window in TALK for turn in window], 300)
    whole = len(next(conversation_tokens(tokenizer, TALK[:1]))[0])
    rows = pack(tokenizer, TALK[:1], whole, seed=1)

    batch = lesson(rows, np.arange(1), "last replies")

    assert np.array_equal(np.roll(batch.learnt, 1, axis=1), rows.reply)
    assert not batch.learnt[:, -1].any()


def test_prompts_end_with_the_user_and_follow_from_the_seed():
    first, again, other = (prompts_of(TALK * 20, 30, seed, lambda _: True) for seed in (1, 1, 2))

    assert first == again != other
    assert len(first) == 30
    assert all(len(prompt) % 2 == 1 for prompt in first)
    assert {len(prompt) for prompt in first} == {1, 3, 5}


def test_a_prompt_that_leaves_no_room_gives_way_to_another():
    prompts = prompts_of(TALK * 20, 30, 1, lambda prompt: len(prompt) < 3)

    assert len(prompts) == 30
    assert {len(prompt) for prompt in prompts} == {1}


def test_a_killed_teacher_writes_no_reply_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(distil_generator_plan, "CHUNK", 2)
    prompts = [[str(number)] for number in range(5)]
    asked: list[list[str]] = []

    def killed_at_the_second_chunk(chunk, seed):
        asked.append(chunk)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return echo(chunk, seed)

    whole = list(written_replies(tmp_path / "whole", prompts, 7, echo))
    with pytest.raises(KeyboardInterrupt):
        list(written_replies(tmp_path / "killed", prompts, 7, killed_at_the_second_chunk))
    replies = list(written_replies(tmp_path / "killed", prompts, 7, killed_at_the_second_chunk))

    assert replies == whole
    assert asked == [prompts[:2], prompts[2:4], prompts[2:4], prompts[4:]]
    assert (tmp_path / "killed").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("broken", [b'{"turns": ["2", "', b'{"turns": ["2", "1 9"], "ended": true}\n{"tu'])
def test_half_a_line_or_half_a_chunk_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bytes):
    monkeypatch.setattr(distil_generator_plan, "CHUNK", 2)
    prompts = [[str(number)] for number in range(6)]
    whole = list(written_replies(tmp_path / "whole", prompts, 7, echo))
    head = b"".join((tmp_path / "whole").read_bytes().splitlines(keepends=True)[:2])
    (tmp_path / "killed").write_bytes(head + broken)

    replies = list(written_replies(tmp_path / "killed", prompts, 7, echo))

    assert replies == whole
    assert written(tmp_path / "killed") == written(tmp_path / "whole") == [asdict(reply) for reply in whole]


def test_replies_that_are_all_there_are_only_read(tmp_path: Path):
    prompts = [[str(number)] for number in range(5)]  # no whole chunk
    whole = list(written_replies(tmp_path / "replies", prompts, 7, echo))

    def nobody(chunk, seed):
        raise AssertionError("the teacher was asked again")

    assert list(written_replies(tmp_path / "replies", prompts, 7, nobody)) == whole


def test_a_reply_that_did_not_end_or_says_nothing_is_not_learnt():
    replies = [Reply(["a", "b"], True), Reply(["a", "and then and then"], False), Reply(["a", ""], True)]

    assert to_learn(replies) == [["a", "b"]]


def test_a_run_that_goes_on_has_the_settings_it_was_begun_with(tmp_path: Path):
    settings = asdict(Recipe()) | {"teacher": "t", "data": windows_hash(TALK)}

    remember(tmp_path / "out", settings)
    remember(tmp_path / "out", settings)

    assert json.loads((tmp_path / "out/settings.json").read_text(encoding="utf-8")) == settings


def test_other_settings_are_refused_by_name(tmp_path: Path):
    remember(tmp_path, asdict(Recipe()) | {"teacher": "one"})

    with pytest.raises(Mismatch) as refused:
        remember(tmp_path, asdict(Recipe(temperature=4.0)) | {"teacher": "two"})

    assert "temperature was 2.0 and is now 4.0" in str(refused.value)
    assert "teacher was one and is now two" in str(refused.value)
    assert "hard" not in str(refused.value)


@pytest.mark.parametrize("name", ["replies.jsonl", "checkpoint.pt"])
def test_what_another_run_left_without_its_settings_is_not_taken_over(tmp_path: Path, name: str):
    (tmp_path / name).touch()

    with pytest.raises(Mismatch, match="not known"):
        remember(tmp_path, asdict(Recipe()))


def test_other_conversations_are_other_data():
    assert windows_hash(TALK) != windows_hash(TALK[:2]) != windows_hash([["a", "b"]])


def test_conversations_of_several_files_are_read(tmp_path: Path):
    for name, windows in (("one", TALK[:1]), ("two", TALK[1:])):
        (tmp_path / name).write_text("".join(json.dumps({"turns": turns}) + "\n" for turns in windows))

    assert read_conversations([tmp_path / "one", tmp_path / "two"]) == TALK


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        ("", "no conversation"),
        ('{"turns": ["alone"]}\n', "no conversation"),
        ('{"turns": ["a", "b"]}\nnot json\n', "line 2"),
        ('{"text": "a"}\n', "line 1"),
        ("[]\n", "line 1"),
        ('{"turns": "ab"}\n', "list of texts"),
    ],
)
def test_what_is_no_conversation_is_refused_with_its_line(tmp_path: Path, content: str | None, words: str):
    path = tmp_path / "chat.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(BadInput, match=words):
        read_conversations([path])
