from __future__ import annotations

import pytest
import torch

from fo1.training.smol.labels import LabelTable, rightness
from fo1.training.smol.thesaurus import Thesaurus
from training.miniature import record

LABELS = ["apple", "car", "dog", "fruit", "orange", "tree"]
PLACES = [[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]]


@pytest.fixture(scope="module")
def table() -> LabelTable:
    return LabelTable(LABELS, Thesaurus())


def number(label: str) -> int:
    return LABELS.index(label)


def test_rightness_rises_between_the_two_overlaps() -> None:
    assert rightness(torch.tensor([0.0, 0.4, 0.55, 0.7, 1.0])).tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_what_is_there_is_present_by_its_name_and_wider_words(table: LabelTable) -> None:
    scene = record(["apple", "dog"], PLACES)
    truth = table.truth(scene)
    present = {LABELS[i] for i in truth.present.nonzero()[:, 0].tolist()}
    assert present == {"apple", "dog", "fruit"}
    best = scene.overlap.argmax(dim=0)
    assert truth.target[best[0], number("apple")] == 1 and truth.target[best[0], number("fruit")] == 1
    assert truth.target[best[1], number("apple")] == 0 and truth.target[best[1], number("dog")] == 1


def test_only_what_conflicts_with_nothing_is_absent(table: LabelTable) -> None:
    absent = table.truth(record(["apple", "dog"], PLACES)).absent
    assert absent[number("car")] and not absent[[number("apple"), number("dog"), number("fruit")]].any()


def test_what_may_be_there_without_a_box_is_neither(table: LabelTable) -> None:
    truth = table.truth(record(["dog"], PLACES[:1], uncertain=("apple",)))
    for label in ("apple", "fruit"):
        assert not truth.present[number(label)] and not truth.absent[number(label)]
    assert truth.present[number("dog")] and truth.absent[number("car")]


def test_clear_regions_get_their_name_and_its_rivals(table: LabelTable) -> None:
    scene = record(["apple", "dog"], PLACES)
    truth = table.truth(scene)
    clear = scene.overlap.max(dim=1).values >= 0.6
    assert clear.any() and ((truth.name >= 0) == clear).all()
    row = int(scene.overlap[:, 0].argmax())
    assert truth.name[row] == number("apple")
    rivals = {LABELS[i] for i in truth.alike[row].nonzero()[:, 0].tolist()}
    assert rivals >= {"apple", "car", "dog"} and "fruit" not in rivals
    assert not truth.alike[truth.name < 0].any()


def test_an_empty_scene_denies_everything(table: LabelTable) -> None:
    truth = table.truth(record([], []))
    assert truth.absent.all() and not truth.present.any() and (truth.name == -1).all()


def test_numbers_of_labels(table: LabelTable) -> None:
    assert table.numbers(["dog", "apple"]) == [2, 0]
    with pytest.raises(KeyError):
        table.numbers(["unicorn"])
