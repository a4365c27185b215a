from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fo1.checkpoints import low_rank
from fo1.model import RegionModel
from fo1.regions.encoder import RegionFeatures
from fo1.training.losses import Losses, batch_losses
from fo1.training.questions import Pick, Sample
from fo1.training.smol import STAGE_2
from fo1.training.trainer import parameter_groups
from tiny import region_model
from training.miniature import features, maker, record

TARGETS = {"apple": torch.tensor([1.0, 0.0, 0.25]), "dog": torch.tensor([0.0, 0.0, 0.0])}


@pytest.fixture(scope="module")
def region() -> RegionModel:
    return region_model()


def seen(model: RegionModel, count: int, seed: int) -> RegionFeatures:
    evidence = model.encoder.evidence
    return features(count, seed, sum(evidence.sizes) if evidence else 0)


def grounding(model: RegionModel, seed: int = 0) -> Sample:
    """Three regions; both labels below one question."""
    sample = Sample(seen(model, 4, seed))
    root = sample.tree.add(model.prompts.prefix([model.prompts.vocabulary.image_slot], 3))
    question = sample.tree.add(model.prompts.question("Detect apple, dog.", 3), root)
    for label, target in TARGETS.items():
        segment = sample.tree.add(model.prompts.naming(label, 3), question)
        sample.picks.append(Pick(sample.tree.last(segment), label, target))
    return sample


def telling(model: RegionModel) -> Sample:
    """Two regions; "Is it so?", answered " Yes" and a stop."""
    sample = Sample(seen(model, 3, seed=7))
    root = sample.tree.add(model.prompts.prefix([model.prompts.vocabulary.image_slot], 2))
    question = sample.tree.add(model.prompts.question("Is it so?", 2), root)
    ids = [*model.prompts.template(" Yes"), model.prompts.stop_id]
    sample.tree.add(ids, question)
    first = sample.tree.last(question)
    sample.words = [(first + i, token) for i, token in enumerate(ids)]
    return sample


def read_alone(model: RegionModel, seen: RegionFeatures, ids: list[int]) -> tuple[Tensor, Tensor]:
    """Hidden states of one plain sequence without any tree, and the region embeddings."""
    embedded = model.encoder.embed(seen)
    with model.splice.bound([embedded[:-1]], [embedded[-1:]]):
        hidden = model.base.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return hidden, embedded[:-1]


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


@torch.no_grad()
def test_region_loss_is_a_yes_or_no_summed_over_regions(region: RegionModel) -> None:
    sample = grounding(region)
    expected = []
    for label, target in TARGETS.items():
        ids = region.prompts.prefix([region.prompts.vocabulary.image_slot], 3) + region.prompts.question(
            "Detect apple, dog.", 3
        )
        hidden, regions = read_alone(region, sample.features, ids + region.prompts.naming(label, 3))
        phrase = region.phrase_embeddings([label])
        scores = region.splice.pointer(hidden[-1:], regions, phrase)[0].tolist()
        pairs = zip(scores, target.tolist(), strict=True)
        expected.append(-sum(t * log_sigmoid(s) + (1 - t) * log_sigmoid(-s) for s, t in pairs))
    losses = batch_losses(region, [sample])
    assert losses.regions.item() == pytest.approx(sum(expected) / 2, rel=1e-4)
    assert losses.words.item() == 0
    assert losses.total.item() == pytest.approx(losses.regions.item())


@torch.no_grad()
def test_region_loss_counts_what_the_classifiers_say() -> None:
    model = region_model(classes=4)
    sample = grounding(model)
    evidence = sample.features.evidence[:-1]
    expected = []
    for label, target in TARGETS.items():
        ids = model.prompts.prefix([model.prompts.vocabulary.image_slot], 3) + model.prompts.question(
            "Detect apple, dog.", 3
        )
        hidden, regions = read_alone(model, sample.features, ids + model.prompts.naming(label, 3))
        phrase = model.phrase_embeddings([label])
        scores = model.splice.pointer(hidden[-1:], regions, phrase)
        scores = scores + model.encoder.evidence.support(phrase, evidence)
        expected.append(F.binary_cross_entropy_with_logits(scores[0], target, reduction="sum").item())
    assert batch_losses(model, [sample]).regions.item() == pytest.approx(sum(expected) / 2, rel=1e-4)


@torch.no_grad()
def test_word_loss_is_the_mean_cross_entropy_of_the_answer(region: RegionModel) -> None:
    sample = telling(region)
    answer = [token for _, token in sample.words]
    prompt = region.prompts.prefix([region.prompts.vocabulary.image_slot], 2) + region.prompts.question(
        "Is it so?", 2
    )
    hidden, _ = read_alone(region, sample.features, prompt + answer)
    logits = hidden[len(prompt) - 1 : -1] @ region.base.get_output_embeddings().weight.T
    expected = [-logits[i].log_softmax(0)[token].item() for i, token in enumerate(answer)]
    losses = batch_losses(region, [sample])
    assert len(answer) == 5
    assert losses.words.item() == pytest.approx(sum(expected) / 5, rel=1e-4)
    assert losses.regions.item() == 0


@torch.no_grad()
def test_a_batch_weighs_labels_and_words_alike(region: RegionModel) -> None:
    one, other, words = grounding(region, 1), grounding(region, 2), telling(region)
    del other.picks[1]
    alone = [batch_losses(region, [sample]) for sample in (one, other, words)]
    together = batch_losses(region, [one, words, other])
    labels = (2 * alone[0].regions + alone[1].regions) / 3
    assert together.regions.item() == pytest.approx(labels.item(), rel=1e-4)
    assert together.words.item() == pytest.approx(alone[2].words.item(), rel=1e-4)
    assert together.total.item() == pytest.approx(labels.item() + alone[2].words.item() / 2, rel=1e-4)


@torch.no_grad()
def test_features_from_a_cache_in_half_precision(region: RegionModel) -> None:
    sample, half = grounding(region), grounding(region)
    full = sample.features
    half.features = RegionFeatures(*(getattr(full, name).half() for name in full.__dataclass_fields__))
    assert batch_losses(region, [half]).total.item() == pytest.approx(
        batch_losses(region, [sample]).total.item(), rel=1e-2
    )


def test_a_static_vocabulary_cannot_be_trained() -> None:
    model = region_model(dynamic=False)
    with pytest.raises(ValueError, match="dynamic"):
        batch_losses(model, [])


def test_a_total_is_regions_and_half_the_words() -> None:
    assert Losses(torch.tensor(3.0), torch.tensor(4.0)).total.item() == 5


def with_factors() -> RegionModel:
    """As stage 2 trains it, with factors away from their start at zero."""
    model = region_model(classes=4)
    low_rank.attach(model.base.model, 2)
    parameter_groups(model, STAGE_2)
    for name, factor in low_rank.factors(model.base).items():
        if name.endswith(".up"):
            nn.init.normal_(factor, 0, 0.02, generator=torch.Generator().manual_seed(len(name)))
    return model


def reached(model: RegionModel) -> set[str]:
    """Parameters with a gradient other than zero."""
    return {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}


def test_gradients_reach_what_stage_2_trains_and_nothing_else() -> None:
    model = with_factors()
    batch_losses(model, [grounding(model), telling(model)]).total.backward()
    wanted = {f"base.{name}" for name in low_rank.factors(model.base)} | {"splice.input_rows"}
    wanted |= {f"encoder.connector.{name}" for name, _ in model.encoder.connector.named_parameters()}
    wanted |= {f"splice.pointer.{name}" for name, _ in model.splice.pointer.named_parameters()}
    assert reached(model) == wanted
    assert len(low_rank.factors(model.base)) == 2 * 2 * 7  # layers, factors, linear layers of a Llama layer
    rows = (
        model.splice.input_rows.grad.abs().sum(dim=1).nonzero()[:, 0] + model.prompts.vocabulary.first_region
    )
    read = {token for sample in (grounding(model), telling(model)) for token in sample.tree.tokens().tolist()}
    slot = model.prompts.vocabulary.image_slot
    assert set(rows.tolist()) == {t for t in read if t >= model.prompts.vocabulary.first_region and t != slot}


def test_words_teach_the_connector_without_the_pointer() -> None:
    model = with_factors()
    batch_losses(model, [telling(model)]).total.backward()
    names = reached(model)
    assert "encoder.connector.mlp.1.weight" in names and "splice.input_rows" in names
    assert not any(name.startswith("splice.pointer") for name in names)
    assert not any(name.startswith("encoder.evidence.") for name in names)


def test_gradients_are_those_of_finite_differences() -> None:
    model = with_factors()
    samples = [grounding(model), telling(model)]
    batch_losses(model, samples).total.backward()
    for parameter in (
        model.encoder.connector.mlp[1].bias,
        model.splice.pointer.gain,
        model.encoder.connector.gain,
    ):
        direction = F.normalize(torch.ones_like(parameter), dim=0) if parameter.dim() else torch.tensor(1.0)
        slope = (parameter.grad * direction).sum().item()
        totals = []
        with torch.no_grad():
            for step in (1e-2, -1e-2):
                parameter += step * direction
                totals.append(batch_losses(model, samples).total.item())
                parameter -= step * direction
        assert (totals[0] - totals[1]) / 2e-2 == pytest.approx(slope, rel=0.05, abs=1e-3)


def test_a_scene_without_regions_still_teaches_words(region: RegionModel) -> None:
    scene = record(["apple", "apple"], [[0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.6, 0.6]], [])
    sample = maker(region)(scene, np.random.default_rng(1))
    losses = batch_losses(region, [sample])
    assert losses.regions.item() == 0 and math.isfinite(losses.total.item())
