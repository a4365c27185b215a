"""`Making`: annotated images of any source → records with dialogues, and how they count up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from zlib import crc32

import numpy as np

from fo1.data.convert.annotated import Annotated
from fo1.data.dialogues import TaskConfig, make_record
from fo1.data.record import Record


class Making:
    """Makes records, each with an id of its own: conversations about one image often share one.

    source: name of the data set. dialogues: made so far. silent: images without any.
    """

    def __init__(self, source: str, config: TaskConfig, seed: int = 0) -> None:
        self.source, self.config, self.seed = source, config, seed
        self.dialogues = self.silent = 0
        self._ids: Counter[str] = Counter()

    def records(self, found: Iterable[Annotated]) -> Iterator[Record]:
        """Those that something is asked about. What is asked follows from the image's name and the seed."""
        for image in found:
            name = image.image.path.encode("utf-8", "replace")
            rng = np.random.default_rng((self.seed, crc32(name)))
            record = make_record(image, self.source, rng, self.config)
            self.dialogues += len(record.dialogues)
            self.silent += not record.dialogues
            if record.dialogues:
                yield self._unique(record)

    def _unique(self, record: Record) -> Record:
        if record.id is None:
            return record
        self._ids[record.id] += 1
        number = self._ids[record.id]
        return record if number == 1 else replace(record, id=f"{record.id}#{number}")
