from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fo1.model import RegionModel
from fo1.training.smol.align import align
from fo1.training.smol.recipe import ALIGN
from fo1.training.smol.records import SceneRecord
from fo1.training.stage import Stage
from tiny import plain_evidence, region_model
from training.miniature import NAMES, features, maker, record

RATES = {"encoder.connector.*": 3e-3, "splice.pointer.*": 1e-2}
STAGE = Stage("match", steps=60, batch=8, rates=RATES, warmup=5)
PLACES = [[0.0, 0.0, 0.4, 0.4], [0.5, 0.0, 0.9, 0.4], [0.0, 0.5, 0.4, 0.9], [0.5, 0.5, 0.9, 0.9]]


def separable(count: int = 12) -> list[SceneRecord]:
    """Regions whose features say which name they have."""
    looks = features(len(NAMES), seed=5)
    scenes = []
    for seed in range(count):
        kinds = np.random.default_rng(seed).integers(len(NAMES), size=4)
        scene = record([NAMES[i] for i in kinds], PLACES, seed=seed)
        scene.features.primary[:4] = looks.primary[kinds]
        scene.features.auxiliary[:4] = looks.auxiliary[kinds]
        scenes.append(scene)
    return scenes


@torch.no_grad()
def loss(model: RegionModel, scenes: list[SceneRecord]) -> float:
    """Mean yes-or-no loss of every name against every region."""
    phrases = model.phrase_embeddings(NAMES)
    total = []
    for scene in scenes:
        logits = model.splice.pointer(None, model.encoder.embed(scene.features)[:-1], phrases)
        right = torch.tensor([[float(name == label) for name in scene.names] for label in NAMES])
        total.append(F.binary_cross_entropy_with_logits(logits, right))
    return torch.stack(total).mean().item()


def test_matching_is_learnt_and_the_base_left_alone() -> None:
    model, scenes = region_model(), separable()
    before = {name: p.clone() for name, p in model.named_parameters()}
    start = loss(model, scenes)
    align(model, maker(model), scenes, STAGE)
    assert start > 0.5 and loss(model, scenes) < 0.2
    assert not model.encoder.training
    for name, parameter in model.named_parameters():
        moved = not torch.equal(parameter, before[name])
        asked = name.startswith(("encoder.connector.", "splice.pointer."))
        assert moved == (asked and ".query." not in name), name


def test_the_same_seed_gives_the_same_weights() -> None:
    stage = Stage("match", steps=3, batch=2, rates=RATES)
    pointers = []
    for seed in (0, 0, 1):
        model = region_model()
        torch.manual_seed(0)
        align(model, maker(model), separable(4), stage, seed=seed)
        pointers.append(model.splice.pointer.phrase.weight)
    assert torch.equal(pointers[0], pointers[1]) and not torch.equal(pointers[0], pointers[2])


def test_the_language_model_is_not_in_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    model = region_model()

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("stage 0 ran the language model")

    monkeypatch.setattr(model.base.model, "forward", asked)
    align(model, maker(model), separable(2), Stage("match", 1, RATES, batch=2))


def test_from_the_start_the_recipes_rates_leave_the_query_at_zero() -> None:
    """So that stage 1 finds hidden states that say nothing yet, whatever stage 0 has matched."""
    model, scenes = region_model(), separable()
    model.splice.pointer.start(model.phrase_embeddings(NAMES).mean(dim=0))
    rates = {pattern: 1e-2 for pattern in ALIGN.rates if "evidence" not in pattern}
    align(model, maker(model), scenes, replace(STAGE, rates=rates))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not model.splice.pointer.query.weight.any() and not any(".query." in name for name in trained)
    assert {"splice.pointer.phrase.weight", "splice.pointer.key.bias", "splice.pointer.gain"} <= trained
    assert loss(model, scenes) < 0.2


def called(count: int = 12) -> list[SceneRecord]:
    """Regions of random looks, whose name only the classifiers know; they have a class for each of NAMES."""
    scenes = separable(count)
    for seed, scene in enumerate(scenes):
        blank = features(5, seed, classes=len(NAMES))
        kinds = torch.tensor([NAMES.index(name) for name in scene.names])
        blank.evidence[:4] = 0.9 * F.one_hot(kinds, len(NAMES))
        scenes[seed] = replace(scene, features=blank)
    return scenes


def test_the_classifiers_have_a_say_and_learn_how_loud() -> None:
    model, scenes = region_model(classes=len(NAMES)), called()
    words = model.phrase_embeddings(NAMES)
    model.encoder.evidence = plain_evidence(words[:2], words[2:]).requires_grad_(False)
    before = {name: p.clone() for name, p in model.named_parameters()}
    start = agreement(model, scenes)
    align(model, maker(model), scenes, replace(STAGE, steps=40, rates={"encoder.evidence.*": 1e-1}))
    assert agreement(model, scenes) < start - 0.05
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {f"encoder.evidence.{name}" for name in ("gain", "support_gain", "objectness")}


@torch.no_grad()
def agreement(model: RegionModel, scenes: list[SceneRecord]) -> float:
    """As `loss`, with the classifiers' support."""
    phrases, total = model.phrase_embeddings(NAMES), []
    for scene in scenes:
        seen = scene.features
        logits = model.region_logits(None, model.encoder.embed(seen)[:-1], seen.evidence[:-1], phrases)
        right = torch.tensor([[float(name == label) for name in scene.names] for label in NAMES])
        total.append(F.binary_cross_entropy_with_logits(logits, right))
    return torch.stack(total).mean().item()


def test_a_static_vocabulary_has_nothing_to_match_with() -> None:
    model = region_model(dynamic=False)
    stage = Stage("match", steps=1, rates={"encoder.*": 1e-3})
    with pytest.raises(ValueError, match="pointer"):
        align(model, maker(model), separable(1), stage)
