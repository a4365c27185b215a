"""`Scene`: one image, and the verbs that ask about it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from fo1.colours import looks
from fo1.decoding import generate_text, prompt, text_grammars
from fo1.encoders import names
from fo1.errors import PromptError, RegionError, SceneError
from fo1.findings import Findings
from fo1.model import Encoded, RegionModel
from fo1.ordering import meant
from fo1.prompts.parsing import Answer, named_regions, regions_to_read
from fo1.prompts.referring import Reference, refer
from fo1.prompts.tasks import TASKS, clean_labels
from fo1.prompts.vocabulary import region_name
from fo1.rating import Rating
from fo1.reading.page import LEAST_SCORE, Page
from fo1.reading.writing import Line, Writing
from fo1.reporting import check_threshold, report
from fo1.scoring import name_chances, named_scores, region_scores
from fo1.settings import Settings
from fo1.stored import store
from fo1.streaming import Piece, stream
from fo1.types import Regions
from fo1.views import View


class Scene:
    """One image, encoded once; every verb asks about it. Boxes are pixels of the original image, xyxy.

    Several threads may ask scenes of one model; they take turns.
    seconds: how long each stage took so far. image: RGB, while it is kept for reading and colours.
    """

    def __init__(
        self,
        model: RegionModel,
        settings: Settings,
        encoded: Encoded,
        seconds: dict[str, float],
        image: Image.Image | None = None,
    ) -> None:
        self.model, self.settings, self.encoded = model, settings, encoded
        self.seconds, self.image = seconds, image

    def save(self, path: str | Path) -> None:
        """Writes the scene into one file, from which `FO1.restore` makes it again, without the image.

        Raises `SceneError` if it cannot be written.
        """
        store(path, self.encoded, self.model, self.settings.name)

    @property
    def regions(self) -> Regions:
        """What can be pointed at; region N is what the model calls `<regionN>`."""
        return self.encoded.regions

    @property
    def writes(self) -> bool:
        """Does the model write which regions it means? Else it scores them, and what it says follows."""
        return self.model.splice.pointer is None

    def detect(
        self, labels: str | Sequence[str], threshold: float | None = None, constrained: bool = True
    ) -> Findings:
        """All things of each label ("orange, apple" or a list), best first within a label.

        With more regions than the model has names for, it is asked about them in groups.
        threshold: score from which a region is reported; None: what the model itself reports, which is what
            it names, if it writes its answers.
        constrained: a model that writes keeps to the form of an answer, and every region gets a score. If
            not, it says what it likes, and only the regions it names have one.
        Raises `PromptError` if there is no label to ask for.
        """
        return self._ground("detect", clean_labels(labels), threshold, constrained)

    def find(self, phrase: str, threshold: float | None = None, constrained: bool = True) -> Findings:
        """The one thing a phrase describes ("the left cup"), or nothing.

        If the settings say so, the model says what is a cup, `meant` which one, and pixels which is red.
        """
        asked = clean_labels([phrase])
        known = {name.lower() for name in (*self.known_names, *names.known())}
        read = refer(asked[0], known, self.image is not None) if self.settings.compares else None
        return self._ground("detect", asked, threshold, constrained, read, limit=1)

    def count(self, label: str, threshold: float | None = None, constrained: bool = True) -> int:
        """How many there are: as many as the model would point at."""
        return len(self.locate(label, threshold, constrained))

    def locate(self, label: str, threshold: float | None = None, constrained: bool = True) -> Findings:
        """What `count` counts."""
        return self._ground("count", clean_labels([label]), threshold, constrained)

    def describe(self, region: int | None = None) -> str:
        """A few words for one region, or for the whole image.

        Raises `RegionError` for a region that is not there.
        """
        if region is None:
            return self.ask("What is in this image?")
        self._check(region)
        return self.ask(TASKS["describe"].fill(region_name(region)))

    def read(self, region: int | Sequence[int] | None = None, threshold: float = LEAST_SCORE) -> Writing:
        """What is written on the image, line by line; or in some regions, one row for each.

        region: one or several. threshold: least score of a line, not of a region. A model without a reader is
        asked in words.
        Raises `RegionError`, `PromptError` if the model finds no lines, `SceneError` for a saved scene.
        """
        check_threshold(threshold)
        asked = None if region is None else np.atleast_1d(region).tolist()
        for one in asked or ():
            self._check(one)
        if self._page is None:
            return self._told(asked)
        started = time.perf_counter()
        with self.model.lock:
            writing = self._page.read(self.regions, asked, threshold, self.model.device)
        self._spent("read", started)
        return writing

    @cached_property
    def _page(self) -> Page | None:
        reader = self.model.reader
        return None if reader is None or self.image is None else Page(self.image, reader)

    def _told(self, regions: list[int] | None) -> Writing:
        if self.model.reader is not None:
            raise SceneError("a saved scene has lost its image; look at that again to read it")
        if regions is None:
            raise PromptError("this model finds no lines of text; give boxes and read these regions")
        said = answers([self] * len(regions), [TASKS["read"].fill(region_name(one)) for one in regions])
        return Writing.of_regions(self.regions, regions, [Line(text.strip(), 1.0) for text in said])

    @property
    def known_names(self) -> tuple[str, ...]:
        """The names the model knows well, if it has such a list."""
        return () if self.model.lexicon is None else self.model.lexicon.names

    def names(
        self, region: int, among: str | Sequence[str] | None = None, count: int = 5
    ) -> list[tuple[str, float]]:
        """What a region may be called, best first, each with its chance among all that were considered.

        among: names to choose from; by default those the model knows well. No text is generated: the pointer
        compares the region with all names at once.
        Raises `RegionError` for a region that is not there, and `PromptError` if no names can be compared.
        """
        self._check(region)
        chosen = list(self.known_names) if among is None else clean_labels(among)
        if not chosen or self.writes:
            raise PromptError("this model compares no names; give some with `among`, or use describe")
        started = time.perf_counter()
        one = self.encoded.take([region])
        chances = name_chances(self.model, one, chosen, self.settings.temperature).numpy()[:, 0]
        self._spent("answer", started)
        best = np.argsort(-chances, kind="stable")[:count]
        return [(chosen[i], float(chances[i])) for i in best]

    def ask(
        self,
        question: str,
        max_new_tokens: int = 48,
        beams: int = 1,
        repetition_penalty: float = 1.0,
        constrained: bool = True,
    ) -> str:
        """A free question; `<regionN>` in it means that region. Raises `PromptError` if it is empty.

        With more regions than the model has names for, it sees those the question names, then the best.
        beams: answers that are followed at once, to keep the likeliest. repetition_penalty: above 1, makes
        what the answer has said already less likely. constrained: only regions that exist are named, and all
        tags are closed, also if the answer is cut; other words are free.
        """
        started = time.perf_counter()
        (answer,) = answers([self], [question], max_new_tokens, beams, repetition_penalty, constrained)
        self._spent("answer", started)
        return answer

    def stream(
        self,
        question: str,
        max_new_tokens: int = 48,
        repetition_penalty: float = 1.0,
        constrained: bool = True,
    ) -> Iterator[Piece | Answer]:
        """As `ask`, but the answer comes as it is written: pieces of its text, then the whole, parsed.

        Nothing runs but while the next piece is waited for: a loop that is left has stopped the work.
        """
        if regions := self.to_read(question):
            said = self.read(regions).text
            return iter([Piece(said), Answer(said)])
        view, asked, shown = _shown(self, question)
        with self.model.lock:
            ids = prompt(self.model, shown, asked)
            grammars = text_grammars(self.model, [len(shown.regions)]) if constrained else []
        return self._timed(stream(self.model, ids, shown, view, max_new_tokens, repetition_penalty, grammars))

    def _timed(self, events: Iterator[Piece | Answer]) -> Iterator[Piece | Answer]:
        while True:
            started = time.perf_counter()
            event = next(events, None)
            self._spent("answer", started)
            if event is None:
                return
            yield event

    def to_read(self, question: str) -> list[int]:
        """Regions that the reader is asked for, word for word as the task has it."""
        return [] if self.model.reader is None else regions_to_read(question)

    def _check(self, region: int) -> None:
        if not isinstance(region, (int, np.integer)) or not 0 <= region < len(self.regions):
            raise RegionError(f"there is no region {region}; this scene has {len(self.regions)}")

    def _spent(self, stage: str, started: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    def _ground(
        self,
        task: str,
        labels: list[str],
        threshold: float | None,
        constrained: bool,
        reference: Reference | None = None,
        limit: int | None = None,
    ) -> Findings:
        check_threshold(threshold)
        started = time.perf_counter()
        rating = self._rate(task, labels, constrained) if reference is None else self._compare(reference)
        self._spent("answer", started)
        crowded = len(self.regions) > self.model.capacity
        return report(self.regions, labels, rating, threshold, self.settings.threshold, crowded, limit)

    def _compare(self, reference: Reference) -> Rating:
        """The chance that each region is what one phrase means."""
        called = [reference.what] if reference.relation is None else [reference.what, reference.other]
        labels = clean_labels(called)
        rows = [labels.index(name) for name in called]  # of one label, if both are called the same
        scores = self._rate("detect", labels, constrained=True).scores[rows]
        if reference.colour is not None and self.image is not None:
            scores[0] *= looks(self.image, self.regions.xyxy, reference.colour)
        chances = meant(self.regions, scores, reference)[None]
        return Rating(chances, (1 - chances).prod(axis=1))

    def _rate(self, task: str, labels: list[str], constrained: bool) -> Rating:
        if not len(self.regions):
            return Rating(np.zeros((len(labels), 0), np.float32), np.ones(len(labels), np.float32))
        temperature = self.settings.temperature
        with self.model.lock:
            if self.writes:
                return named_scores(self.model, self.encoded, TASKS[task], labels, constrained, temperature)
            scores = region_scores(self.model, self.encoded, TASKS[task], labels, temperature)
            return Rating(scores.numpy(), (1 - scores).prod(dim=1).numpy())


def answers(
    scenes: Sequence[Scene],
    questions: Sequence[str],
    max_new_tokens: int = 48,
    beams: int = 1,
    repetition_penalty: float = 1.0,
    constrained: bool = True,
) -> list[str]:
    """One free question per scene of one model, answered as a batch. See `Scene.ask`."""
    if len(questions) != len(scenes):
        raise PromptError(f"{len(questions)} questions for {len(scenes)} images")
    if not scenes:
        return []
    model = scenes[0].model
    if any(scene.model is not model for scene in scenes):
        raise PromptError("the scenes are of several models; ask each model about its own")
    to_read = [scene.to_read(question) for scene, question in zip(scenes, questions, strict=True)]
    texts = {i: scenes[i].read(regions).text for i, regions in enumerate(to_read) if regions}
    left = [i for i, regions in enumerate(to_read) if not regions]
    if not left:
        return list(texts.values())
    views, asked, encoded = zip(*(_shown(scenes[i], questions[i]) for i in left), strict=True)
    with model.lock:
        grammars = text_grammars(model, [len(one.regions) for one in encoded]) if constrained else []
        said = generate_text(model, encoded, asked, max_new_tokens, beams, repetition_penalty, grammars)
    texts |= {i: view.outward(one.text) for i, view, one in zip(left, views, said, strict=True)}
    return [texts[i] for i in range(len(scenes))]


def _shown(scene: Scene, question: str) -> tuple[View, str, Encoded]:
    """Which regions a question's prompt shows, the question in its numbers, and the image with them."""
    view = View.best(scene.regions.scores, scene.model.capacity, named_regions(question))
    return view, view.inward(question), view.of(scene.encoded)
