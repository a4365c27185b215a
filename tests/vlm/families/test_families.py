"""Every family keeps its base as it is; every feature, a tile's too, is where it belongs."""

from __future__ import annotations

import pytest

from vlm.families import harness, qwen_cases, tapped_cases
from vlm.families.harness import CORNERS, SIZES, Case

each = pytest.mark.parametrize("case", [*qwen_cases.CASES, *tapped_cases.CASES], ids=str)


@each
def test_maps_have_the_promised_shape(case: Case) -> None:
    harness.check_maps(case)


@each
def test_logits_are_the_bases_own(case: Case) -> None:
    harness.check_own_logits(case)


@each
def test_right_padded_rows_equal_single_runs(case: Case) -> None:
    harness.check_prefill(case)


@each
@pytest.mark.parametrize("beams", [1, 2])
def test_generating_in_a_batch_equals_single_runs(case: Case, beams: int) -> None:
    harness.check_batches(case, beams)


@each
def test_no_call_leaks_into_the_next(case: Case) -> None:
    harness.check_nothing_leaks(case)


@each
def test_seeing_again_gives_the_same(case: Case) -> None:
    harness.check_same_again(case)


@each
def test_no_hook_stays(case: Case) -> None:
    harness.check_hooks(case)


@each
def test_odd_sizes(case: Case) -> None:
    harness.check_odd_sizes(case)


@each
@pytest.mark.parametrize("corner", CORNERS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_painted_corner_changes_its_cells_only(
    case: Case, size: tuple[int, int], corner: tuple[int, int]
) -> None:
    harness.check_corner(case, size, corner)
