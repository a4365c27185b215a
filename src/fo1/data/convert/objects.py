"""`Object`: a labelled box of a detection data set, and how many of them make one `Annotated`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.files import as_boxes
from fo1.data.record import ImageRef


class Object(NamedTuple):
    """One annotated object.

    box: x1 y1 x2 y2 in pixels; None if what the file says cannot be used, though the object is there.
    ignored: a crowd, or too hard to make out: no target. id: the annotation's. caption: it in words.
    """

    label: str
    box: tuple[float, ...] | None
    ignored: bool = False
    id: str | None = None
    caption: str | None = None


def targets(objects: Iterable[Object]) -> list[Object]:
    """Those that become boxes, in order."""
    return [thing for thing in objects if thing.box is not None and not thing.ignored]


def assemble(image: ImageRef, objects: Sequence[Object], absent: Iterable[str], id: str) -> Annotated:
    """An image of a detection data set: `targets` are its boxes.

    absent: labels that are not in the image unless an object has them, whatever its box.
    Labels with an object that lost its box are partial.
    """
    kept = targets(objects)
    present = {thing.label for thing in objects}
    made = Annotated(
        image=image,
        boxes=as_boxes(thing.box for thing in kept if thing.box is not None),
        labels=tuple(thing.label for thing in kept),
        ignored=tuple((o.label, o.box) for o in objects if o.ignored and o.box is not None),
        partial=frozenset(thing.label for thing in objects if thing.box is None),
        absent=tuple(label for label in dict.fromkeys(absent) if label not in present),
        id=id,
    )
    captions = tuple(thing.caption for thing in kept)
    return replace(made, captions=captions) if any(captions) else made
