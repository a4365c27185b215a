"""Where a model's errors on `fo1-scenes` are: why things were missed, and what wrong boxes show.

    python benchmarks/errors.py [--split real|composed|…] [--data photos|ASSETS] [--pictures N]

Rows are sizes (COCO's, in pixels) and where the bundled model could know a name from (see `NameGroup`). A
wrong box counts by its own size and the group of its label. For things scored too low: which name the model
holds likelier for that region, of all it knows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from asked_scenes import parser, samples
from numpy.typing import NDArray

import fo1
from fo1.boxes import area
from fo1.evaluation.analysis import SIZE_EDGES, SIZES
from fo1.evaluation.benchmarks.name_groups import NameGroup
from fo1.evaluation.diagnosis import Fault, Miss, faults, missed
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.truth import BoxTruth
from fo1.scene import Scene

ALL = "all"
ROWS = (ALL, *SIZES, *(group.value for group in NameGroup))


def kinds(label: str, box: NDArray[np.float32]) -> tuple[str, ...]:
    """The rows in which a box of a label counts."""
    size = SIZES[int(np.digitize(area(box[None])[0], SIZE_EDGES))]
    return ALL, size, NameGroup.of(label).value


class Tally:
    """What is added up over pictures.

    counts: of each row of the table. wrong: is the label present, and what the box shows.
    scores, rivals: of things scored too low, the score, and label and likeliest name.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.wrong: Counter[tuple[str, str]] = Counter()
        self.scores: list[float] = []
        self.rivals: Counter[tuple[str, str]] = Counter()

    def add(self, scene: Scene, truth: BoxTruth) -> None:
        """One picture."""
        answer = Grounded.of(scene, truth.labels)
        for label, box in zip(truth.names, truth.xyxy, strict=True):
            self._count("things", label, box)
        for one in missed(answer, truth, self.threshold):
            label = truth.names[one.thing]
            self._count(one.why.value, label, truth.xyxy[one.thing])
            if one.why is Miss.unsure:
                self.scores.append(float(answer.scores[label][one.region]))
                if scene.known_names:
                    self.rivals[label, scene.names(one.region, count=1)[0][0]] += 1
        for fault in faults(answer, truth):
            self._count(fault.why.value, fault.label, answer.xyxy[fault.region])
            there = "present" if fault.label in truth.names else "absent"
            self.wrong[there, fault.why.value] += 1

    def _count(self, what: str, label: str, box: NDArray[np.float32]) -> None:
        for row in kinds(label, box):
            self.counts[row][what] += 1

    def table(self) -> str:
        """One row a kind of thing."""
        misses, wrong = [one.value for one in Miss], [one.value for one in Fault]
        head = ["", "things", "found", *misses, "wrong boxes", *wrong]
        lines = [_row(head), "|---" * len(head) + "|"]
        for row in ROWS:
            counts = self.counts[row]
            found = counts["things"] - sum(counts[why] for why in misses)
            faulty = sum(counts[why] for why in wrong)
            cells = [found, *(counts[why] for why in misses), faulty, *(counts[why] for why in wrong)]
            lines.append(_row([row, counts["things"], *cells]))
        return "\n".join(lines)

    def told(self) -> str:
        """What stands behind the table."""
        close = sum(score >= self.threshold / 2 for score in self.scores)
        lines = [
            f"Scored too low: {len(self.scores)}, {close} of them at least half the threshold "
            f"({self.threshold:g}), median {np.median(self.scores or [0]):.2f}.",
            "Wrong boxes for labels that are " + _listed(self.wrong),
        ]
        if self.rivals:
            others = Counter({pair: count for pair, count in self.rivals.items() if pair[0] != pair[1]})
            own, all_of_them = self.rivals.total() - others.total(), self.rivals.total()
            lines += [
                f"For {own} of {all_of_them} the label is the likeliest of all names, yet scores too low.",
                "Others, and the likeliest name: " + _listed(others),
            ]
        return "\n".join(lines)


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _listed(pairs: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{one}: {other} ({count})" for (one, other), count in pairs.most_common(40))


def main() -> None:
    arguments = parser(__doc__).parse_args()
    model = fo1.load(arguments.model)
    tally = Tally(model.settings.threshold)
    for sample in samples(arguments):
        tally.add(model.look(sample.image), sample.truth)
    print(tally.table(), tally.told(), sep="\n\n")


if __name__ == "__main__":
    main()
