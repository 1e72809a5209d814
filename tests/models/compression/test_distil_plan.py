"""What a distillation decides before it computes, and how a teacher's words are kept."""

from pathlib import Path

import numpy as np
import pytest

from models.compression import distil_cache
from models.compression.distil_cache import Mismatch, teacher_rows
from models.compression.distil_plan import (
    aligned_projection,
    batches_by_length,
    neighbour_batches,
    principal_directions,
    rate_share,
    rotation_onto,
)


def unit_rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_batch_holds_no_more_tokens_than_it_may():
    lengths = [3, 9, 4, 9, 2, 5]

    batches = batches_by_length(lengths, 12)

    assert sorted(np.concatenate(batches).tolist()) == list(range(6))
    assert all(len(batch) * max(lengths[index] for index in batch) <= 12 for batch in batches)


def test_a_text_longer_than_a_batch_may_be_goes_alone():
    assert [batch.tolist() for batch in batches_by_length([50, 2], 12)] == [[1], [0]]


def test_an_epoch_shows_no_text_twice():
    shown = np.concatenate(neighbour_batches(unit_rows(1000, 8), 32, seed=1, epoch=0))

    assert len(shown) == len(set(shown.tolist())) == 1000 // 32 * 32


def test_the_order_follows_from_seed_and_epoch_alone():
    rows = unit_rows(500, 8)

    first, again, other = (neighbour_batches(rows, 32, seed=1, epoch=epoch) for epoch in (0, 0, 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_texts_of_a_batch_are_nearer_to_each_other_than_chance():
    rows = unit_rows(2048, 4)

    batches = neighbour_batches(rows, 32, seed=0, epoch=0)

    within = np.mean([(rows[batch] @ rows[batch].T).mean() for batch in batches])
    assert within > (rows @ rows.T).mean() + 0.1


def test_principal_directions_are_orthonormal_and_longest_first():
    rows = unit_rows(300, 6) * np.array([5, 4, 3, 0.1, 0.1, 0.1], np.float32)

    directions = principal_directions(rows, 3)

    assert np.allclose(directions.T @ directions, np.eye(3), atol=1e-5)
    assert np.allclose(np.abs(directions[:3]).round(), np.eye(3))


def test_a_rotation_is_found_again():
    rows = unit_rows(200, 5)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]

    assert np.allclose(rotation_onto(rows, rows @ turn), turn, atol=1e-4)


def test_the_aligned_projection_keeps_similarities_and_turns_towards_the_student():
    narrow = unit_rows(400, 4)
    lift = np.linalg.qr(np.random.default_rng(4).normal(size=(9, 9)))[0][:4]
    teacher = narrow @ lift

    assert np.allclose(teacher @ aligned_projection(teacher, narrow), narrow, atol=1e-4)


def test_a_student_wider_than_its_teacher_is_refused():
    with pytest.raises(ValueError, match="dimensions"):
        aligned_projection(unit_rows(10, 3), unit_rows(10, 4))


def test_the_rate_rises_then_falls_to_zero():
    shares = [rate_share(step, 100, 0.1) for step in range(101)]

    assert max(shares) == shares[9] == 1.0
    assert shares[0] == pytest.approx(0.1)
    assert shares[100] == 0.0


def test_a_killed_teacher_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(distil_cache, "CHUNK", 2)
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    asked: list[str] = []

    def say(chunk):
        if "ccc" in chunk and "ccc" not in asked:
            asked.append("ccc")
            raise KeyboardInterrupt
        asked.extend(chunk)
        return np.array([[len(text)] for text in chunk], np.float32)

    with pytest.raises(KeyboardInterrupt):
        teacher_rows(tmp_path, texts, 1, "t", say)
    rows = teacher_rows(tmp_path, texts, 1, "t", say)

    assert rows[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert asked == ["a", "bb", "ccc", "ccc", "dddd", "eeeee"]


def test_what_another_teacher_said_is_not_taken_for_this_ones(tmp_path: Path):
    teacher_rows(tmp_path, ["a"], 1, "one", lambda texts: np.ones((len(texts), 1), np.float32))

    with pytest.raises(Mismatch, match="one"):
        teacher_rows(tmp_path, ["a"], 1, "two", lambda texts: np.ones((len(texts), 1), np.float32))
