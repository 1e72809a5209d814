"""Which weights go."""

import numpy as np
import pytest

from models.compression.prune_plan import (
    masks_by_share,
    masks_by_threshold,
    most_important,
    rows_of_heads,
    share_at,
    two_of_four,
)

WEIGHTS = {
    "small": np.array([[0.1, -0.2], [0.3, -0.4]], np.float32),
    "large": np.array([[1.0, -2.0], [3.0, -4.0]], np.float32),
}


def test_a_gradual_pruning_begins_at_the_first_share_and_ends_at_the_last():
    shares = [share_at(step, 4, 0.1, 0.9) for step in range(5)]

    assert shares[0] == pytest.approx(0.1)
    assert shares[-1] == pytest.approx(0.9)


def test_a_gradual_pruning_takes_most_in_the_beginning():
    taken = np.diff([share_at(step, 4, 0.0, 0.8) for step in range(5)])

    assert (np.diff(taken) < 0).all()
    assert share_at(2, 4, 0.0, 0.8) == pytest.approx(0.7)


def test_a_step_after_the_last_is_refused():
    with pytest.raises(ValueError, match="not between"):
        share_at(5, 4, 0.0, 0.8)


def test_per_layer_every_layer_loses_the_share():
    masks = masks_by_share(WEIGHTS, 0.5, per_layer=True)

    assert masks["small"].tolist() == masks["large"].tolist() == [[False, False], [True, True]]


def test_globally_the_layer_of_small_weights_loses_more():
    masks = masks_by_share(WEIGHTS, 0.5, per_layer=False)

    assert not masks["small"].any()
    assert masks["large"].all()


def test_the_share_is_exact_where_all_weights_are_equal():
    masks = masks_by_share({"flat": np.ones((10, 10), np.float32)}, 0.3, per_layer=True)

    assert (~masks["flat"]).sum() == 30


def test_a_share_of_everything_is_refused():
    with pytest.raises(ValueError, match="share"):
        masks_by_share(WEIGHTS, 1.0, per_layer=True)


def test_a_threshold_compares_magnitudes():
    masks = masks_by_threshold(WEIGHTS, 0.35, per_layer=False)

    assert masks["small"].tolist() == [[False, False], [False, True]]
    assert masks["large"].all()


def test_a_threshold_per_layer_counts_in_that_layers_deviations():
    masks = masks_by_threshold(WEIGHTS, 1.0, per_layer=True)

    assert masks["small"].tolist() == masks["large"].tolist()


def test_two_of_every_four_inputs_stay_and_they_are_the_largest():
    mask = two_of_four(np.array([[1, -5, 3, 2, 0, 0, 0, 9]], np.float32))

    assert mask.tolist() == [[False, True, True, False, True, False, False, True]]


def test_inputs_that_make_no_fours_are_refused():
    with pytest.raises(ValueError, match="divisible by four"):
        two_of_four(np.ones((2, 6), np.float32))


def test_the_most_important_come_in_their_own_order():
    assert most_important(np.array([0.1, 3.0, 0.2, 2.0]), 2).tolist() == [1, 3]


def test_a_head_has_the_rows_that_lie_at_its_place():
    assert rows_of_heads(np.array([0, 2]), 2).tolist() == [0, 1, 4, 5]
