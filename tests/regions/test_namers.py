from __future__ import annotations

import torch
from torch import nn

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.encoders.nanodet import NanoDet
from fo1.regions.namers import ClassifierNamer, DetectorNamer, pairwise_iou

FRAME = Frame((64, 64), (64, 64))


def test_a_classifier_reads_the_last_numbers_of_the_feature() -> None:
    classifier = nn.Linear(2, 3)
    nn.init.zeros_(classifier.bias)
    classifier.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    namer = ClassifierNamer(classifier)
    assert (namer.classes, list(namer.parameters())) == (3, [])
    pooled = torch.tensor([[9.0, 4.0, 1.0], [-9.0, 4.0, 1.0]])
    features = FeatureMaps((), (), FRAME)
    probabilities = namer(features, torch.zeros(2, 4), pooled)
    torch.testing.assert_close(probabilities, torch.tensor([[4.0, 1.0, 0.0]] * 2).softmax(dim=1))


def test_a_classifier_in_half_precision_gives_float32() -> None:
    namer = ClassifierNamer(nn.Linear(2, 3).bfloat16())
    probabilities = namer(FeatureMaps((), (), FRAME), torch.zeros(1, 4), torch.ones(1, 5))
    assert probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities.sum(), torch.tensor(1.0))


def detector_maps(row: int, column: int, name: int, probability: float, reach: int = 1) -> FeatureMaps:
    """NanoDet's maps of a 64 × 64 input where one cell of stride 8 sees `reach` cells to each side."""
    sides = (8, 4, 2)
    classes = [torch.zeros(80, side, side) for side in sides]
    boxes = [torch.zeros(44, side, side) for side in sides]
    classes[0][name, row, column] = probability
    for level in boxes:
        for side in range(4):
            level[11 * side + reach] = 60.0
    blank = [torch.zeros(1, side, side) for side in sides]
    return FeatureMaps((*blank, *blank, *classes, *boxes), (8.0, 16.0, 32.0) * 4, FRAME)


def test_cells_vote_by_overlap_and_probability() -> None:
    features = detector_maps(row=2, column=3, name=17, probability=0.8)  # box (20, 12) … (36, 28)
    boxes = torch.tensor([[20.0, 12.0, 36.0, 28.0], [20.0, 12.0, 28.0, 28.0], [50.0, 50.0, 60.0, 60.0]])
    votes = DetectorNamer()(features, boxes, torch.zeros(3, 0))
    assert votes.shape == (3, NanoDet.CLASS_COUNT)
    torch.testing.assert_close(votes[:, 17], torch.tensor([0.8, 0.8 * 0.25, 0.0]))
    assert votes.sum() == votes[:, 17].sum()


def test_only_the_best_cells_vote() -> None:
    features = detector_maps(row=2, column=3, name=17, probability=0.8)
    features.maps[NanoDet.CLASSES][0][5, 6, 6] = 0.9
    box = torch.tensor([[20.0, 12.0, 36.0, 28.0]])
    assert DetectorNamer(cells=1)(features, box, torch.zeros(1, 0))[0, 17] == 0
    assert DetectorNamer(cells=2)(features, box, torch.zeros(1, 0))[0, 17] > 0.7


def test_no_boxes() -> None:
    features = detector_maps(0, 0, 0, 0.5)
    assert DetectorNamer()(features, torch.zeros(0, 4), torch.zeros(0, 0)).shape == (0, 80)


def test_pairwise_iou() -> None:
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    b = torch.tensor([[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    torch.testing.assert_close(pairwise_iou(a, b), torch.tensor([[1 / 3, 1.0], [0.0, 0.0]]))
