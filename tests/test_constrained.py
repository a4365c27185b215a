"""Models that know nothing answer in good form, whatever they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import formed
from attachable import CASES, attached
from fo1 import FO1
from fo1.decoding import Written, generate
from fo1.errors import PromptError
from fo1.grammar import Grammar
from fo1.messages import Message
from fo1.model import Encoded, RegionModel
from fo1.prompts.parsing import parse_answer
from fo1.prompts.tasks import TASKS
from fo1.settings import Settings
from fo1.types import Regions
from tiny import picture, region_model

LABELS = (
    "cup",
    "traffic light",
    "橙子",
    "a name, with commas (and more)",
    "<objects>",
    "</ground>",
    "like <region1>",
    "<region100>",
    "<|im_end|>",
    "None",
    "👩‍🚀",
)


@dataclass
class Asked:
    """A prompt about the first `regions` of an image's, and how it may be answered."""

    task: str
    labels: list[str]
    regions: int
    grammar: Grammar


def everything(model: RegionModel, count: int, seed: int) -> list[Asked]:
    """Prompts of all kinds; a hundred regions, which take time, in every eighth batch only."""
    rng = np.random.default_rng(seed)
    asked = []
    for _ in range(count):
        task = TASKS[rng.choice(["detect", "count", "ask", "caption", "reason"])]
        regions = int(rng.choice([0, 1, 3, 17] if seed % 8 else [17, 100]))
        labels = (
            [] if task.answer == "text" else [str(x) for x in rng.choice(LABELS, rng.integers(1, 3), False)]
        )
        grammar = Grammar(model.prompts, model.stop_ids, regions, task.answer, labels)
        asked.append(Asked(task.name, labels, regions, grammar))
    return asked


def answered(
    model: RegionModel,
    encoded: Encoded,
    asked: Sequence[Asked],
    spare: int,
    free: bool = False,
    beams: int = 1,
) -> list[Written]:
    """All prompts as one batch. spare: tokens beyond those that the longest answer needs."""
    prompts, shown = [], []
    for one in asked:
        shown.append([encoded.take(range(one.regions))])
        about = TASKS[one.task].fill(*one.labels or ["it"])
        prefix = model.prompts.prefix(encoded.sight.ids, one.regions)
        prompts.append(prefix + model.prompts.question(about, one.regions))
    most = max(one.grammar.needed(one.grammar.start) for one in asked) + spare
    grammars = [] if free else [one.grammar for one in asked]
    return generate(model, prompts, shown, max(most, 1), beams, grammars=grammars)


def listed(one: Asked, said: Written) -> list[list[int]]:
    """The regions of all lists of an answer, which is checked."""
    if one.labels:
        found = formed.lists(said.text, one.labels, tail=one.task == "count")
    else:
        found = formed.text_lists(said.text)
        assert parse_answer(said.text, one.regions).unknown_regions == ()
    for regions in found:
        assert len(set(regions)) == len(regions) and max(regions, default=0) <= max(one.regions - 1, 0)
    return found


def talkative(model: RegionModel, seed: int = 1) -> RegionModel:
    """The model with a head that writes added tokens often."""
    torch.manual_seed(seed)
    model.splice.output_rows.data.normal_(0, 0.6)
    return model


def crowded(model: RegionModel) -> Encoded:
    """An image with a hundred regions."""
    corners = np.random.default_rng(0).uniform(0, 40, (100, 2))
    boxes = np.concatenate([corners, corners + 20], axis=1)
    return model.encode([picture(0)], [Regions.of(boxes, (80, 60))])[0]


NUMBERS = {
    "tiny": 640,
    "qwen2_5_vl": 60,
    "internvl": 60,
    "smolvlm": 60,
    "gemma3": 60,
    "paligemma": 60,
    "mistral3": 60,
}
"""Prompts per model: a thousand."""


def built(name: str) -> RegionModel:
    return talkative(region_model(dynamic=False) if name == "tiny" else attached(CASES[name].build()).model)


@pytest.mark.parametrize(("name", "count"), NUMBERS.items())
def test_no_answer_is_malformed(name: str, count: int) -> None:
    model = built(name)
    encoded = crowded(model)
    lists: list[list[int]] = []
    for number, start in enumerate(range(0, count, 80)):
        asked = everything(model, min(80, count - start), seed=number)
        said = answered(model, encoded, asked, spare=(20, 0, 8, 3)[number % 4])
        assert len(said) == len(asked)
        lists += [found for one, answer in zip(asked, said, strict=True) for found in listed(one, answer)]
    assert min(map(len, lists)) == 0 and max(map(len, lists)) > 1  # of which some say something


def test_without_a_grammar_answers_are_malformed() -> None:
    model = built("tiny")
    encoded = crowded(model)
    asked = everything(model, 20, seed=1)
    said = answered(model, encoded, asked, spare=20, free=True)
    wrong = 0
    for one, answer in zip(asked, said, strict=True):
        try:
            listed(one, answer)
        except AssertionError:
            wrong += 1
    assert wrong > 10


@pytest.mark.parametrize("beams", [2, 4])
def test_beams_stay_in_form(beams: int) -> None:
    model = built("tiny")
    encoded = crowded(model)
    asked = everything(model, 24, seed=3)
    said = answered(model, encoded, asked, spare=4, beams=beams)
    for one, answer in zip(asked, said, strict=True):
        listed(one, answer)


@pytest.mark.parametrize("beams", [1, 3])
def test_answers_do_not_depend_on_the_batch(beams: int) -> None:
    model = built("tiny")
    encoded = crowded(model)
    asked = everything(model, 12, seed=5)
    room = max(one.grammar.needed(one.grammar.start) for one in asked) + 6
    together = answered(model, encoded, asked, spare=6, beams=beams)
    for one, said in zip(asked, together, strict=True):
        spare = room - one.grammar.needed(one.grammar.start)
        assert answered(model, encoded, [one], spare, beams=beams)[0].ids == said.ids


def test_no_room_for_an_answer_is_told() -> None:
    model = built("tiny")
    encoded = crowded(model)
    asked = [Asked("detect", ["cup"], 3, Grammar(model.prompts, model.stop_ids, 3, "grounding", ["cup"]))]
    with pytest.raises(PromptError, match="max_new_tokens is 6; the answer to these labels takes 7"):
        answered(model, encoded, asked, spare=-1)


@pytest.fixture(scope="module")
def writer() -> FO1:
    """The verbs on a talkative model."""
    return FO1(built("tiny"), Settings("tiny"))


def test_verbs_answer_in_form_unless_told_otherwise(writer: FO1) -> None:
    scene = writer.look(picture(1))
    question = "What is <region1>?"
    loose = [scene.ask(f"{question} {i}", 30, constrained=False) for i in range(6)]
    for number, other in enumerate(loose):
        text = scene.ask(f"{question} {number}", 30)
        assert writer.ask_many([scene], [f"{question} {number}"], 30) == [text]
        assert writer.chat([Message("user", [scene, f"{question} {number}"])], 30) == text
        assert parse_answer(text, len(scene.regions)).unknown_regions == ()
        formed.text_lists(text)
        assert writer.chat([Message("user", [scene, f"{question} {number}"])], 30, constrained=False) == other
    assert any(parse_answer(text, len(scene.regions)).unknown_regions for text in loose)


def test_every_region_can_be_reported(writer: FO1) -> None:
    scene = writer.look(picture(1))
    own = scene.detect("cup, dog")
    named = {g.phrase: set(g.regions) for g in own.answer.groundings}
    assert set(own.by_label("cup").regions.tolist()) == named["cup"]
    scores = own.confidence["cup"]
    assert (scores > 0).all() and 0 < own.absence["cup"] < 1
    apart = writer.look(picture(1), [[i * 10, 0, i * 10 + 8, 20] for i in range(6)])
    scores = apart.detect("cup").confidence["cup"]
    for least in (0.0, float(np.median(scores)), float(scores.max())):
        assert sorted(apart.detect("cup", least).regions.tolist()) == np.flatnonzero(scores >= least).tolist()
    assert scene.detect("cup", constrained=False).absence == {}


def test_the_pointers_absence_is_that_of_all_regions(tiny_fo1: FO1) -> None:
    found = tiny_fo1.look(picture(0)).detect("cup, dog")
    for label, scores in found.confidence.items():
        assert found.absence[label] == pytest.approx(float(np.prod(1 - scores)), rel=1e-4)
    assert tiny_fo1.look(picture(0), []).detect("cup").absence == {"cup": 1.0}
