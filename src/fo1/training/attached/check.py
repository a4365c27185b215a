"""`RegionCheck`: region F1 and refusal on a few records, quick enough to run within training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fo1.data.images import ImageFiles
from fo1.data.presence import Corpus, Presence
from fo1.data.record import Record
from fo1.data.settings import SettingError
from fo1.evaluation.metrics import share
from fo1.pipeline import FO1


class RegionCheck:
    """Shows each record's own boxes, and asks for the labels that are there and some that are not.

    A right answer names exactly the boxes of the label. absent: labels asked for that an image does not have,
    the same at each check.
    Raises `SettingError` if no record has labels.
    """

    def __init__(self, model: FO1, records: Sequence[Record], absent: int = 2, seed: int = 0) -> None:
        self.model, self.records, self.images = model, tuple(records), ImageFiles()
        known = sorted(Corpus.of(records).images)
        if not known:
            raise SettingError("no record to check with has labels")
        rng = np.random.default_rng(seed)
        self.absent = [_denied(Presence.of(record), known, absent, rng) for record in records]

    def __call__(self) -> dict[str, float]:
        """F1, precision and recall over all pairs of label and region; share of absent labels refused."""
        hits = predicted = true = refused = denied = 0
        for record, absent in zip(self.records, self.absent, strict=True):
            labels = record.labels or ()
            present = list(dict.fromkeys(label for label in labels if label is not None))
            if not present:
                continue
            scene = self.model.look(self.images.open(record.image), record.boxes)
            found = scene.detect([*present, *absent])
            for label, regions in _named(found.labels, found.regions.tolist()).items():
                hits += sum(labels[region] == label for region in regions)
                predicted += len(regions)
            true += sum(label is not None for label in labels)
            refused += sum(label not in found.labels for label in absent)
            denied += len(absent)
        precision, recall = share(hits, predicted), share(hits, true)
        return {
            "F1": share(2 * precision * recall, precision + recall),
            "precision": precision,
            "recall": recall,
            "refused": share(refused, denied),
        }


def _named(labels: Sequence[str], regions: Sequence[int]) -> dict[str, set[int]]:
    named: dict[str, set[int]] = {}
    for label, region in zip(labels, regions, strict=True):
        named.setdefault(label, set()).add(int(region))
    return named


def _denied(presence: Presence, known: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    absent = [label for label in known if presence.deniable(label)]
    return [absent[int(i)] for i in rng.permutation(len(absent))[:most]]
