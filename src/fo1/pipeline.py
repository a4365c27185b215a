"""`FO1` and `Scene`: the verbs a user calls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from fo1.boxes import clip, suppress
from fo1.decoding import generate, generate_text, named_scores, region_scores
from fo1.detections import Detections
from fo1.errors import PromptError, RegionError
from fo1.images import ImageSource, load_image
from fo1.model import Encoded, RegionModel
from fo1.prompts.conversation import Role, Shown, Turn
from fo1.prompts.parsing import Answer, Grounding, named_regions, renumbered
from fo1.prompts.tasks import TASKS, clean_labels
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, OBJECTS_END, region_name
from fo1.types import Regions

# Two regions of one label are the same thing if they overlap more, or share more of the smaller one.
DUPLICATE_IOU = 0.5
DUPLICATE_COVER = 0.6


@dataclass(frozen=True)
class Settings:
    """What the verbs want to know of a model.

    threshold: score from which a region is reported. temperature: divides the logits of regions.
    """

    name: str
    threshold: float = 0.0
    temperature: float = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Findings(Detections):
    """Detections of asked labels, and what else the answer says.

    absent: asked labels for which the model named no region. answer: as the model writes it, and parsed.
    confidence: for each asked label, the score (N,) of every region of the scene, named or not.
    """

    absent: tuple[str, ...] = ()
    answer: Answer = field(default_factory=lambda: Answer(""))
    confidence: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class Scene:
    """One image, encoded once; every verb asks about it. Boxes are pixels of the original image, xyxy.

    seconds: how long each stage took so far.
    """

    def __init__(
        self, model: RegionModel, settings: Settings, encoded: Encoded, seconds: dict[str, float]
    ) -> None:
        self._model, self._settings, self._encoded = model, settings, encoded
        self.seconds = seconds

    @property
    def regions(self) -> Regions:
        """What can be pointed at; region N is what the model calls `<regionN>`."""
        return self._encoded.regions

    @property
    def _shown(self) -> Shown:
        return Shown(self._encoded.sight.ids, len(self.regions))

    def detect(self, labels: str | Sequence[str], threshold: float | None = None) -> Findings:
        """All things of each label ("orange, apple" or a list), best first within a label.

        threshold: score from which a region is reported; None is the model's own.
        Raises `PromptError` if there is no label to ask for.
        """
        return self._ground("detect", clean_labels(labels), threshold)

    def find(self, phrase: str, threshold: float | None = None) -> Findings:
        """The one thing a phrase describes ("the left cup"), or nothing."""
        labels = clean_labels([phrase])
        return self._ground("detect", labels, threshold, limit=1)

    def count(self, label: str, threshold: float | None = None) -> int:
        """How many there are: as many as the model would point at."""
        return len(self.locate(label, threshold))

    def locate(self, label: str, threshold: float | None = None) -> Findings:
        """What `count` counts."""
        return self._ground("count", clean_labels([label]), threshold)

    def describe(self, region: int | None = None) -> str:
        """A few words for one region, or for the whole image.

        Raises `RegionError` for a region that is not there.
        """
        if region is None:
            return self.ask("What is in this image?")
        if not 0 <= region < len(self.regions):
            raise RegionError(f"there is no region {region}; this scene has {len(self.regions)}")
        return self.ask(TASKS["describe"].fill(region_name(region)))

    def ask(self, question: str, max_new_tokens: int = 48, beams: int = 1) -> str:
        """A free question; `<regionN>` in it means that region. Raises `PromptError` if it is empty.

        With more regions than the model has names for, it sees those the question names, then the best.
        """
        if not question.strip():
            raise PromptError("the question is empty")
        started = time.perf_counter()
        rows = self._in_view(question)
        seen = self._encoded if rows is None else self._encoded.take(rows)
        asked = question if rows is None else renumbered(question, {row: i for i, row in enumerate(rows)})
        (written,) = generate_text(self._model, [seen], [asked], max_new_tokens, beams)
        self._spent("answer", started)
        return written.text if rows is None else renumbered(written.text, dict(enumerate(rows)))

    def _in_view(self, question: str) -> list[int] | None:
        """Which regions the question is asked about, None for all of them."""
        count, capacity = len(self.regions), self._model.capacity
        if count <= capacity:
            return None
        named = [i for i in dict.fromkeys(named_regions(question)) if i < count]
        if len(named) > capacity:
            raise PromptError(f"the question names {len(named)} regions; the model can read {capacity}")
        best = np.argsort(-self.regions.scores, kind="stable").tolist()
        return sorted(list(dict.fromkeys([*named, *best]))[:capacity])

    def _spent(self, stage: str, started: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    def _ground(
        self, task: str, labels: list[str], threshold: float | None, limit: int | None = None
    ) -> Findings:
        if threshold is not None and not 0 <= threshold <= 1:
            raise PromptError(f"threshold must be between 0 and 1, got {threshold}")
        started = time.perf_counter()
        answer = None
        if self._model.splice.pointer is None:
            answer, scores = named_scores(self._model, self._encoded, TASKS[task], labels)
        else:
            rated = region_scores(self._model, self._encoded, TASKS[task], labels, self._settings.temperature)
            scores = rated.numpy()
        self._spent("answer", started)
        least = self._settings.threshold if threshold is None else threshold
        chosen_by_model = answer is not None and len(self.regions) <= self._model.capacity
        groups = [self._kept(row, least, merge=not chosen_by_model)[:limit] for row in scores]
        return self._findings(labels, groups, scores, answer)

    def _kept(self, scores: NDArray[np.float32], threshold: float, merge: bool) -> NDArray[np.int64]:
        """Regions of one label: sure enough, and, with `merge`, each thing once; best first.

        A model that has seen all regions at once when it wrote its answer has done the merging itself.
        """
        sure = np.flatnonzero((scores >= threshold) & (scores > 0))
        if not merge:
            return sure[np.argsort(-scores[sure], kind="stable")]
        return sure[suppress(self.regions.xyxy[sure], scores[sure], DUPLICATE_IOU, DUPLICATE_COVER)]

    def _findings(
        self,
        labels: list[str],
        groups: list[NDArray[np.int64]],
        scores: NDArray[np.float32],
        answer: Answer | None,
    ) -> Findings:
        index = np.concatenate([*groups, np.zeros(0, dtype=np.int64)])
        groundings = tuple(
            Grounding(label, tuple(sorted(group.tolist())))
            for label, group in zip(labels, groups, strict=True)
        )
        return Findings(
            clip(self.regions.xyxy[index], self.regions.image_size),
            np.concatenate(
                [*(row[g] for row, g in zip(scores, groups, strict=True)), np.zeros(0, np.float32)]
            ),
            tuple(label for label, group in zip(labels, groups, strict=True) for _ in group),
            index,
            self.regions.image_size,
            absent=tuple(label for label, group in zip(labels, groups, strict=True) if not len(group)),
            answer=answer or Answer("".join(map(written, groundings)), groundings),
            confidence=dict(zip(labels, scores, strict=True)),
        )


def written(grounding: Grounding) -> str:
    """An answer's text: regions in ascending order, or `None`."""
    named = "".join(region_name(index) for index in grounding.regions) or "None"
    return f"{GROUND}{grounding.phrase}{GROUND_END}{OBJECTS}{named}{OBJECTS_END}"


@dataclass(frozen=True)
class Message:
    """One turn of a conversation. content: a text, a scene the user shows, or several of them in order."""

    role: Role
    content: str | Scene | Sequence[str | Scene]

    @property
    def parts(self) -> tuple[str | Scene, ...]:
        return (self.content,) if isinstance(self.content, (str, Scene)) else tuple(self.content)


class FO1:
    """A loaded model. `look` at an image, then ask the scene.

    description: what a checkpoint of it would say of its parts; `fo1.save` needs it.
    """

    def __init__(self, model: RegionModel, settings: Settings, description: object = None) -> None:
        self.model, self.settings, self.description = model, settings, description

    @property
    def name(self) -> str:
        return self.settings.name

    def look(
        self, image: ImageSource, boxes: ArrayLike | Regions | None = None, top_k: int | None = None
    ) -> Scene:
        """Proposals, both encoders and the region tokens of one image, once.

        image: path, URL, bytes, data URL, PIL, numpy HWC or torch CHW.
        boxes: use these, (N, 4) xyxy pixels of the original image, instead of the proposer's. There may be
            more than the model has names for: then it is asked in groups.
        top_k: keep only so many, the best by score.
        Raises `ImageError` and `RegionError`.
        """
        return self.look_many([image], [boxes], top_k)[0]

    def look_many(
        self,
        images: Sequence[ImageSource],
        boxes: Sequence[ArrayLike | Regions | None] | None = None,
        top_k: int | None = None,
    ) -> list[Scene]:
        """As `look`, for several images; those of one size share a batch."""
        if top_k is not None and top_k < 1:
            raise RegionError(f"top_k must be at least 1, got {top_k}")
        started = time.perf_counter()
        sets = [None] * len(images) if boxes is None else boxes
        if len(sets) != len(images):
            raise RegionError(f"{len(sets)} sets of boxes for {len(images)} images; None is for proposals")
        pixels = [load_image(image) for image in images]
        given = [_given(one, image.size) for one, image in zip(sets, pixels, strict=True)]
        loaded = time.perf_counter()
        encoded = self.model.encode(pixels, given)
        if top_k is not None:
            encoded = [one.take(_best(one.regions, top_k)) for one in encoded]
        share = {"image": (loaded - started) / max(len(pixels), 1)}
        share["encode"] = (time.perf_counter() - loaded) / max(len(pixels), 1)
        return [Scene(self.model, self.settings, one, dict(share)) for one in encoded]

    def ask_many(
        self, scenes: Sequence[Scene], questions: Sequence[str], max_new_tokens: int = 48, beams: int = 1
    ) -> list[str]:
        """One free question per scene, answered as a batch."""
        answers = generate_text(self.model, [s._encoded for s in scenes], questions, max_new_tokens, beams)
        return [answer.text for answer in answers]

    def chat(self, messages: Sequence[Message], max_new_tokens: int = 256, beams: int = 1) -> str:
        """What the model says next in a conversation of several turns.

        Scenes in the user's messages are images with their regions, which are numbered through all of them.
        Raises `PromptError` for messages that make no conversation.
        """
        shown = [part._encoded for message in messages for part in message.parts if isinstance(part, Scene)]
        turns = [
            Turn(
                message.role,
                [part if isinstance(part, str) else part._shown for part in message.parts],
            )
            for message in messages
        ]
        prompt = self.model.prompts.conversation(turns)
        (written,) = generate(self.model, [prompt], [shown], max_new_tokens, beams)
        return written.text

    def to(self, device: str | torch.device) -> FO1:
        """Moves the model."""
        self.model.to(device)
        return self


def _best(regions: Regions, top_k: int) -> list[int]:
    return sorted(np.argsort(-regions.scores, kind="stable")[:top_k].tolist())


def _given(boxes: ArrayLike | Regions | None, size: tuple[int, int]) -> Regions | None:
    """Boxes a user drew, checked: a box that ends before it starts is a mistake worth telling."""
    if boxes is None:
        return None
    regions = boxes if isinstance(boxes, Regions) else Regions.of(boxes, size)
    if regions.image_size != size:
        raise RegionError(f"these regions are of a {regions.image_size} image, this one is {size}")
    inverted = np.flatnonzero((regions.xyxy[:, 2:] < regions.xyxy[:, :2]).any(axis=1))
    if inverted.size:
        worst = regions.xyxy[inverted[0]].tolist()
        raise RegionError(
            f"box {int(inverted[0])} ends before it starts: {worst}; boxes are [x1, y1, x2, y2]"
        )
    return regions
