"""`Lessons`: a mixture of records → the images, regions and dialogues that training shows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from fo1.data.images import ImageFiles
from fo1.data.matching import Bools, ProposalMix
from fo1.data.mixture import Draw, Mixture, Stream
from fo1.data.negatives import Negatives
from fo1.data.record import Record, RecordError
from fo1.data.renumbering import reshown
from fo1.data.settings import SettingError
from fo1.errors import ImageError
from fo1.pipeline import FO1
from fo1.types import Regions

Propose = Callable[[Record, Image.Image], Regions]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One image to learn from.

    record: its texts are about `regions`, which are shown. ambiguous: (N,) bool, the regions that may or may
    not be one of the objects.
    """

    image: Image.Image
    record: Record
    regions: Regions
    ambiguous: Bools


@dataclass(frozen=True)
class Showing:
    """How records are shown. All defaults are our choice.

    proposals: a detector's boxes of a record's image; None: the records' own boxes alone.
    negatives: asks for absent labels. questions: dialogues of one image at most, chosen anew at each draw.
    skip_bad: records whose image or boxes cannot be used are logged, counted and left out; else they raise.
    """

    mix: ProposalMix = ProposalMix()
    proposals: Propose | None = None
    negatives: Negatives | None = None
    questions: int = 8
    skip_bad: bool = True


def own_proposals(model: FO1) -> Propose:
    """What the model itself would be shown of an image."""

    def propose(_: Record, image: Image.Image) -> Regions:
        with torch.no_grad():
            maps = [None] if model.model.auxiliary is None else model.model.auxiliary([image])
            return model.model.propose([image], maps)[0]

    return propose


class Lessons:
    """Goes through a mixture; resumes at the exact sample.

    rank, size: of the team of processes that share the mixture.
    skipped: records left out because they could not be used. barren: those that were right, but of whose
    dialogues none is about what is shown.
    """

    def __init__(
        self, mixture: Mixture[Record], showing: Showing | None = None, rank: int = 0, size: int = 1
    ) -> None:
        self.stream, self.showing = Stream(mixture, rank, size), showing or Showing()
        if self.showing.questions < 1:
            raise SettingError(f"questions must be at least 1, got {self.showing.questions}")
        self.images = ImageFiles()
        self.skipped = 0
        self.barren = 0

    def take(self, count: int) -> list[Lesson]:
        """Those of the next `count` records from which something can be learnt."""
        made = (self._lesson(next(self.stream)) for _ in range(count))
        return [lesson for lesson in made if lesson is not None]

    def state_dict(self) -> dict[str, Any]:
        """Where to go on, and what was left out so far."""
        return {"stream": self.stream.state_dict(), "skipped": self.skipped, "barren": self.barren}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises `SettingError` if the mixture is not the one the state is of."""
        self.stream.load_state_dict(state["stream"])
        self.skipped, self.barren = state["skipped"], state["barren"]

    def _lesson(self, draw: Draw[Record]) -> Lesson | None:
        try:
            lesson = self._shown(draw)
        except (RecordError, ImageError) as error:
            if not self.showing.skip_bad:
                raise
            self.skipped += 1
            _log.warning("skipped record %d of %s: %s", draw.index, draw.source, error)
            return None
        if not lesson.record.dialogues:
            self.barren += 1
            _log.debug("record %d of %s: nothing to learn from what is shown", draw.index, draw.source)
            return None
        return lesson

    def _shown(self, draw: Draw[Record]) -> Lesson:
        showing, rng = self.showing, draw.rng()
        image = self.images.open(draw.record.image)
        record = replace(draw.record, image=replace(draw.record.image, size=image.size))
        if showing.negatives is not None:
            record = showing.negatives(record, rng)
        found = None if showing.proposals is None else showing.proposals(record, image)
        result, matching = reshown(record, found, showing.mix, rng)
        return Lesson(
            image, _fewer(result.record, showing.questions, rng), matching.shown, matching.ambiguous
        )


def _fewer(record: Record, most: int, rng: np.random.Generator) -> Record:
    if len(record.dialogues) <= most:
        return record
    chosen = np.sort(rng.choice(len(record.dialogues), most, replace=False))
    return replace(record, dialogues=tuple(record.dialogues[i] for i in chosen))
