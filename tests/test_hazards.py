from __future__ import annotations

import numpy as np
import pytest

from fo1.hazards import absence, hazards


def logits(*chances: float) -> list[float]:
    """Any constant may be added to logits."""
    return [float(np.log(chance)) + 7 for chance in chances]


def test_a_list_that_ends_at_once() -> None:
    """Of regions 0, 1, 2 and stopping: each region against what comes after it."""
    found = hazards([logits(0.1, 0.2, 0.3, 0.4)], [])
    assert found == pytest.approx([0.1 / 1.0, 0.2 / 0.9, 0.3 / 0.7])
    assert found.dtype == np.float32


def test_each_region_when_its_turn_came() -> None:
    """Region 0 is passed over and 1 named in the first step; 2 and 3 are left when the second one stops."""
    first, second = logits(0.2, 0.5, 0.1, 0.1, 0.1), logits(0.6, 0.1, 0.05, 0.05, 0.2)
    found = hazards([first, second], [1])
    assert found == pytest.approx([0.2, 0.5 / 0.8, 0.05 / 0.3, 0.05 / 0.25])


def test_the_walk_is_the_chance_of_the_answer() -> None:
    """If regions already passed are never named, an answer's chance is what its hazards multiply to."""
    steps = [logits(0.2, 0.5, 0.2, 0.1), logits(1e-300, 1e-300, 0.3, 0.7)]
    found = hazards(steps, [1])
    assert (1 - found[0]) * found[1] * (1 - found[2]) == pytest.approx(0.5 * 0.7)


def test_all_named() -> None:
    found = hazards([logits(0.5, 0.25, 0.25), logits(0.9, 0.08, 0.02), logits(0.5, 0.4, 0.1)], [0, 1])
    assert found == pytest.approx([0.5, 0.8])


def test_a_region_out_of_order() -> None:
    """2 is named first, then 0, passed over before: its second chance counts, and 2 is out."""
    steps = [logits(0.1, 0.1, 0.7, 0.1), logits(0.4, 0.1, 0.3, 0.1), logits(0.1, 0.1, 0.1, 0.9)]
    assert hazards(steps, [2, 0]) == pytest.approx([0.4 / 0.6, 0.1 / 0.9, 0.7 / 0.8])


def test_what_cannot_be_named_has_no_chance() -> None:
    low = float(np.finfo(np.float32).min)
    assert hazards([[low, 0.0, -np.inf, 0.0]], []) == pytest.approx([0, 0.5, 0])


def test_no_regions() -> None:
    assert hazards([[1.0]], []).shape == (0,) and absence([1.0]) == 1


def test_absence() -> None:
    first = logits(0.1, 0.2, 0.3, 0.4)
    assert absence(first) == pytest.approx(0.4)
    assert absence(first) == pytest.approx(np.prod(1 - hazards([first], [])))
    assert absence([-1e30, 0.0]) == 1 and absence([1e30, 0.0]) == 0


def test_a_temperature_divides_log_odds() -> None:
    first = logits(0.1, 0.2, 0.3, 0.4)
    plain, warm = hazards([first], []), hazards([first], [], temperature=2.0)
    assert np.log(warm / (1 - warm)) == pytest.approx(np.log(plain / (1 - plain)) / 2, abs=1e-5)
    assert absence(first, temperature=2.0) == pytest.approx(np.prod(1 - warm))
