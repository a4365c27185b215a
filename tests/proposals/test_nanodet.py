from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fo1
from fo1.boxes import iou
from fo1.encoders.nanodet import NanoDet
from fo1.proposals.nanodet import NanoDetProposer, decoded
from fo1.proposals.proposer import FeatureProposer, Selection

WEIGHTS = Path(fo1.__file__).parent / "bundled" / "fo1-smol" / "nanodet.safetensors"
PHOTOS = Path(__file__).parents[2] / "photos"


def photo(name: str) -> Image.Image:
    return Image.open(PHOTOS / f"{name}.jpg").convert("RGB")


@pytest.fixture(scope="module")
def proposer() -> NanoDetProposer:
    return NanoDetProposer(NanoDet.from_file(WEIGHTS))


def test_distances_are_measured_in_cells_from_the_cell_centre() -> None:
    logits = torch.full((4, 11, 2, 3), -50.0)
    for side, cells in enumerate((1, 2, 3, 4)):
        logits[side, cells] = 50.0
    boxes = decoded(logits.flatten(0, 1), stride=8)
    assert boxes.shape == (6, 4)
    assert boxes[0].tolist() == pytest.approx([4 - 8, 4 - 16, 4 + 24, 4 + 32])
    assert boxes[5].tolist() == pytest.approx([20 - 8, 12 - 16, 20 + 24, 12 + 32])  # second row, third column


def test_distance_is_the_mean_of_the_distribution() -> None:
    logits = torch.full((4, 11, 1, 1), -50.0)
    logits[:, [0, 1]] = 1.0
    assert decoded(logits.flatten(0, 1), stride=32)[0].tolist() == pytest.approx([0, 0, 32, 32])


@pytest.mark.parametrize(
    ("name", "label", "box", "score"),
    [
        ("astronaut", "person", (12, 15, 363, 512), 0.6),
        ("cat_face", "cat", (0, 0, 420, 300), 0.4),
        ("coffee", "cup", (173, 20, 415, 255), 0.2),
    ],
)
def test_finds_what_is_in_photographs(
    proposer: NanoDetProposer, name: str, label: str, box: tuple[int, ...], score: float
) -> None:
    image = photo(name)
    (regions,) = proposer.propose([image])
    best = int(iou([box], regions.xyxy)[0].argmax())
    assert iou([box], regions.xyxy[best])[0, 0] > 0.9
    assert regions.labels is not None and regions.labels[best] == label
    assert regions.scores[best] > score
    assert regions.image_size == image.size


def test_boxes_are_in_the_pixels_of_the_image_given(proposer: NanoDetProposer) -> None:
    image = photo("astronaut")
    wide = image.resize((image.width * 2, image.height))
    narrow, stretched = (proposer.propose([i])[0] for i in (image, wide))
    person = iou([(24, 15, 726, 512)], stretched.xyxy)[0].max()
    assert person > 0.7
    assert stretched.image_size == (1024, 512)
    assert narrow.xyxy.max() <= 512 < stretched.xyxy.max() <= 1024


def test_regions_are_selected_and_inside(proposer: NanoDetProposer) -> None:
    strict = NanoDetProposer(proposer.encoder, Selection(min_score=0.1, iou=0.5, top_k=12))
    (regions,) = strict.propose([photo("coffee")])
    assert 3 < len(regions) <= 12
    assert (np.diff(regions.scores) <= 0).all() and regions.scores[-1] >= 0.1
    overlaps = iou(regions.xyxy, regions.xyxy) - np.eye(len(regions))
    assert overlaps.max() <= 0.5
    assert (regions.xyxy >= 0).all() and (regions.xyxy <= [600, 400, 600, 400]).all()


def test_features_computed_before_give_the_same(proposer: NanoDetProposer) -> None:
    assert isinstance(proposer, FeatureProposer)
    images = [photo("coffee"), photo("cat_face")]
    for a, b in zip(proposer.propose(images), proposer.propose_from(proposer.encoder(images)), strict=True):
        np.testing.assert_allclose(a.xyxy, b.xyxy, atol=1e-3)
        assert a.labels == b.labels


def test_half_precision_finds_the_same(proposer: NanoDetProposer) -> None:
    half = NanoDetProposer(NanoDet.from_file(WEIGHTS).to(torch.bfloat16))
    image = [photo("astronaut")]
    (a,), (b,) = proposer.propose(image), half.propose(image)
    assert iou(a.xyxy[:10], b.xyxy).max(axis=1).min() > 0.9


@pytest.mark.parametrize("size", [(1, 1), (5, 700), (33, 31)])
def test_tiny_and_narrow_images(proposer: NanoDetProposer, size: tuple[int, int]) -> None:
    (regions,) = proposer.propose([Image.new("RGB", size)])
    assert regions.image_size == size
    assert (regions.xyxy <= [*size, *size]).all()


def test_no_images(proposer: NanoDetProposer) -> None:
    assert proposer.propose([]) == []
