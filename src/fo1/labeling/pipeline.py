"""From sources to rows in a ledger: `answered` makes them in this process, `keep` writes them.

The steps are functions of their own, for engines that spread them over machines: `Picture.read` needs no
model, `rows_of` no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from PIL import Image

from fo1.errors import Fo1Error
from fo1.labeling.ahead import ahead
from fo1.labeling.ledger import Ledger, Row
from fo1.labeling.sources import Source
from fo1.proposals.cached import pixel_key
from fo1.proposals.proposer import Proposer
from fo1.types import Regions


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, ready for the model.

    id: of its source. image: upright RGB. key: stands for its pixels, see `fo1.proposals.cached`.
    error: why it could not be read; there is no image then. regions: for a model that shall not propose.
    """

    id: str
    image: Image.Image | None = None
    key: str = ""
    error: str | None = None
    regions: Regions | None = None

    @classmethod
    def read(cls, source: Source) -> Picture:
        try:
            image = source.read()
        except Fo1Error as error:
            return cls(source.id, error=str(error))
        return cls(source.id, image, pixel_key(image))

    def failed(self, error: object) -> Row:
        """The row of an image of which nothing is known."""
        return {"image": self.id, "error": " ".join(str(error).split())}

    def head(self) -> Row:
        """What every row of an image that was read begins with. size: (width, height) in pixels."""
        assert self.image is not None
        return {"image": self.id, "size": list(self.image.size), "pixels": self.key}


# One row for each picture, all of which have images. Depends on nothing else. May raise `Fo1Error`.
Ask: TypeAlias = Callable[[Sequence[Picture]], list[Row]]
# Rows of sources, in their order, batch by batch.
Engine: TypeAlias = Callable[[Sequence[Source]], Iterable[list[Row]]]


def rows_of(pictures: Sequence[Picture], ask: Ask) -> list[Row]:
    """A row for each picture of a batch. If the batch fails, each is tried alone: one is to blame."""
    sound = [picture for picture in pictures if picture.image is not None]
    found = {row["image"]: row for row in _tried(sound, ask)}
    return [found.get(picture.id) or picture.failed(picture.error) for picture in pictures]


def _tried(pictures: Sequence[Picture], ask: Ask) -> list[Row]:
    if not pictures:
        return []
    try:
        return ask(pictures)
    except Fo1Error as error:
        if len(pictures) == 1:
            return [pictures[0].failed(error)]
    return [row for picture in pictures for row in _tried([picture], ask)]


def proposed(pictures: Sequence[Picture], finder: Proposer) -> list[Picture]:
    """The pictures with regions for the model. Those that the proposer cannot do have its error."""
    images = {picture.id: picture.image for picture in pictures if picture.image is not None}
    try:
        found = dict(zip(images, finder.propose(list(images.values())), strict=True)) if images else {}
    except Fo1Error as error:
        if len(pictures) == 1:
            return [Picture(pictures[0].id, error=str(error))]
        return [one for picture in pictures for one in proposed([picture], finder)]
    return [replace(picture, regions=found.get(picture.id)) for picture in pictures]


def batches(sources: Sequence[Source], size: int) -> Iterator[list[Source]]:
    """How sources fall into batches follows from their order alone, so that answers do."""
    rest = iter(sources)
    while group := list(islice(rest, size)):
        yield group


def answered(
    sources: Sequence[Source], ask: Ask, batch: int = 8, finder: Proposer | None = None
) -> Iterator[list[Row]]:
    """The plain engine: rows, batch by batch.

    batch: images the model looks at together. finder: proposes boxes for the next batch meanwhile; None if
    the model does.
    """

    def read(group: Sequence[Source]) -> list[Picture]:
        pictures = list(map(Picture.read, group))
        return pictures if finder is None else proposed(pictures, finder)

    for pictures in ahead(batches(sources, batch), read):
        yield rows_of(pictures, ask)


def waiting(sources: Sequence[Source], ledger: Ledger, retry: bool = False) -> list[Source]:
    """Those that the ledger does not hold. retry: and those that failed."""
    return [s for s in sources if s.id not in ledger or (retry and s.id in ledger.failed)]


def keep(
    answers: Iterable[Sequence[Row]],
    ledger: Ledger,
    tell: Callable[[Sequence[Row]], None] = lambda rows: None,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Writes rows as they come. May be killed at any moment: what is not written yet is lost.

    tell: told what was kept, batch by batch. stopping: asked between batches; work ends when it says so.
    """
    for rows in answers:
        ledger.append(rows)
        tell(rows)
        if stopping():
            return
