"""What the model's thread does: a batch of requests, images together, texts together, each as if alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

from fo1.decoding import generate, text_grammars
from fo1.errors import Fo1Error, PromptError, RegionError
from fo1.findings import Findings
from fo1.labeling.judging import judge
from fo1.messages import Conversation, Message, conversation
from fo1.pipeline import FO1
from fo1.prompts.parsing import Answer, regions_to_read
from fo1.prompts.tasks import TASKS, clean_labels
from fo1.scene import Scene
from fo1.serving.engine import Done, Ground, Judge, Look, Name, Picture, ReadAll, Request, Said, Talk, shown
from fo1.streaming import Piece, stream

logger = logging.getLogger(__name__)

GROUNDING: tuple[Literal["detect", "count"], ...] = ("detect", "count")

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(eq=False)
class Job:
    """A request at work.

    wanted: is anyone still waiting? settled: is called once there is an outcome, which others of its batch
    may still lack. opens: begin to stream instead of answering.
    """

    request: Request
    wanted: Callable[[], bool] = lambda: True
    settled: Callable[[], object] = lambda: None
    opens: bool = False
    scenes: list[Scene] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    outcome: Done | Exception | None = None


@dataclass(frozen=True, eq=False)
class Opened:
    """An answer that is about to be written, piece by piece."""

    prompt_tokens: int
    pieces: Iterator[Piece | Answer]


@dataclass(frozen=True, eq=False)
class Asked:
    """A conversation in the model's tokens."""

    talk: Talk
    read: Conversation
    ids: list[int]

    @property
    def regions(self) -> int:
        """How many the prompt shows."""
        return sum(len(one.regions) for one in self.read.shown)


class Answering:
    """Answers batches. prompt_tokens: the longest prompt that is read."""

    def __init__(self, model: FO1, prompt_tokens: int = 8192) -> None:
        self.model, self.prompt_tokens = model, prompt_tokens

    def work(self, jobs: Sequence[Job]) -> None:
        """Gives every job its outcome, but for those that nobody waits for any more."""
        self._look([job for job in jobs if job.wanted()])
        texts: dict[Hashable, list[Job]] = {}
        for job in jobs:
            if job.outcome is not None or not job.wanted():
                continue
            talk = job.request
            if isinstance(talk, Talk) and not job.opens and not self._is_task(talk):
                texts.setdefault((talk.new_tokens, talk.repetition_penalty), []).append(job)
            else:
                _settle([job], [_attempt(partial(self._alone, job))])
        for alike in texts.values():
            started = time.perf_counter()
            said = self._told(alike)
            for job in alike:
                job.seconds["answer"] = time.perf_counter() - started
            _settle(alike, said)

    def _look(self, jobs: Sequence[Job]) -> None:
        """Encodes all images of all jobs that were not before, those of like settings together."""
        alike: dict[Hashable, list[Picture]] = {}
        for picture in (one for job in jobs for one in shown(job.request) if isinstance(one, Picture)):
            alike.setdefault((picture.top_k, picture.tiles), []).append(picture)
        seen: dict[Picture, Scene | Exception] = {}
        for pictures in alike.values():
            seen |= zip(pictures, _together(pictures, self._encode), strict=True)
        for job in jobs:
            found = [seen[one] if isinstance(one, Picture) else one for one in shown(job.request)]
            job.scenes = [one for one in found if isinstance(one, Scene)]
            job.outcome = next((one for one in found if isinstance(one, Exception)), None)
            fresh = [scene for scene in job.scenes if scene not in shown(job.request)]
            if fresh:
                job.seconds["encode"] = sum(scene.seconds["encode"] for scene in fresh)

    def _encode(self, pictures: Sequence[Picture]) -> list[Scene]:
        images, regions = [one.image for one in pictures], [one.regions for one in pictures]
        return self.model.look_many(images, regions, pictures[0].top_k, pictures[0].tiles)

    def _alone(self, job: Job) -> object:
        """What is asked of one image at a time, and what is written while the client waits."""
        request, started = job.request, time.perf_counter()
        try:
            if isinstance(request, Look):
                return job.scenes[0]
            if isinstance(request, Ground):
                return _grounded(job.scenes[0], request)
            if isinstance(request, Name):
                return job.scenes[0].names(request.region, request.among)
            if isinstance(request, ReadAll):
                return job.scenes[0].read()
            if isinstance(request, Judge):
                boxes, image = request.about.boxes, request.about.image
                return judge(self.model, image, boxes, request.labels, request.classes, request.limits)
            pointed = self._pointed(request)
            regions = self._to_read(request)
            if pointed is None and not regions:
                return self._opened(self._asked(job))
            said = self._read(regions, job) if pointed is None else self._point(pointed, job)
            return Opened(said.prompt_tokens, iter([Piece(said.text)])) if job.opens else said
        finally:
            job.seconds["answer"] = time.perf_counter() - started

    def _asked(self, job: Job) -> Asked:
        """Raises `Fo1Error` for what makes no prompt."""
        talk = job.request
        if not isinstance(talk, Talk):
            raise TypeError(f"{talk} is no conversation")
        if talk.region is not None and talk.region >= len(job.scenes[0].regions):
            raise RegionError(
                f"there is no region {talk.region}; this image has {len(job.scenes[0].regions)}, from 0"
            )
        left = iter(job.scenes)
        messages = [
            Message(turn.role, [part if isinstance(part, str) else next(left) for part in turn.parts])
            for turn in talk.turns
        ]
        read = conversation(self.model.model, messages)
        ids = self.model.model.prompts.conversation(read.turns)
        if len(ids) > self.prompt_tokens:
            raise PromptError(f"the prompt has {len(ids):,} tokens; at most {self.prompt_tokens:,} are read")
        return Asked(talk, read, ids)

    def _told(self, jobs: Sequence[Job]) -> list[Said | Exception]:
        """Texts of one greatest length, as a batch."""
        asked = [_attempt(partial(self._asked, job)) for job in jobs]
        said = iter(_together([one for one in asked if isinstance(one, Asked)], self._said))
        return [next(said) if isinstance(one, Asked) else one for one in asked]

    def _said(self, asked: Sequence[Asked]) -> list[Said]:
        model, talk = self.model.model, asked[0].talk
        with model.lock:
            written = generate(
                model,
                [one.ids for one in asked],
                [one.read.shown for one in asked],
                talk.new_tokens,
                repetition_penalty=talk.repetition_penalty,
                grammars=text_grammars(model, [one.regions for one in asked]),
            )
        return [
            Said(one.read.view.outward(w.text), len(one.ids), len(w.ids), len(w.ids) < talk.new_tokens)
            for one, w in zip(asked, written, strict=True)
        ]

    def _opened(self, asked: Asked) -> Opened:
        """Text about one image comes piece by piece; about none or several, all at once."""
        model, talk, read = self.model.model, asked.talk, asked.read
        if len(read.shown) != 1:
            return Opened(len(asked.ids), (Piece(said.text) for said in self._said([asked])))
        rest = talk.new_tokens, talk.repetition_penalty, text_grammars(model, [asked.regions])
        return Opened(len(asked.ids), stream(model, asked.ids, read.shown[0], read.view, *rest))

    def _pointed(self, talk: Talk) -> Ground | None:
        """The grounding task that a conversation is, word for word, for a model whose text is words only."""
        text = _only_question(talk)
        if self.model.model.splice.pointer is None or text is None:
            return None
        for verb in GROUNDING:
            labels = TASKS[verb].match(text)
            if labels and labels.strip(" ,"):
                return Ground(shown(talk)[0], verb, tuple(clean_labels(labels)))
        return None

    def _to_read(self, talk: Talk) -> list[int]:
        """The regions that a conversation asks to read, word for word, for a model with a reader."""
        text = _only_question(talk)
        return [] if self.model.model.reader is None or text is None else regions_to_read(text)

    def _is_task(self, talk: Talk) -> bool:
        return self._pointed(talk) is not None or bool(self._to_read(talk))

    def _read(self, regions: list[int], job: Job) -> Said:
        text, model = job.scenes[0].read(regions).text, self.model.model
        return Said(text, len(self._asked(job).ids), len(model.prompts.template(text)), True)

    def _point(self, ground: Ground, job: Job) -> Said:
        found, model = _grounded(job.scenes[0], ground), self.model.model
        text = found.answer.text if ground.verb == "detect" else f"{found.answer.text} {len(found)}"
        return Said(text, len(self._asked(job).ids), len(model.prompts.template(text)), True)


def _only_question(talk: Talk) -> str | None:
    """The text of a conversation that is one turn about one image; None for any other."""
    if len(talk.turns) != 1 or len(shown(talk)) != 1:
        return None
    return "".join(part for part in talk.turns[0].parts if isinstance(part, str)).strip()


def _settle(jobs: Sequence[Job], values: Sequence[object]) -> None:
    for job, value in zip(jobs, values, strict=True):
        job.outcome = value if isinstance(value, Exception) else Done(value, job.scenes, job.seconds)
        job.settled()


def _grounded(scene: Scene, request: Ground) -> Findings:
    labels, threshold = request.labels, request.threshold
    if request.verb == "find":
        return scene.find(labels[0], threshold)
    return scene.locate(labels[0], threshold) if request.verb == "count" else scene.detect(labels, threshold)


def _together(
    given: Sequence[Given], make: Callable[[Sequence[Given]], Sequence[Made]]
) -> list[Made | Exception]:
    """What is made of each, as a batch; one by one if that fails, so that nobody pays for another's error."""
    if not given:
        return []
    made = _attempt(lambda: make(given))
    if not isinstance(made, Exception):
        return list(made)
    return [made] if len(given) == 1 else [one for each in given for one in _together([each], make)]


def _attempt(make: Callable[[], Made]) -> Made | Exception:
    """What is made, or why not: a request must not end the thread that serves the others."""
    try:
        return make()
    except Fo1Error as error:
        return error
    except Exception as error:
        logger.exception("a request failed")
        return error
