"""Plain talk among the scenes, so that the base stays able to do what it could.

It is to find its own answers as likely as before it was trained.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Generic, cast

import numpy as np
import torch
from torch import Tensor

from fo1.checkpoints import low_rank
from fo1.data.exercise import Exercise
from fo1.data.settings import SettingError
from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.model import Encoded, RegionModel
from fo1.prompts.builder import PromptBuilder
from fo1.training.course import Course, Taken
from fo1.training.losses import Prepared
from fo1.types import Regions
from fo1.vlm.family import Sight

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"  # of the base's own template
TOGETHER = 4  # chats of one exercise: about as long as a scene


@dataclass(frozen=True)
class Chat:
    """What was asked, under a system message or none, and the base's answer, its stop included."""

    system: str | None
    question: str
    answer: tuple[int, ...]


def chat_prompts() -> list[str]:
    """Some 300 requests that have nothing to do with images, each once.

    None of them is among the questions of `benchmarks/general_ability.py`.
    """
    text = resources.files("fo1.training.smol").joinpath("chat_prompts.json").read_text(encoding="utf-8")
    return [request.format(word) for request, words in json.loads(text).items() for word in words]


@torch.inference_mode()
def answered(model: RegionModel, questions: Sequence[str], most: int = 48, seed: int = 0) -> list[Chat]:
    """What the base, without low-rank factors, answers in at most `most` tokens.

    Each question is asked twice: with the base's system message, and without one, when the answer is sampled.
    """
    chats: list[Chat] = []
    with model.lock, low_rank.without(model.base), torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        for system in (SYSTEM, None):
            for first in range(0, len(questions), 64):
                chats += _answers(model, system, questions[first : first + 64], most)
    return chats


def _answers(model: RegionModel, system: str | None, questions: Sequence[str], most: int) -> list[Chat]:
    prompts, stop = model.prompts, model.prompts.stop_id
    asked = [_opening(prompts, system) + prompts.question(one, 0) for one in questions]
    longest = max(map(len, asked))
    run = cast(Callable[..., Tensor], model.base.generate)
    written = run(
        input_ids=torch.tensor([[stop] * (longest - len(ids)) + ids for ids in asked], device=model.device),
        attention_mask=torch.tensor(
            [[0] * (longest - len(ids)) + [1] * len(ids) for ids in asked], device=model.device
        ),
        max_new_tokens=most,
        **({"do_sample": True, "temperature": 0.5} if system is None else {"do_sample": False}),
        eos_token_id=stop,
        pad_token_id=stop,
    )
    answers = [row[longest:].tolist() for row in written]
    cut = [ids[: ids.index(stop) + 1] if stop in ids else ids for ids in answers]
    return [Chat(system, one, tuple(ids)) for one, ids in zip(questions, cut, strict=True)]


def read_or_answer(model: RegionModel, questions: Sequence[str], path: Path) -> list[Chat]:
    """The chats of a file; if there is none, the base is asked, and the file written."""
    if path.exists():
        chats = json.loads(path.read_text(encoding="utf-8"))
        return [Chat(one["system"], one["question"], tuple(one["answer"])) for one in chats]
    made = answered(model, questions)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps([asdict(one) for one in made]), encoding="utf-8")
    os.replace(partial, path)
    return made


def _opening(prompts: PromptBuilder, system: str | None) -> list[int]:
    return prompts.opening(system) + prompts.template(prompts.chat.before_image)


@dataclass(frozen=True, eq=False)
class PlainTalk(Prepared):
    """An exercise without an image."""

    exercises: tuple[Exercise, ...]

    @staticmethod
    def of(chats: Sequence[Chat], prompts: PromptBuilder) -> PlainTalk:
        """Chats under one system message, none of which sees another."""
        exercise = Exercise()
        root = exercise.tree.add(_opening(prompts, chats[0].system))
        for chat in chats:
            exercise.keep(exercise.tree.add(prompts.question(chat.question, 0), root), chat.answer)
        return PlainTalk((exercise,))

    def encode(self, model: RegionModel) -> Encoded:
        """No image and no region."""
        unseen = FeatureMaps((), (), Frame((1, 1), (1, 1)))
        nothing: Tensor = model.splice.input_rows.detach()[:0]
        return Encoded(Regions.of([], (1, 1)), nothing, nothing[:, :0], Sight((), unseen, None, {}), nothing)


class ChatCourse(Generic[Taken]):
    """Another course, with plain talk in every (`apart` + 1)th place. For one process: see `SceneCourse`."""

    def __init__(
        self,
        course: Course[Taken],
        prompts: PromptBuilder,
        chats: Sequence[Chat],
        apart: int = 4,
        seed: int = 0,
    ) -> None:
        if apart < 1 or not chats:
            raise SettingError(f"plain talk needs chats and at least 1 scene between, got {apart}")
        self.course, self.prompts, self.apart, self.seed = course, prompts, apart, seed
        systems = dict.fromkeys(chat.system for chat in chats)
        self.groups = [[chat for chat in chats if chat.system == system] for system in systems]
        self.position = 0

    @property
    def skipped(self) -> int:
        return self.course.skipped

    def take(self, count: int) -> list[Taken | Sequence[Chat]]:
        """The plain talk last."""
        start, self.position = self.position, self.position + count
        talks = [place for place in range(start, self.position) if place % (self.apart + 1) == self.apart]
        return [*self.course.take(count - len(talks)), *map(self._chats, talks)]

    def prepare(self, taken: Sequence[Taken | Sequence[Chat]]) -> list[Prepared]:
        scenes = cast(list[Taken], [one for one in taken if not isinstance(one, _Talk)])
        talks = [PlainTalk.of(one, self.prompts) for one in taken if isinstance(one, _Talk)]
        return [*self.course.prepare(scenes), *talks]

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position, "course": self.course.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.course.load_state_dict(state["course"])
        self.position = int(state["position"])

    def _chats(self, place: int) -> _Talk:
        rng = np.random.default_rng((self.seed, 3, place))
        group = self.groups[int(rng.integers(len(self.groups)))]
        return _Talk(group[i] for i in rng.choice(len(group), min(TOGETHER, len(group)), replace=False))


class _Talk(tuple[Chat, ...]):
    """Chats of one exercise."""
