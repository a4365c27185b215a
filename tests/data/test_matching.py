from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fo1.boxes import iou
from fo1.data.matching import Matching, ProposalMix, match
from fo1.data.settings import SettingError
from fo1.types import Regions

SIZE = (200, 100)
TRUTH = [[0, 0, 40, 40], [100, 0, 140, 40], [150, 50, 190, 90]]
PLAIN = ProposalMix(shuffle=False)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def proposed(*boxes: list[float], scores: list[float] | None = None) -> Regions:
    return Regions.of(list(boxes), SIZE, scores) if boxes else Regions.empty(SIZE)


def random_boxes(count: int, r: np.random.Generator) -> np.ndarray:
    corner, side = r.uniform(0, 80, (count, 2)), r.uniform(5, 60, (count, 2))
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32)


def hit(box: list[float], share: float) -> list[float]:
    """The left part of a box; its IoU with the box is `share`."""
    return [box[0], box[1], box[0] + share * (box[2] - box[0]), box[3]]


def test_match_ambiguous_none() -> None:
    regions = proposed(hit(TRUTH[0], 0.9), hit(TRUTH[1], 0.4), [0, 60, 20, 80], hit(TRUTH[2], 0.25))
    found = match(TRUTH, regions, PLAIN, rng())
    assert [found.kind(i) for i in range(4)] == ["match", "ambiguous", "none", "none"]
    assert found.objects(0) == (0,) and found.objects(1) == ()
    assert found.own == (0, None, None)
    assert [found.regions(i) for i in range(3)] == [(0,), (), ()]
    np.testing.assert_array_equal(found.shown.xyxy, regions.xyxy)


@pytest.mark.parametrize(("iou_needed", "kind"), [(0.6, "match"), (0.71, "ambiguous"), (0.9, "none")])
def test_thresholds(iou_needed: float, kind: str) -> None:
    mix = replace(PLAIN, match_iou=iou_needed, ambiguous=(min(iou_needed, 0.7), min(iou_needed, 0.8)))
    if kind == "none":
        mix = replace(mix, ambiguous=(0.75, 0.8))
    assert match(TRUTH, proposed(hit(TRUTH[0], 0.7)), mix, rng()).kind(0) == kind


def test_several_proposals_of_one_object_are_all_named_or_hidden_but_one() -> None:
    regions = proposed(hit(TRUTH[0], 0.6), hit(TRUTH[0], 0.95), hit(TRUTH[0], 0.8), [60, 60, 80, 80])
    found = match(TRUTH, regions, PLAIN, rng())
    assert found.regions(0) == (0, 1, 2) and found.own[0] == found.best(0) == 1
    hidden = match(TRUTH, regions, replace(PLAIN, duplicates="hide"), rng())
    np.testing.assert_array_equal(hidden.shown.xyxy, regions.xyxy[[1, 3]])
    assert hidden.regions(0) == (0,) and hidden.own[0] == 0


def test_a_region_shows_what_it_overlaps_most() -> None:
    # Two objects, one around the other; both boxes pass the threshold for both.
    inner, outer = [0, 0, 30, 40], [0, 0, 40, 40]
    found = match([inner, outer], proposed(inner, outer), PLAIN, rng())
    assert [found.objects(i) for i in range(2)] == [(0,), (1,)]
    wide = match([inner, outer], proposed(inner, outer), replace(PLAIN, tie=0.3), rng())
    assert [wide.objects(i) for i in range(2)] == [(0, 1), (1, 0)] and wide.own == (0, 1)


def test_one_region_stands_for_one_object_only() -> None:
    found = match([TRUTH[0], TRUTH[0]], proposed(TRUTH[0]), PLAIN, rng())
    assert found.objects(0) == (0, 1)
    assert sorted(found.own, key=str) == [0, None] and found.best(0) == found.best(1) == 0
    added = match([TRUTH[0], TRUTH[0]], proposed(TRUTH[0]), replace(PLAIN, unmatched="add"), rng())
    assert sorted(added.own) == [0, 1]


def test_unmatched_objects_are_lost_or_added() -> None:
    regions = proposed(hit(TRUTH[0], 0.9))
    assert match(TRUTH, regions, PLAIN, rng()).own == (0, None, None)
    added = match(TRUTH, regions, replace(PLAIN, unmatched="add"), rng())
    assert added.own == (0, 1, 2)
    np.testing.assert_array_equal(added.shown.xyxy[1:], np.float32(TRUTH[1:]))


def test_share_of_true_boxes() -> None:
    truth = random_boxes(400, rng(1))
    mix = replace(PLAIN, share_truth=0.25, cap=1000)
    shown = match(truth, Regions.empty(SIZE), mix, rng(2)).shown
    assert 60 < len(shown) < 140
    everything = match(truth, Regions.empty(SIZE), replace(mix, share_truth=1), rng())
    np.testing.assert_array_equal(everything.shown.xyxy, truth)
    assert everything.own == tuple(range(400))
    assert len(match(truth, Regions.empty(SIZE), PLAIN, rng()).shown) == 0


def test_jitter_moves_true_boxes_but_not_away_from_their_object() -> None:
    truth = np.minimum(random_boxes(200, rng(3)), np.float32([*SIZE, *SIZE]))
    mix = replace(PLAIN, share_truth=1, jitter=0.3, cap=200)
    found = match(truth, Regions.empty(SIZE), mix, rng())
    own = np.diagonal(iou(found.shown.xyxy, truth))
    assert own.min() >= mix.match_iou and np.median(own) < 0.85
    assert found.own == tuple(range(200)) and all(found.matches[i, i] for i in range(200))
    moved = found.shown.xyxy - truth
    sides = np.tile(truth[:, 2:] - truth[:, :2], 2)
    assert np.abs(moved / sides).max() <= 0.3001
    assert found.shown.xyxy.min() >= 0 and (found.shown.xyxy <= np.float32([*SIZE, *SIZE])).all()


def test_boxes_without_area_show_themselves() -> None:
    flat = [[10, 10, 10, 30], [0, 0, 40, 40]]
    found = match(flat, Regions.empty(SIZE), replace(PLAIN, share_truth=1, jitter=0.1), rng())
    assert found.own == (0, 1) and found.objects(0) == (0,)


def test_distractors_and_ambiguous_ones_can_be_left_out() -> None:
    regions = proposed(hit(TRUTH[0], 0.9), hit(TRUTH[1], 0.4), [0, 60, 20, 80])
    kinds = {
        (d, a): {
            found.kind(i)
            for found in [match(TRUTH, regions, replace(PLAIN, keep_distractors=d, keep_ambiguous=a), rng())]
            for i in range(len(found.shown))
        }
        for d in (True, False)
        for a in (True, False)
    }
    assert kinds[True, True] == {"match", "ambiguous", "none"}
    assert kinds[True, False] == {"match", "none"}
    assert kinds[False, True] == {"match", "ambiguous"}
    assert kinds[False, False] == {"match"}


def test_the_cap_spares_objects_first_then_goes_by_score() -> None:
    regions = proposed(
        [60, 60, 80, 80], hit(TRUTH[0], 0.95), hit(TRUTH[0], 0.9), [0, 60, 20, 80], hit(TRUTH[1], 0.8),
        scores=[0.9, 0.2, 0.3, 0.95, 0.1],
    )  # fmt: skip

    def shown(cap: int) -> list[int]:
        kept = match(TRUTH, regions, replace(PLAIN, cap=cap), rng()).shown.xyxy
        return [int(np.flatnonzero((regions.xyxy == box).all(axis=1))[0]) for box in kept]

    assert [shown(cap) for cap in (1, 2, 3, 4, 5)] == [[1], [1, 4], [1, 2, 4], [1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert match(TRUTH, regions, replace(PLAIN, cap=1), rng()).own == (0, None, None)


def test_what_is_in_a_crowd_is_not_shown_unless_it_is_an_object() -> None:
    regions = proposed(hit(TRUTH[0], 0.9), [2, 45, 12, 55], [60, 60, 80, 80])
    found = match(TRUTH, regions, PLAIN, rng(), ignored=[[0, 0, 50, 100]])
    np.testing.assert_array_equal(found.shown.xyxy, regions.xyxy[[0, 2]])


def same(a: Matching, b: Matching) -> bool:
    return np.array_equal(a.shown.xyxy, b.shown.xyxy) and a.own == b.own


def test_shuffling_is_decided_by_the_generator() -> None:
    boxes = random_boxes(30, rng(1))
    mix = ProposalMix(share_truth=0.5, jitter=0.1)
    runs = [match(boxes[:10], Regions.of(boxes[10:], SIZE), mix, rng(seed)) for seed in (0, 0, 1)]
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_boxes(seed: int) -> None:
    r = rng(seed)
    truth, boxes = random_boxes(int(r.integers(0, 8)), r), random_boxes(int(r.integers(0, 25)), r)
    near = truth[r.integers(0, len(truth), 10)] + r.uniform(-4, 4, (10, 4)) if len(truth) else truth
    regions = Regions.of(np.concatenate([boxes, near]), SIZE, r.random(len(boxes) + len(near)))
    mix = ProposalMix(
        share_truth=float(r.choice([0, 0.5, 1])),
        jitter=float(r.choice([0, 0.2])),
        duplicates=str(r.choice(["name", "hide"])),  # type: ignore[arg-type]
        unmatched=str(r.choice(["drop", "add"])),  # type: ignore[arg-type]
        keep_distractors=bool(r.random() < 0.5),
        cap=int(r.choice([3, 100])),
    )
    found = match(truth, regions, mix, r)
    assert len(found.shown) <= mix.cap and len(found.own) == len(truth)
    owners = [own for own in found.own if own is not None]
    assert len(set(owners)) == len(owners)
    overlap = iou(found.shown.xyxy, truth)
    for target, own in enumerate(found.own):
        assert own is None or target in found.objects(own)
        assert (found.best(target) is None) == (found.regions(target) == ())
    for region in range(len(found.shown)):
        if found.kind(region) == "match":
            assert all(overlap[region, i] >= 0.5 for i in found.objects(region))
            assert mix.duplicates == "name" or region in owners
        else:
            assert not len(truth) or overlap[region].max() < 0.5
            assert mix.keep_distractors or found.kind(region) == "ambiguous"
    if mix.cap == 100 and mix.unmatched == "add":
        assert len(owners) == len(truth)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"share_truth": 1.5}, "share_truth"),
        ({"jitter": -0.1}, "jitter"),
        ({"match_iou": 0.0, "ambiguous": (0.0, 0.0)}, "ascending order"),
        ({"ambiguous": (0.4, 0.3)}, "ascending order"),
        ({"ambiguous": (0.4, 0.6)}, "ascending order"),
        ({"duplicates": "both"}, "'both'"),
        ({"unmatched": "keep"}, "'keep'"),
        ({"cap": 0}, "cap"),
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        ProposalMix(**wrong)  # type: ignore[arg-type]
