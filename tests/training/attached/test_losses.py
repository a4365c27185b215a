"""The loss of a batch: against plain conversations, for both vocabularies, for every family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from attachable import CASES, NAMES, attached
from fo1.data.packing import Packer
from fo1.prompts.tasks import TASKS
from fo1.scoring import region_scores
from fo1.training.attached.losses import batch_losses, prepare
from fo1.training.attached.rows import make_rows
from fo1.training.attached.tiny import tiny_model
from training.attached.scenes import lessons, records, talk

WRITES = talk("What is <region0>?", "A disc.")


def made(folder: Path, *extra, count: int = 2):
    known = [replace(one, dialogues=(*one.dialogues, *extra)) for one in records(folder, count)]
    return lessons(known).take(count)


@pytest.mark.parametrize("name", NAMES)
def test_every_family_learns_words(name: str, tmp_path: Path) -> None:
    model = attached(CASES[name].build()).model
    for part in (model.encoder, model.splice):
        part.requires_grad_(True)
    batch = prepare(model, made(tmp_path, WRITES), Packer(model.prompts, 4096))
    losses = batch_losses(model, batch)
    losses.words.backward()
    assert losses.regions == 0 and sum(one.words for one in batch) > 20
    for parameter in (*model.encoder.parameters(), *model.splice.parameters()):
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()
    assert all(p.grad is None for p in (*model.base.parameters(), *model.auxiliary.parameters()))
    total = 0.0
    with torch.no_grad():  # each dialogue by itself, unpadded, all outputs
        for one in batch:
            embeddings = model.encoder(
                one.sight.maps, *model.auxiliary([one.lesson.image]), one.lesson.regions
            )
            for row in one.rows:
                ids = torch.tensor([row.ids])
                with model.splice.bound([embeddings], [embeddings[:0]]):
                    given = model.family.inputs(ids, [one.sight])
                    if name == "paligemma":
                        given["token_type_ids"][0, row.answer :] = 1
                    out = model.base(input_ids=ids, attention_mask=torch.ones_like(ids), **given).logits[0]
                places = torch.tensor(row.words)
                total += F.cross_entropy(out[places], ids[0, places + 1], reduction="sum").item()
    assert losses.words.item() == pytest.approx(total, rel=2e-4)


def test_a_dynamic_vocabulary_is_trained_as_it_is_asked(tmp_path: Path) -> None:
    attached_model = tiny_model()
    model = attached_model.model
    assert model.splice.pointer is not None
    model.splice.pointer.query.weight.data.normal_(0, 0.3)
    lesson = made(tmp_path, count=1)[0]
    (one,) = prepare(model, [lesson], Packer(model.prompts, 4096))
    scene = attached_model.look(lesson.image, lesson.regions)
    expected = 0.0
    for row in one.rows:
        labels = sorted(r.label for r in one.rows)
        scores = region_scores(model, scene.encoded, TASKS["detect"], labels)[labels.index(row.label)]
        truth = torch.tensor([float(name == row.label) for name in lesson.record.labels])
        expected += F.binary_cross_entropy(scores, truth, reduction="sum").item()
    with torch.no_grad():
        assert batch_losses(model, [one]).regions.item() == pytest.approx(expected, rel=1e-3)


def test_at_the_pointers_start_gradients_are_of_ordinary_size(tmp_path: Path) -> None:
    """Its query of free text has length zero there, and a direction no gradient can go through."""
    model = tiny_model().model
    for part in (model.encoder, model.splice):
        part.requires_grad_(True)
    losses = batch_losses(model, prepare(model, made(tmp_path, WRITES), Packer(model.prompts, 4096)))
    (losses.words + losses.regions).backward()
    assert losses.words > 0 and losses.regions > 0
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.abs().max() < 1e4, name


def test_regions_that_may_be_the_object_bear_no_loss(tmp_path: Path) -> None:
    model = tiny_model().model
    lesson = made(tmp_path, count=1)[0]
    unclear = replace(lesson, ambiguous=~lesson.ambiguous)
    with torch.no_grad():
        clear, none = (
            batch_losses(model, prepare(model, [one], Packer(model.prompts, 4096)))
            for one in (lesson, unclear)
        )
    assert clear.regions > 0 and none.regions == 0


def test_rows_of_dialogues(tmp_path: Path) -> None:
    model = tiny_model().model
    packer, record = Packer(model.prompts, 4096), records(tmp_path, 1)[0]
    counting = talk("How many?", "<ground>cup</ground><objects><region0></objects>1")
    caption = talk("Describe.", "A <ground>cup</ground><objects><region0></objects>.")
    (scored, counted) = make_rows(packer, replace(record, dialogues=(counting,)), (5,), True)
    assert scored.label == "cup" and scored.targets == {0} and counted.label is None
    (told,) = make_rows(packer, replace(record, dialogues=(caption,)), (5,), True)
    region = model.prompts.vocabulary.region(0)
    assert region not in {told.ids[place + 1] for place in told.words}
    (written,) = make_rows(packer, replace(record, dialogues=(caption,)), (5,), False)
    assert region in {written.ids[place + 1] for place in written.words}


def test_without_regions_no_added_word_is_learnt(tmp_path: Path) -> None:
    record = records(tmp_path, 1)[0]
    bare = replace(record, boxes=[], labels=(), dialogues=(WRITES, talk("<ground>", "<ground>cup</ground>")))
    for vocabulary in ("static", "dynamic"):
        model = tiny_model(vocabulary).model
        batch = prepare(model, lessons([bare]).take(1), Packer(model.prompts, 4096))
        with torch.no_grad():
            assert batch_losses(model, batch).words < 1000
