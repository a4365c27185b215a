"""lmms-eval itself brings torchvision and is not installed here: a stand-in has the same two names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from fo1.errors import Fo1Error, PromptError
from fo1.messages import Message
from fo1.pipeline import FO1
from fo1.settings import Settings
from scripted import saying
from tiny import region_model

PICTURE = Image.new("RGB", (80, 60), "red")


class Lmms:
    """As `lmms_eval.api.model.lmms` of version 0.7: the evaluator fills task_dict before it asks."""

    is_simple = True

    def __init__(self) -> None:
        self.task_dict: dict[str, Any] = {}


@dataclass
class ModelManifest:
    model_id: str
    simple_class_path: str | None = None
    aliases: tuple[str, ...] = field(default=())


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name, content in {
        "lmms_eval": {},
        "lmms_eval.api": {},
        "lmms_eval.api.model": {"lmms": Lmms},
        "lmms_eval.models": {},
        "lmms_eval.models.registry_v2": {"ModelManifest": ModelManifest},
    }.items():
        stand_in = ModuleType(name)
        vars(stand_in).update(content)
        monkeypatch.setitem(sys.modules, name, stand_in)
    monkeypatch.delitem(sys.modules, "fo1.evaluation.lmms", raising=False)
    yield importlib.import_module("fo1.evaluation.lmms")
    sys.modules.pop("fo1.evaluation.lmms", None)


@pytest.fixture
def adapter(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Over the tiny model, with one document of one picture and one of none."""
    model = FO1(region_model(), Settings("tiny"))
    asked: list[Any] = []

    def load(*names: Any, **options: Any) -> FO1:
        asked.append((names, options))
        return model

    monkeypatch.setattr(module, "load", load)
    made = module.LmmsModel(pretrained="some/model", device="cpu", batch_size=1, use_cache=None)
    assert asked == [(("some/model",), {"device": "cpu", "dtype": None})]
    made.task_dict = {"mme": {"test": [{"image": PICTURE}, {"image": None}, {"image": "film.mp4"}]}}
    return made


def request(context: str, document: int = 0, **options: Any) -> SimpleNamespace:
    def visuals(one: dict[str, Any]) -> list[Any]:
        return [] if one["image"] is None else [one["image"]]

    return SimpleNamespace(args=(context, options, visuals, document, "mme", "test"))


def test_the_manifest_names_the_class(module: ModuleType) -> None:
    made = module.manifest()
    assert made.model_id == "fo1"
    name, _, kind = made.simple_class_path.rpartition(".")
    assert getattr(importlib.import_module(name), kind) is module.LmmsModel
    assert issubclass(module.LmmsModel, Lmms)


def test_the_whole_image_and_the_question_are_read(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []

    def chat(messages: list[Message], *options: int) -> str:
        heard.append((*messages[0].parts, options))
        return "Yes"

    monkeypatch.setattr(adapter.model, "chat", chat)
    adapter.generate_until([request("<image>Is it red?", max_new_tokens=7, num_beams=2)])
    ((scene, question, options),) = heard
    assert (question, options) == ("Is it red?", (7, 2))
    assert scene.regions.image_size == PICTURE.size and len(scene.regions) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "one\n\ntwo."),
        ({"max_new_tokens": 3}, "one"),
        ({"until": ["\n\n"]}, "one"),
        ({"until": "."}, "one\n\ntwo"),
    ],
)
def test_where_an_answer_ends(adapter: Any, options: dict[str, Any], said: str) -> None:
    with saying(adapter.model.model, "one\n\ntwo."):
        assert adapter.generate_until([request("?", **options)]) == [said]


def test_answers_come_in_order(adapter: Any) -> None:
    with saying(adapter.model.model, "red", "blue"):
        assert adapter.generate_until([request("?"), request("?")]) == ["red", "blue"]


def test_a_document_without_images(adapter: Any) -> None:
    with saying(adapter.model.model, "4"):
        assert adapter.generate_until([request("2 + 2?", document=1)]) == ["4"]


def test_what_is_not_offered_says_so(adapter: Any) -> None:
    with pytest.raises(PromptError, match="mme, document 2: fo1 reads images, not str"):
        adapter.generate_until([request("?", document=2)])
    for verb in (adapter.loglikelihood, adapter.generate_until_multi_round):
        with pytest.raises(Fo1Error, match="choose tasks of the kind generate_until"):
            verb([])
