"""Large images, tile by tile, with tiny models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from attachable import CASES, attached
from fo1.errors import RegionError
from fo1.pipeline import FO1
from fo1.settings import Settings
from fo1.types import Regions
from tiny import picture, region_model

SIZE = (320, 192)
SIDE = 96


class NearSighted:
    """A proposer that finds each colour's box, if it is not small against the picture it is given."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        self.seen += [image.size for image in images]
        return [self.one(image) for image in images]

    def one(self, image: Image.Image) -> Regions:
        pixels, boxes, labels = np.asarray(image)[..., 0], [], []
        for colour in np.unique(pixels[pixels > 0]):
            rows, columns = np.nonzero(pixels == colour)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            if max(box[2] - box[0], box[3] - box[1]) > max(image.size) / 10:
                boxes.append(box)
                labels.append(f"shade {colour}")
        return Regions.of(boxes, image.size, labels=labels)


def painted(boxes: Sequence[Sequence[int]], size: tuple[int, int] = SIZE) -> Image.Image:
    """Boxes on black, each in its own shade."""
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    for shade, (x1, y1, x2, y2) in enumerate(boxes, 1):
        pixels[y1:y2, x1:x2] = shade
    return Image.fromarray(pixels)


SMALL = [[x, y, x + 14, y + 12] for y in range(5, 170, 24) for x in range(3, 300, 22)]
LARGE = [[20, 20, 200, 150]]


def near_sighted(**options: int) -> FO1:
    return FO1(region_model(proposer=NearSighted(), **options), Settings("tiny"))


def noisy(seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_small_things_are_found_once_each_where_they_are() -> None:
    model = near_sighted()
    image = painted(SMALL)
    assert len(model.look(image).regions) == 0
    scene = model.look(image, tiles=SIDE)
    assert sorted(scene.regions.xyxy.tolist()) == sorted(SMALL)
    assert scene.regions.image_size == SIZE
    for box, label in zip(scene.regions.xyxy.tolist(), scene.regions.labels or (), strict=True):
        assert label == f"shade {1 + SMALL.index(box)}"


def test_what_fits_no_tile_is_found_on_the_whole_image() -> None:
    scene = near_sighted().look(painted(LARGE), tiles=SIDE)
    assert scene.regions.xyxy.tolist() == LARGE


@pytest.mark.parametrize("tiles", [320, 1000, "auto"])
def test_an_image_no_larger_than_a_tile_is_looked_at_as_without(tiny_fo1: FO1, tiles: int) -> None:
    plain, tiled = tiny_fo1.look(noisy()).encoded, tiny_fo1.look(noisy(), tiles=tiles).encoded
    assert (plain.regions.xyxy == tiled.regions.xyxy).all()
    assert torch.equal(plain.embeddings, tiled.embeddings)
    assert torch.equal(plain.image_tokens, tiled.image_tokens)


@pytest.mark.parametrize("tiles", [0, -1, 63, "many"])
def test_tiles_that_cannot_be(tiny_fo1: FO1, tiles: int) -> None:
    with pytest.raises(RegionError, match="tiles must"):
        tiny_fo1.look(noisy(), tiles=tiles)


# Features


@pytest.fixture(scope="module")
def knowing() -> FO1:
    """A model whose encoders know names, so that there is evidence."""
    return FO1(region_model(classes=4), Settings("tiny"))


TILED = [[10.0, 10.0, 40.0, 30.0], [250.0, 120.0, 280.0, 160.0]]
"""In the first tile, and in the last, which begins at (224, 96)."""


def test_a_region_is_read_from_its_tile_and_placed_in_the_whole_image(knowing: FO1) -> None:
    image, model = noisy(), knowing.model
    encoded = knowing.look(image, [*TILED, [5, 5, 300, 180]], tiles=SIDE).encoded
    whole = knowing.look(image, [*TILED, [5, 5, 300, 180]]).encoded
    for row, (corner, box) in enumerate(zip([(0, 0), (224, 96)], TILED, strict=True)):
        tile = image.crop((*corner, corner[0] + SIDE, corner[1] + SIDE))
        local = Regions.of([np.array(box) - [*corner, *corner]], tile.size)
        (features,) = model.pooled([tile], [local])
        placed = torch.tensor([box]) / torch.tensor([*SIZE, *SIZE])
        wanted = model.encoder.embed(replace(features, boxes=placed))
        assert torch.allclose(encoded.embeddings[row], wanted[0], atol=1e-5)
        assert torch.allclose(encoded.evidence[row], features.evidence[0], atol=1e-6)
        assert not torch.allclose(encoded.embeddings[row], whole.embeddings[row], atol=1e-2)
    assert torch.equal(encoded.embeddings[2], whole.embeddings[2])  # larger than a tile
    assert torch.equal(encoded.image_tokens, whole.image_tokens)


def test_given_boxes_are_kept_in_their_order_and_none_is_fine(knowing: FO1) -> None:
    boxes = np.random.default_rng(0).uniform(0, 150, (30, 4)) + [0, 0, 160, 40]
    boxes[::2, 2:] = boxes[::2, :2] + 12
    boxes[:, 3] = np.maximum(boxes[:, 3], boxes[:, 1])
    scene = knowing.look(noisy(), boxes, tiles=SIDE)
    assert np.allclose(scene.regions.xyxy, boxes)
    assert len(knowing.look(noisy(), [], tiles=SIDE).detect("cup")) == 0


def test_many_images_at_once_are_as_one_at_a_time() -> None:
    model = near_sighted()
    images = [painted(SMALL), picture(0), painted(LARGE), picture(1, (64, 300))]
    for image, scene in zip(images, model.look_many(images, tiles=SIDE), strict=True):
        alone = model.look(image, tiles=SIDE)
        assert scene.regions.xyxy.tolist() == alone.regions.xyxy.tolist()
        assert torch.allclose(scene.encoded.embeddings, alone.encoded.embeddings, atol=1e-5)


def test_a_long_strip() -> None:
    strip = [[x, 2, x + 20, 6] for x in range(10, 1950, 40)]
    scene = near_sighted().look(painted(strip, (2000, 8)), tiles=128)
    assert sorted(scene.regions.xyxy.tolist()) == sorted(strip)


# Asking


def test_more_regions_than_the_model_has_names_for() -> None:
    model = near_sighted(capacity=8)
    scene = model.look(painted(SMALL), tiles=SIDE)
    found = scene.detect("cup", threshold=0.0)
    assert len(SMALL) > 90 and sorted(found.regions.tolist()) == list(range(len(SMALL)))
    for one in found:
        assert list(one.box) == scene.regions.xyxy[one.region].tolist()
    assert isinstance(scene.ask(f"What is <region{len(SMALL) - 1}>?", 4), str)


def test_the_best_of_all_tiles(tiny_fo1: FO1) -> None:
    every = tiny_fo1.look(noisy(), tiles=SIDE).regions
    best = tiny_fo1.look(noisy(), top_k=3, tiles=SIDE).regions
    assert len(every) > 6 and best.scores.tolist() == every.scores[:3].tolist()


def test_a_model_without_a_proposer() -> None:
    model = region_model()
    model.proposer = None
    with pytest.raises(RegionError, match="no proposer"):
        FO1(model, Settings("given")).look(noisy(), tiles=SIDE)
    assert len(FO1(model, Settings("given")).look(noisy(), TILED, tiles=SIDE).regions) == 2


def test_a_base_with_eyes_sees_the_whole_image_and_reads_regions_from_tiles() -> None:
    model = attached(CASES["qwen2_5_vl"].build())
    seen: list[tuple[int, int]] = []
    look = model.model.family.see
    model.model.family.see = lambda images: seen.extend(i.size for i in images) or look(images)  # type: ignore
    plain, tiled = model.look(noisy(), TILED).encoded, model.look(noisy(), TILED, tiles=SIDE).encoded
    assert seen == [SIZE, SIZE, (SIDE, SIDE), (SIDE, SIDE)]  # two of the tiles hold a region
    assert tiled.sight.ids == plain.sight.ids
    assert not torch.allclose(plain.embeddings, tiled.embeddings, atol=1e-3)
    scene = model.look(noisy(), TILED, tiles=SIDE)
    assert isinstance(scene.ask("What is <region1>?", 4), str)
