"""`rewrite`: annotations as they were, without the boxes that were rejected and with labels set right.

Only that changes: other boxes, crowds, polygons, and keys that fo1 does not know stay.
"""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from itertools import repeat
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from fo1.data.convert import coco, labelme, voc, yolo
from fo1.data.convert.files import SUFFIXES, read_json, read_lines, read_xml, tidy
from fo1.data.convert.objects import Object
from fo1.data.convert.problems import Problems
from fo1.errors import Fo1Error
from fo1.labeling.ledger import write_whole
from fo1.labeling.placing import put_file

Size = tuple[int, int]


class Decisions(Protocol):
    """What becomes of each object. Images go by the ids that `read_source` gives them."""

    def size(self, image: str) -> Size | None:
        """(width, height) in pixels of an image that was judged; None for others, which stay as they are."""

    def label(self, image: str, thing: Object) -> str | None:
        """What an object is to be called, maybe as before; None if it goes."""


class Given(Protocol):
    """Annotations on disk, as the user named them. images, split: None where not said."""

    @property
    def kind(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def images(self) -> Path | None: ...
    @property
    def split(self) -> str | None: ...


def rewrite(given: Given, decisions: Decisions, folder: Path) -> None:
    """Writes the same files into a folder. Raises `Fo1Error`."""
    try:
        _REWRITERS[given.kind](given, decisions, folder)
    except OSError as error:
        raise Fo1Error(f"{folder} cannot be written: {error}") from error


def _coco(given: Given, decisions: Decisions, folder: Path) -> None:
    problems = Problems(loud=0)
    known = coco.read_instances(given.path, problems)
    numbers = {name: number for number, name in known.names.items()}
    data = read_json(given.path, coco.WHAT)
    ids = {str(category.get("id")): category.get("id") for category in data["categories"]}
    kept = []
    for row in data["annotations"]:
        image = str(row.get("image_id"))
        size = decisions.size(image)
        thing = None if size is None else coco.read_object(known, row, size, problems)
        label = None if thing is None else decisions.label(image, thing)
        if thing is not None and label is None:
            continue
        if thing is not None and label is not None and label != thing.label:
            row = row | {"category_id": ids[numbers[label]]}
        kept.append(row)
    text = json.dumps(data | {"annotations": kept}, ensure_ascii=False)
    write_whole(folder / given.path.name, text + "\n")


def _labelme(given: Given, decisions: Decisions, folder: Path) -> None:
    problems, path = Problems(loud=0), given.path
    root = path.parent if path.is_file() else path
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    documents = [(f, data) for f in files if (data := labelme.read_document(f, problems)) is not None]
    written = [shape.get("label") for _, data in documents for shape in data["shapes"]]
    spelled = {tidy(label): label for label in written}
    for file, data in documents:
        inner = file.relative_to(root)
        image = inner.with_suffix("").as_posix()
        size = decisions.size(image)
        shapes = []
        for shape in data["shapes"]:
            thing = None if size is None else labelme.read_shape(shape, size, str(file), problems)
            label = None if thing is None else decisions.label(image, thing)
            if thing is None or label is not None:
                renamed = thing is not None and label != thing.label
                shapes.append(shape | {"label": spelled.get(label, label)} if renamed else shape)
        target = folder / inner
        beside = (file.parent / str(data.get("imagePath") or "").replace("\\", "/")).absolute()
        moved = {"imagePath": os.path.relpath(beside, target.parent.absolute())} if beside.is_file() else {}
        text = json.dumps(data | {"shapes": shapes} | moved, ensure_ascii=False, indent=2)
        write_whole(target, text + "\n")


def _voc(given: Given, decisions: Decisions, folder: Path) -> None:
    problems = Problems(loud=0)
    trees = [(file, read_xml(file)) for file in voc.xml_files(given.path)]
    for file, tree in trees:
        size = decisions.size(file.stem)
        for element in tree.findall("object"):
            thing = None if size is None else voc.read_object(tree, element, size, str(file), problems)
            if thing is None:
                continue
            label, name = decisions.label(file.stem, thing), element.find("name")
            if label is None:
                tree.remove(element)
            elif label != thing.label and name is not None:
                name.text = label
        write_whole(folder / "Annotations" / file.name, ET.tostring(tree, encoding="unicode") + "\n")


def _yolo(given: Given, decisions: Decisions, folder: Path) -> None:
    problems = Problems(loud=0)
    layout = yolo.Layout.of(given.path, given.images, given.split or "train")
    numbers = {name: number for number, name in layout.names.items()}
    for images in layout.images:
        labels = layout.labels_of(images)
        for file in sorted(p for p in images.rglob("*") if p.suffix.lower() in SUFFIXES):
            inner = file.relative_to(images)
            source, size = labels / inner.with_suffix(".txt"), decisions.size(inner.as_posix())
            lines = [line for line in read_lines(source) if line.strip()] if source.exists() else []
            if size is not None:
                objects = [yolo.read_line(line, size, layout, str(source), problems) for line in lines]
                finals = [thing and decisions.label(inner.as_posix(), thing) for thing in objects]
                changed = map(_renumbered, lines, objects, finals, repeat(numbers))
                lines = [line for line in changed if line is not None]
            place = folder / _below(labels, layout.root, "labels") / inner.with_suffix(".txt")
            write_whole(place, "".join(line + "\n" for line in lines))
            # Files, not the folder: readers that resolve a link to it would find the old labels beside it.
            put_file(file, folder / _below(images, layout.root, "images") / inner)
    for name in ("data.yaml", "classes.txt", "obj.names"):
        if (layout.root / name).is_file():
            # Without `path`, folders are seen from the file itself.
            kept = [line for line in read_lines(layout.root / name) if not line.startswith("path:")]
            write_whole(folder / name, "".join(line + "\n" for line in kept))


def _renumbered(line: str, thing: Object | None, final: str | None, numbers: Mapping[str, int]) -> str | None:
    """A line with the number of its final class; None if it goes."""
    if thing is None or final == thing.label:
        return line
    return None if final is None else " ".join([str(numbers[final]), *line.split()[1:]])


_REWRITERS: Mapping[str, Callable[[Given, Decisions, Path], None]] = MappingProxyType(
    {"coco": _coco, "lvis": _coco, "objects365": _coco, "labelme": _labelme, "voc": _voc, "yolo": _yolo}
)
KINDS = tuple(_REWRITERS)


def _below(path: Path, root: Path, otherwise: str) -> Path:
    try:
        return path.resolve().relative_to(root.resolve())
    except ValueError:
        return Path(otherwise)
