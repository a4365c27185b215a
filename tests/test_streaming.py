from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from fo1 import FO1, PromptError
from fo1.model import RegionModel
from fo1.prompts.parsing import Answer
from fo1.scene import Scene
from fo1.settings import Settings
from fo1.streaming import Piece
from fo1.types import Regions
from readers import KINDS, QUESTIONS, reader
from scripted import saying
from tiny import picture


def scenes(kind: str) -> list[Scene]:
    model, images = reader(kind)
    return [Scene(model, Settings(kind), image, {}) for image in images]


@contextmanager
def steps(model: RegionModel) -> Iterator[list[int]]:
    """How many tokens the base's head was asked for, each time."""
    seen: list[int] = []
    handle = model.base.get_output_embeddings().register_forward_pre_hook(lambda *_: seen.append(1))
    try:
        yield seen
    finally:
        handle.remove()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("penalty", "constrained"), [(1.0, True), (1.3, True), (1.0, False)])
def test_pieces_are_the_answer(kind: str, penalty: float, constrained: bool) -> None:
    for scene in scenes(kind):
        for question in QUESTIONS:
            *pieces, whole = scene.stream(question, 12, penalty, constrained)
            assert all(isinstance(piece, Piece) and piece.text for piece in pieces)
            assert isinstance(whole, Answer) and "".join(piece.text for piece in pieces) == whole.text
            assert whole.text == scene.ask(question, 12, 1, penalty, constrained)


@pytest.mark.parametrize("kind", ["static", "qwen2_5_vl", "qwen3_5", "gemma3"])
def test_streams_may_take_turns_with_each_other_and_with_questions(kind: str) -> None:
    first, second = scenes(kind)
    want = [scene.ask(QUESTIONS[0], 10) for scene in (first, second)]
    said = ["", ""]
    streams = [scene.stream(QUESTIONS[0], 10) for scene in (first, second)]
    for _ in range(12):
        for number, events in enumerate(streams):
            event = next(events, None)
            said[number] += event.text if isinstance(event, Piece) else ""
        first.ask(QUESTIONS[1], 3)
    assert said == want


def test_who_stops_listening_has_stopped_the_work() -> None:
    (scene, _) = scenes("static")
    with steps(scene.model) as taken:
        events = scene.stream("what?", 40)
        assert not taken
        next(events)
        begun = len(taken)
        assert 0 < begun < 40
        events.close()  # type: ignore[attr-defined]
        assert next(events, None) is None and len(taken) == begun
    assert scene.ask("what?", 3)


def test_tags_and_letters_come_whole(released: FO1) -> None:
    scene = released.look(picture(0), Regions.of([[0, 0, 40, 30], [10, 10, 70, 50]], (80, 60)))
    text = " <ground>é</ground><objects><region1></objects> 1 < 2, <region0"
    with saying(scene.model, text):
        *pieces, whole = scene.stream("what?", 100, constrained=False)
    texts = [piece.text for piece in pieces]
    assert "".join(texts) == text.strip() and whole.groundings[0].regions == (1,)
    for mark in ("<ground>", "</ground>", "<objects>", "<region1>", "</objects>", "é"):
        assert sum(mark in piece for piece in texts) == 1


def test_regions_have_the_users_numbers(released: FO1) -> None:
    boxes = [[i % 40, i // 40, i % 40 + 20, i // 40 + 20] for i in range(150)]
    scores = torch.arange(150) / 150
    scene = released.look(picture(0), Regions.of(boxes, (80, 60), scores=scores))
    with saying(scene.model, "<ground>a</ground><objects><region0><region99></objects>"):
        *pieces, whole = scene.stream("what?", 100)
    assert whole.groundings[0].regions == (50, 149)
    assert "".join(piece.text for piece in pieces) == whole.text


def test_what_cannot_be_asked_is_said_at_once(released: FO1) -> None:
    scene = released.look(picture(0), Regions.of([[0, 0, 40, 30]], (80, 60)))
    with pytest.raises(PromptError, match="question is empty"):
        scene.stream(" ")
    with pytest.raises(PromptError, match="at least 1"):
        scene.stream("what?", 0)
