from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fo1.regions.encoder import RegionFeatures
from fo1.regions.gallery import Gallery
from fo1.training.smol.gallery import Halves, Things, fit, of_half
from fo1.training.smol.records import SceneRecord
from tiny import region_model

NAMES = ("cat", "dog", "cup", "sea")
WIDTH = 16  # of each branch
BOX = [0.1, 0.1, 0.4, 0.4]


def scene(seen: dict[str, Tensor], half: int = 0) -> SceneRecord:
    """One region a name, with these features, and the whole image."""
    rows = torch.stack([*seen.values(), torch.zeros(2 * WIDTH)])
    boxes = torch.tensor([BOX] * len(rows))
    features = RegionFeatures(rows[:, :WIDTH], rows[:, WIDTH:], torch.zeros(len(rows), 0), boxes)
    return SceneRecord(features, torch.eye(len(seen)), tuple(seen), boxes[:-1], half=half)


def world(count: int, seed: int = 0) -> list[SceneRecord]:
    """Names differ in quiet directions; pictures of one name in loud ones, which hide that."""
    generator = torch.Generator().manual_seed(seed)
    scenes = []
    for number in range(count):
        rows = {}
        for column, name in enumerate(NAMES[:3]):
            row = torch.randn(2 * WIDTH, generator=generator)
            row[[3, 7, WIDTH + 2]] = 0.05 * torch.randn(3, generator=generator)
            row[[3, 7, WIDTH + 2][column]] += 1.0
            rows[name] = row
        scenes.append(scene(rows, half=number % 2))
    return scenes


@pytest.fixture(scope="module")
def fitted() -> tuple[Gallery, Things]:
    encoder = region_model().encoder
    things = Things.of(world(150), encoder, NAMES)
    gallery = Gallery(2 * WIDTH, len(NAMES), width=3, examples=2)
    fit(gallery, things)
    return gallery, things


def accuracy(gallery: Gallery, records: list[SceneRecord]) -> float:
    things = Things.of(records, region_model().encoder, NAMES)
    return (gallery(things.features).argmax(dim=1) == things.name).float().mean().item()


def test_new_pictures_are_told_apart_where_their_nearest_pictures_are_not(
    fitted: tuple[Gallery, Things],
) -> None:
    gallery, things = fitted
    fresh = Things.of(world(60, seed=1), region_model().encoder, NAMES)
    nearest = things.name[torch.cdist(fresh.features, things.features).argmin(dim=1)]
    assert (nearest == fresh.name).float().mean() < 0.6
    assert accuracy(gallery, world(60, seed=1)) > 0.95


def test_examples_are_unit_vectors_and_names_without_pictures_have_none(
    fitted: tuple[Gallery, Things],
) -> None:
    lengths = fitted[0].examples.norm(dim=2)
    torch.testing.assert_close(lengths[:3], torch.ones(3, 2))
    assert lengths[3].sum() == 0


def test_a_half_keeps_the_space_and_forgets_the_other_half(fitted: tuple[Gallery, Things]) -> None:
    gallery, things = fitted
    only = [i for i, half in enumerate(things.half.tolist()) if half == 0 or things.name[i] != 0]
    some = Things(things.features[only], things.name[only], things.half[only])  # cats in the first half alone
    second = of_half(gallery, some, 1)
    torch.testing.assert_close(second.basis, gallery.basis)
    assert second.examples[0].abs().sum() == 0 < second.examples[1].abs().sum()
    assert not torch.equal(second.examples, gallery.examples)


def test_a_scene_is_met_with_the_other_halfs_gallery(fitted: tuple[Gallery, Things]) -> None:
    encoder = region_model().encoder
    told = [Gallery(2 * WIDTH, len(NAMES), 3, 2) for _ in range(2)]
    for number, one in enumerate(told):
        one.load_state_dict(fitted[0].state_dict())
        one.examples.zero_()
        one.examples[number] = fitted[0].examples[number]
    halves, (first, second) = Halves(encoder, told), world(2)
    for record, known in ((first, 1), (second, 0)):
        recalled = halves(record).features.recalled
        assert recalled is not None and recalled.shape == (4, len(NAMES))
        assert recalled[known, known] > 0.5 > recalled[1 - known, 1 - known]


def test_only_clear_things_of_known_names_count() -> None:
    seen = scene({"cat": torch.ones(2 * WIDTH), "ghost": torch.ones(2 * WIDTH)})
    encoder = region_model().encoder
    assert Things.of([seen], encoder, NAMES).name.tolist() == [0]
    blurred = replace(seen, overlap=0.5 * seen.overlap)
    with pytest.raises(ValueError, match="no scene shows"):
        Things.of([blurred], encoder, NAMES)
