"""Records as what a step learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fo1.data.record import ImageRef
from fo1.model import RegionModel
from fo1.training.losses import Prepared
from fo1.training.tiny import tiny_model
from training.scenes import course, records, talk


@pytest.fixture(scope="module")
def model() -> RegionModel:
    return tiny_model().model


def about(prepared: list[Prepared]) -> list[list[list[int]]]:
    return [one.exercises[0].tree.ids for one in prepared]


def test_it_goes_on_where_its_state_is_of(model: RegionModel, tmp_path: Path) -> None:
    known = records(tmp_path, 5)
    whole, first, second = (course(model, known) for _ in range(3))
    expected = about(whole.prepare(whole.take(7)))
    begun = about(first.prepare(first.take(3)))
    second.load_state_dict(first.state_dict())
    assert begun + about(second.prepare(second.take(4))) == expected


def test_what_cannot_be_used_is_skipped_and_counted(model: RegionModel, tmp_path: Path) -> None:
    good, bad = records(tmp_path, 2)
    one = course(model, [good, replace(bad, image=ImageRef("missing.png", root=tmp_path))])
    assert len(one.take(4)) == 2 and one.skipped == 2
    again = course(model, [good, bad])
    again.load_state_dict(one.state_dict())
    assert again.skipped == 2


def test_a_lesson_of_which_nothing_fits_is_left_out(model: RegionModel, tmp_path: Path) -> None:
    short, long = records(tmp_path, 2)
    known = [short, replace(long, dialogues=(talk("Tell me.", "and so on " * 100),))]
    shown = course(model, known, limit=600)
    taken = shown.take(2)
    (prepared,) = shown.prepare(taken)
    assert prepared.lesson.record.id == short.id
    assert len(shown.prepare(taken[:0])) == 0


def test_a_record_that_fits_into_no_one_exercise_becomes_several(model: RegionModel, tmp_path: Path) -> None:
    (record,) = records(tmp_path, 1)
    many = replace(record, dialogues=tuple(talk(f"What {i}?", "That. " * 20) for i in range(6)))
    shown = course(model, [many], limit=400)
    (one,) = shown.prepare(shown.take(1))
    assert len(one.exercises) > 1 and one.answers == 6
    assert all(len(exercise) <= 400 for exercise in one.exercises)


@pytest.mark.parametrize(("vocabulary", "picks"), [("dynamic", True), ("static", False)])
def test_regions_are_scored_where_the_vocabulary_is_dynamic(
    vocabulary: str, picks: bool, tmp_path: Path
) -> None:
    shown = course(tiny_model(vocabulary).model, records(tmp_path, 1))
    (one,) = shown.prepare(shown.take(1))
    assert (one.picks > 0) == picks and (one.words > 0) != picks


def test_an_image_is_encoded_as_it_will_be_looked_at(model: RegionModel, tmp_path: Path) -> None:
    shown = course(model, records(tmp_path, 1))
    (one,) = shown.prepare(shown.take(1))
    (expected,) = model.encode([one.lesson.image], [one.lesson.regions])
    with torch.no_grad():
        encoded = one.encode(model)
    torch.testing.assert_close(encoded.embeddings, expected.embeddings)
    assert encoded.regions is one.lesson.regions


@pytest.mark.parametrize("trained", [False, True])
def test_a_frozen_auxiliary_encoder_keeps_no_graph(trained: bool, tmp_path: Path) -> None:
    model = tiny_model().model
    model.encoder.requires_grad_(True)
    model.auxiliary.requires_grad_(trained)
    maps = []
    model.auxiliary.register_forward_hook(lambda _, __, out: maps.extend(out))
    shown = course(model, records(tmp_path, 1))
    (one,) = shown.prepare(shown.take(1))
    one.encode(model).embeddings.sum().backward()
    assert maps[0].maps[0].requires_grad == trained
    assert any(p.grad is not None for p in model.auxiliary.parameters()) == trained
    assert any(p.grad is not None for p in model.encoder.parameters())
