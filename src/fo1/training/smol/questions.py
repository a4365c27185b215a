"""A scene record → several questions on one shared prefix, with what is right at each position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from fo1.data.exercise import Exercise
from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.model import Encoded, RegionModel
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.tasks import TASKS
from fo1.prompts.vocabulary import region_name
from fo1.regions.encoder import RegionFeatures
from fo1.training.losses import Prepared
from fo1.training.smol.gallery import Halves
from fo1.training.smol.names import EVERYDAY
from fo1.training.smol.records import SceneRecord
from fo1.training.smol.thesaurus import Thesaurus
from fo1.types import Regions
from fo1.vlm.family import Sight

EVERYDAY_WORDS = sorted(EVERYDAY)
PLACES: dict[str, Callable[[Tensor], Tensor]] = {
    "left": lambda boxes: -boxes[:, [0, 2]].sum(1),
    "right": lambda boxes: boxes[:, [0, 2]].sum(1),
    "top": lambda boxes: -boxes[:, [1, 3]].sum(1),
    "bottom": lambda boxes: boxes[:, [1, 3]].sum(1),
    "biggest": lambda boxes: (boxes[:, 2:] - boxes[:, :2]).prod(1),
    "smallest": lambda boxes: -(boxes[:, 2:] - boxes[:, :2]).prod(1),
}
"""What tells things of a name apart, and how much of it each of the boxes (G, 4) has."""
LOW, HIGH = 0.4, 0.7  # IoU at which a box begins to count as the object, and from which it is the object


@dataclass(frozen=True, eq=False)
class SeenScene(Prepared):
    """An encoded scene and an exercise about it. image: ids that stand for it."""

    features: RegionFeatures
    exercises: tuple[Exercise, ...]
    image: tuple[int, ...]

    def encode(self, model: RegionModel) -> Encoded:
        """From the cached features, on a canvas of any size."""
        side = 1000
        regions = Regions.of(self.features.boxes[:-1].float().numpy() * side, (side, side))
        unseen = FeatureMaps((), (), Frame((side, side), (side, side)))
        return model.embed(self.features.float(), regions, Sight(self.image, unseen, None, {}))


@dataclass(frozen=True)
class QuestionConfig:
    """How many of each kind.

    present, absent: labels asked per scene, at most. hard: share of absent labels taken from the siblings of
    present names; everyday: share taken from everyday words. general: chance of a synonym or a wider word
    instead of the name itself. references: things to tell apart by place or size, and namings: regions to
    describe, at most. regions: fewest and most shown.
    """

    present: int = 5
    absent: int = 6
    hard: float = 0.3
    everyday: float = 0.3
    general: float = 0.25
    references: int = 2
    namings: int = 3
    regions: tuple[int, int] = (16, 64)


class QuestionMaker:
    """Asks about records.

    names: every name training may use, present or absent. halves: what the gallery recalls of a record, for
    models that have one.
    """

    def __init__(
        self,
        prompts: PromptBuilder,
        thesaurus: Thesaurus,
        names: Sequence[str],
        config: QuestionConfig | None = None,
        halves: Halves | None = None,
    ) -> None:
        self.prompts, self.thesaurus, self.names = prompts, thesaurus, list(names)
        self.config, self.halves = config or QuestionConfig(), halves

    def __call__(self, record: SceneRecord, rng: np.random.Generator) -> SeenScene:
        """Several questions about one scene, decided by `rng` alone."""
        record = self.subset(record, rng)
        sample, image = Exercise(), (cast(int, self.prompts.vocabulary.image_slot),)
        root = sample.tree.add(self.prompts.prefix(image, record.count))
        labels = self._labels(record, rng)
        for task, asked in self._split(labels, rng):
            pointing = self._pointing(sample, root, TASKS[task].fill(*asked), record.count)
            for label in asked:
                naming = self.prompts.naming(label, record.count)
                sample.pick(pointing, naming, label, self._target(record, label))
        self._refer(sample, root, record, rng)
        self._name_regions(sample, root, record, rng)
        self._ask(sample, root, record, labels, rng)
        return SeenScene(record.features, (sample,), image)

    def subset(self, record: SceneRecord, rng: np.random.Generator) -> SceneRecord:
        """Some of the regions, in the proposer's order or any other: neither order nor number is learnt."""
        count = record.count
        keep = np.arange(count)
        fewest, most = self.config.regions
        limit = int(rng.integers(fewest, most + 1))
        if count > limit:
            keep = np.sort(rng.choice(count, limit, replace=False))
        if rng.random() < 0.5:
            keep = rng.permutation(keep)
        rows = torch.as_tensor(np.append(keep, count))
        kept = replace(record, features=record.features.take(rows), overlap=record.overlap[rows[:-1]])
        return kept if self.halves is None else self.halves(kept)

    def _labels(self, record: SceneRecord, rng: np.random.Generator) -> list[str]:
        present = list(dict.fromkeys(record.names))
        rng.shuffle(present)
        asked = [self._worded(name, rng) for name in present[: self.config.present]]
        asked = [label for label in asked if self._answerable(record, label)]
        siblings = [s for name in present for s in self.thesaurus.siblings(name)]
        absent: list[str] = []
        for _ in range(int(rng.integers(2, self.config.absent + 1))):
            kind = rng.random()
            pool = self.names
            if siblings and kind < self.config.hard:
                pool = siblings
            elif kind > 1 - self.config.everyday:
                pool = EVERYDAY_WORDS
            absent.append(pool[int(rng.integers(len(pool)))])
        known = [*record.names, *record.uncertain]
        asked += [a for a in absent if not any(self.thesaurus.conflicts(a, name) for name in known)]
        asked = list(dict.fromkeys(asked))
        rng.shuffle(asked)
        return asked

    def labels_and_targets(
        self, record: SceneRecord, names: Sequence[str], count: int, rng: np.random.Generator
    ) -> tuple[list[str], Tensor]:
        """The scene's names and wider words, and random `names` that are absent: `count` in all.

        Returns them with their targets, (L, N).
        """
        present = list(dict.fromkeys(record.names))
        words = dict.fromkeys([*present, *(w for name in present for w in self.thesaurus.wider(name))])
        asked = [label for label in words if self._answerable(record, label)]
        known = [*record.names, *record.uncertain]
        for index in rng.choice(len(names), count, replace=False):
            name = names[index]
            if len(asked) < count and not any(self.thesaurus.conflicts(name, other) for other in known):
                asked.append(name)
        return asked, torch.stack([self._target(record, label) for label in asked])

    def _worded(self, name: str, rng: np.random.Generator) -> str:
        others = self.thesaurus.wider(name)
        return (
            others[int(rng.integers(len(others)))] if others and rng.random() < self.config.general else name
        )

    def _answerable(self, record: SceneRecord, label: str) -> bool:
        """No thing without a box may fit, and some region must cover an object that does."""
        if self._uncertain(record, label):
            return False
        return bool((self._target(record, label) > 0.5).any())

    def _uncertain(self, record: SceneRecord, label: str) -> bool:
        """May the label fit something that has no box?"""
        matches = self.thesaurus.matches
        return any(matches(label, name) or matches(name, label) for name in record.uncertain)

    @staticmethod
    def _split(labels: list[str], rng: np.random.Generator) -> list[tuple[str, list[str]]]:
        """Labels into questions: the first alone, counted as often as detected, the rest together."""
        first, rest = labels[:1], labels[1:]
        questions = [("count" if rng.random() < 0.5 else "detect", first)] if first else []
        return questions + ([("detect", rest)] if rest else [])

    def _target(self, record: SceneRecord, label: str) -> Tensor:
        fits = [i for i, name in enumerate(record.names) if self.thesaurus.matches(label, name)]
        return self._overlap_target(record, fits)

    @staticmethod
    def _overlap_target(record: SceneRecord, objects: list[int]) -> Tensor:
        if not objects:
            return torch.zeros(record.count)
        best = record.overlap[:, objects].amax(dim=1)
        return ((best - LOW) / (HIGH - LOW)).clamp(0, 1)

    def _question(self, sample: Exercise, root: int, text: str, regions: int) -> int:
        return sample.tree.add(self.prompts.question(text, regions), root)

    def _pointing(self, sample: Exercise, root: int, text: str, regions: int) -> int:
        return sample.tree.child(self.prompts.pointing(text, regions), root)

    def _answer(self, sample: Exercise, question: int, text: str) -> None:
        sample.write(question, [*self.prompts.template(text), self.prompts.stop_id])

    def _refer(self, sample: Exercise, root: int, record: SceneRecord, rng: np.random.Generator) -> None:
        """Some of several things of a name, each told apart by place or size."""
        repeated = sorted({name for name in record.names if record.names.count(name) > 1})
        asked = [(name, word) for name in repeated if not self._uncertain(record, name) for word in PLACES]
        for number in rng.permutation(len(asked))[: self.config.references]:
            name, word = asked[number]
            target = self._referred(record, name, word)
            if target is not None:
                phrase = f"the {word} {name}"
                pointing = self._pointing(sample, root, TASKS["detect"].fill(phrase), record.count)
                sample.pick(pointing, self.prompts.naming(phrase, record.count), phrase, target)

    def _referred(self, record: SceneRecord, name: str, word: str) -> Tensor | None:
        """(N,) what is right for "the WORD NAME"; None if that is not clear, or has no region."""
        alike = [i for i, other in enumerate(record.names) if self.thesaurus.matches(name, other)]
        measure = PLACES[word](record.objects[alike])
        best, second = measure.topk(2)[0].tolist()
        target = self._overlap_target(record, [alike[int(measure.argmax())]])
        clear = best - second > (0.1 if "st" not in word else 0.2 * abs(best))
        return target if clear and bool((target > 0.5).any()) else None

    def _name_regions(
        self, sample: Exercise, root: int, record: SceneRecord, rng: np.random.Generator
    ) -> None:
        if not record.names:
            return
        best, which = record.overlap.max(dim=1)
        clear = (best > 0.6).nonzero()[:, 0].numpy()
        for region in rng.permutation(clear)[: self.config.namings].tolist():
            text = TASKS["describe"].fill(region_name(region))
            question = self._question(sample, root, text, record.count)
            self._answer(sample, question, " " + record.names[int(which[region])])

    def _ask(
        self, sample: Exercise, root: int, record: SceneRecord, labels: list[str], rng: np.random.Generator
    ) -> None:
        """A plain question about the whole picture, in a third of the scenes."""
        if not labels or rng.random() > 0.35:
            return
        if rng.random() < 0.6 or record.uncertain or not record.names:
            label = labels[int(rng.integers(len(labels)))]
            there = any(self.thesaurus.matches(label, name) for name in record.names)
            question = self._question(sample, root, f"Is there a {label} in this image?", record.count)
            self._answer(sample, question, " Yes" if there else " No")
            return
        question = self._question(sample, root, "What is in this image?", record.count)
        self._answer(sample, question, " " + ", ".join(sorted(set(record.names))))
