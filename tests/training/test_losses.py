"""The loss of a batch: against plain conversations, for both vocabularies, for every family."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attachable import CASES, NAMES, attached
from fo1.checkpoints import low_rank
from fo1.data.record import Turn
from fo1.model import Encoded, RegionModel
from fo1.prompts.tasks import TASKS
from fo1.regions.encoder import RegionFeatures
from fo1.scoring import region_scores
from fo1.training.course import SeenLesson
from fo1.training.losses import Prepared, batch_losses
from fo1.training.smol.recipe import STAGE_2
from fo1.training.smol.records import FIELDS
from fo1.training.stage import parameter_groups
from fo1.training.tiny import tiny_model
from fo1.vlm.tap import heard
from tiny import region_model
from training.miniature import ASKED, TARGETS, grounding, maker, record, scene, telling
from training.scenes import course, records, talk

WRITES = talk("What is <region0>?", "A disc.")


def seen(model: RegionModel, folder: Path, *more: tuple[Turn, Turn], count: int = 2) -> list[Prepared]:
    """Painted scenes as prepared lessons; each asks for its labels, and what `more` asks."""
    known = [replace(one, dialogues=(*one.dialogues, *more)) for one in records(folder, count)]
    shown = course(model, known)
    return shown.prepare(shown.take(count))


def total(model: RegionModel, batch: list[Prepared]) -> Tensor:
    losses = batch_losses(model, batch)
    return losses.words + losses.regions


def read_alone(
    model: RegionModel, encoded: Encoded, ids: list[int], answer: int | None = None
) -> tuple[Tensor, Tensor]:
    """Last hidden states and logits of one plain sequence. answer: its column from which the model writes."""
    row = torch.tensor([ids])
    given = model.family.inputs(row, [encoded.sight])
    if model.family.reads_prompt_both_ways:
        given["token_type_ids"][0, answer:] = 1
    with torch.no_grad(), model.bound([encoded]), heard(model.base.get_output_embeddings()) as states:
        logits = model.base(input_ids=row, attention_mask=torch.ones_like(row), **given).logits
    return states[0][0], logits[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_family_learns_the_words_of_plain_conversations(name: str, tmp_path: Path) -> None:
    model = attached(CASES[name].build()).model
    for part in (model.encoder, model.splice):
        part.requires_grad_(True)
    batch = seen(model, tmp_path, WRITES)
    losses = batch_losses(model, batch)
    losses.words.backward()
    for parameter in (*model.encoder.parameters(), *model.splice.parameters()):
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()
    assert all(p.grad is None for p in (*model.base.parameters(), *model.auxiliary.parameters()))
    expected, prompts = 0.0, model.prompts
    for one in batch:
        assert isinstance(one, SeenLesson)
        (encoded,) = model.encode([one.lesson.image], [one.lesson.regions])
        count = len(encoded.regions)
        for question, answer in one.lesson.record.dialogues:
            asked = prompts.prefix(encoded.sight.ids, count) + prompts.question(question.text, count)
            said = [*prompts.answer_text(answer.text, count), prompts.stop_id]
            _, logits = read_alone(model, encoded, asked + said, len(asked))
            expected += F.cross_entropy(
                logits[len(asked) - 1 : -1], torch.tensor(said), reduction="sum"
            ).item()
    assert losses.words.item() == pytest.approx(expected, rel=2e-4) and losses.regions == 0


def test_a_dynamic_vocabulary_is_trained_as_it_is_asked(tmp_path: Path) -> None:
    known = tiny_model()
    model = known.model
    model.splice.pointer.query.weight.data.normal_(0, 0.3)
    (one,) = seen(model, tmp_path, count=1)
    lesson = one.lesson
    look = known.look(lesson.image, lesson.regions)
    picks = one.exercises[0].picks
    scores = region_scores(model, look.encoded, TASKS["detect"], [pick.phrase for pick in picks])
    truth = torch.tensor([[float(name == pick.phrase) for name in lesson.record.labels] for pick in picks])
    expected = F.binary_cross_entropy(scores, truth, reduction="sum").item()
    with torch.no_grad():
        losses = batch_losses(model, [one])
    assert losses.regions.item() == pytest.approx(expected, rel=1e-3) and losses.words == 0


@torch.no_grad()
@pytest.mark.parametrize("classes", [0, 4])
def test_region_loss_is_a_yes_or_no_summed_over_regions(classes: int) -> None:
    """With what the classifiers say, if there are any."""
    model = region_model(classes=classes)
    asked = grounding(model)
    encoded, prompts, expected = asked.encode(model), model.prompts, 0.0
    prompt = prompts.prefix(asked.image, 3) + prompts.question(ASKED, 3)
    for label, target in TARGETS.items():
        hidden, _ = read_alone(model, encoded, prompt + prompts.naming(label, 3))
        phrase = model.phrase_embeddings([label])
        logits = model.splice.pointer(hidden[-1:], encoded.embeddings, phrase)
        if classes:
            logits = logits + model.encoder.evidence.support(phrase, encoded.evidence)
        chances = logits[0].sigmoid()
        expected -= (target * chances.log() + (1 - target) * (1 - chances).log()).sum().item()
    losses = batch_losses(model, [asked])
    assert losses.regions.item() == pytest.approx(expected, rel=1e-4) and losses.words == 0


@torch.no_grad()
def test_a_target_that_is_no_number_is_not_learnt() -> None:
    model = region_model()
    clear, unclear, none = (grounding(model) for _ in range(3))
    logits = []
    for made, target in ((clear, [1.0, 0.0, 1.0]), (unclear, [1.0, math.nan, 1.0]), (none, [math.nan] * 3)):
        made.exercises[0].picks[:] = [made.exercises[0].picks[0]._replace(target=torch.tensor(target))]
        logits.append(batch_losses(model, [made]).regions)
    encoded = clear.encode(model)
    prompt = model.prompts.prefix(clear.image, 3) + model.prompts.question(ASKED, 3)
    hidden, _ = read_alone(model, encoded, prompt + model.prompts.naming("apple", 3))
    phrase = model.phrase_embeddings(["apple"])
    second = model.region_logits(hidden[-1:], encoded.embeddings, encoded.evidence, phrase)[0, 1]
    assert (logits[0] - logits[1]).item() == pytest.approx(F.softplus(second).item(), rel=1e-3)
    assert logits[2] == 0


def test_no_gradient_is_lost_where_something_is_not_learnt() -> None:
    model = region_model()
    parameter_groups(model, replace(STAGE_2, rates={"encoder.*": 1.0}))
    asked = grounding(model)
    asked.exercises[0].picks[0].target[1] = math.nan
    batch_losses(model, [asked]).regions.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.encoder.connector.parameters())


@torch.no_grad()
def test_word_loss_is_the_cross_entropy_of_the_answer_among_words() -> None:
    """Regions are no words: the pointer says them."""
    model = region_model()
    asked, vocabulary = telling(model), model.prompts.vocabulary
    answer = [word.token for word in asked.exercises[0].words]
    prompt = model.prompts.prefix(asked.image, 2) + model.prompts.question("Is it so?", 2)
    _, logits = read_alone(model, asked.encode(model), prompt + answer)
    logits[:, vocabulary.first_region : vocabulary.first_region + vocabulary.capacity] = -torch.inf
    expected = F.cross_entropy(logits[len(prompt) - 1 : -1], torch.tensor(answer), reduction="sum")
    losses = batch_losses(model, [asked])
    assert len(answer) == 5 and losses.regions == 0
    assert losses.words.item() == pytest.approx(expected.item(), rel=1e-4)


@torch.no_grad()
def test_a_tag_after_the_regions_columns_is_learnt_as_itself() -> None:
    model = region_model()
    vocabulary, made = model.prompts.vocabulary, scene(model, 2, 7)
    question = made.exercises[0].tree.add(model.prompts.question("So?", 2), 0)
    tag = vocabulary.tags["<ground>"]
    assert tag >= vocabulary.first_region + vocabulary.capacity
    made.exercises[0].write(question, [tag])
    prompt = model.prompts.prefix(made.image, 2) + model.prompts.question("So?", 2)
    _, logits = read_alone(model, made.encode(model), prompt)
    logits[:, vocabulary.first_region : vocabulary.first_region + vocabulary.capacity] = -torch.inf
    assert batch_losses(model, [made]).words.item() == pytest.approx(
        -logits[-1].log_softmax(0)[tag].item(), rel=1e-4
    )


@torch.no_grad()
def test_losses_of_a_batch_are_sums() -> None:
    model = region_model()
    batch = [grounding(model, 1), telling(model), grounding(model, 2)]
    alone = [batch_losses(model, [one]) for one in batch]
    together = batch_losses(model, batch)
    for name in ("words", "regions"):
        expected = sum(getattr(one, name).item() for one in alone)
        assert getattr(together, name).item() == pytest.approx(expected, rel=1e-4)
    assert [sum(getattr(one, name) for one in batch) for name in ("words", "picks", "answers")] == [5, 4, 5]


@torch.no_grad()
def test_features_from_a_cache_in_half_precision() -> None:
    model = region_model()
    full = grounding(model)
    stored = {name: getattr(full.features, name).half() for name in FIELDS}
    half = replace(full, features=RegionFeatures(**stored))
    assert total(model, [half]).item() == pytest.approx(total(model, [full]).item(), rel=1e-2)


@torch.no_grad()
def test_a_scene_without_regions_still_teaches_words() -> None:
    model = region_model()
    bare = record(["apple", "apple"], [[0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.6, 0.6]], [])
    batch = [maker(model)(bare, np.random.default_rng(seed)) for seed in range(9)]
    losses = batch_losses(model, batch)
    assert losses.regions == 0 and 0 < losses.words < torch.inf
    assert sum(one.picks for one in batch) > 9


def test_at_the_pointers_start_gradients_are_of_ordinary_size(tmp_path: Path) -> None:
    """Its query of free text has length zero there, and a direction no gradient can go through."""
    model = tiny_model().model
    for part in (model.encoder, model.splice):
        part.requires_grad_(True)
    losses = batch_losses(model, seen(model, tmp_path, WRITES))
    (losses.words + losses.regions).backward()
    assert losses.words > 0 and losses.regions > 0
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.abs().max() < 1e4, name


def with_factors() -> RegionModel:
    """As stage 2 trains it, with factors away from their start at zero."""
    model = region_model(classes=4)
    parameter_groups(model, replace(STAGE_2, rank=2))
    for name, factor in low_rank.factors(model.base).items():
        if name.endswith(".up"):
            nn.init.normal_(factor, 0, 0.02, generator=torch.Generator().manual_seed(len(name)))
    return model


def reached(model: RegionModel) -> set[str]:
    """Parameters with a gradient other than zero."""
    return {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}


def test_gradients_reach_what_stage_2_trains_and_nothing_else() -> None:
    model = with_factors()
    batch = [grounding(model), telling(model)]
    total(model, batch).backward()
    wanted = {f"base.{name}" for name in low_rank.factors(model.base)}
    wanted |= {"splice.input_rows", "splice.output_rows"}
    wanted |= {f"encoder.connector.{name}" for name, _ in model.encoder.connector.named_parameters()}
    wanted |= {f"splice.pointer.{name}" for name, _ in model.splice.pointer.named_parameters()}
    assert reached(model) == wanted
    assert len(low_rank.factors(model.base)) == 2 * 2 * 7  # layers, factors, linear layers of a Llama layer
    vocabulary = model.prompts.vocabulary
    rows = model.splice.input_rows.grad.abs().sum(dim=1).nonzero()[:, 0] + vocabulary.first_region
    read = {token for one in batch for token in one.exercises[0].tree.tokens().tolist()}
    own = {token for token in read if token >= vocabulary.first_region} - {vocabulary.image_slot}
    assert set(rows.tolist()) == own


def test_words_teach_the_connector_without_the_pointer() -> None:
    model = with_factors()
    total(model, [telling(model)]).backward()
    names = reached(model)
    assert "encoder.connector.mlp.1.weight" in names and "splice.input_rows" in names
    assert not any(name.startswith(("splice.pointer", "encoder.evidence.")) for name in names)


def test_gradients_are_those_of_finite_differences() -> None:
    model = with_factors()
    batch: list[Prepared] = [grounding(model), telling(model)]
    total(model, batch).backward()
    connector, pointer = model.encoder.connector, model.splice.pointer
    for parameter in (connector.mlp[1].bias, pointer.gain, connector.gain):
        direction = F.normalize(torch.ones_like(parameter), dim=0) if parameter.dim() else torch.tensor(1.0)
        slope = (parameter.grad * direction).sum().item()
        sums = []
        with torch.no_grad():
            for step in (1e-2, -1e-2):
                parameter += step * direction
                sums.append(total(model, batch).item())
                parameter -= step * direction
        assert (sums[0] - sums[1]) / 2e-2 == pytest.approx(slope, rel=0.05, abs=1e-3)
