"""LabelMe: one JSON for each image, beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.files import Images, need_folder, read_json, sound_box, tidy
from fo1.data.convert.objects import Object, assemble
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError

WHAT = 'LabelMe JSON files with "shapes" and "imagePath"'


def read_labelme(
    path: Path, images: Path | None = None, problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images of a folder of LabelMe files (also in its subfolders) or of a single file.

    images: folder of the images; by default where `imagePath` says, seen from the JSON.
    Rectangles, polygons and circles give their bounding box; other shapes are problems. A shape's
    description, if any, is its caption. All labels that any file uses and an image does not are absent.
    Raises `RecordError` if there is no LabelMe file.
    """
    problems = problems or Problems()
    folder = path.parent if path.is_file() else need_folder(path, WHAT)
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    documents = [(file, data) for file in files if (data := read_document(file, problems)) is not None]
    if not documents:
        raise RecordError(f"{path}: has no {WHAT}")
    names = {name: None for _, data in documents for s in data["shapes"] if (name := tidy(s.get("label")))}
    pictures = Images(images or folder, problems)
    for file, data in documents:
        found = _find(pictures, file, str(data.get("imagePath") or ""), at_home=images is None)
        image = None if found is None else pictures.ref(found)
        if image is not None and image.size is not None:
            name = file.relative_to(folder).with_suffix("").as_posix()
            yield assemble(image, list(_objects(data, image.size, str(file), problems)), names, name)


def read_document(file: Path, problems: Problems) -> dict[str, Any] | None:
    """A LabelMe file; None, and a problem, if it is something else."""
    try:
        data = read_json(file, WHAT)
    except RecordError as error:
        problems.add("damaged JSON", str(error))
        return None
    shapes = data.get("shapes") if isinstance(data, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        problems.add("not a LabelMe file", str(file))
        return None
    return data


def _find(pictures: Images, file: Path, name: str, at_home: bool) -> str | None:
    beside = file.parent / name.replace("\\", "/")
    if at_home and name and beside.is_file():
        return Path(os.path.relpath(beside, pictures.root)).as_posix()
    folder = Path(os.path.relpath(file.parent, pictures.root)).as_posix() if at_home else ""
    return pictures.find(name or file.stem, str(file), (folder, ""))


def _objects(data: dict[str, Any], size: tuple[int, int], place: str, problems: Problems) -> Iterator[Object]:
    for number, shape in enumerate(data["shapes"]):
        thing = read_shape(shape, size, f"{place}, shape {number}", problems)
        if thing is not None:
            yield thing


def read_shape(shape: dict[str, Any], size: tuple[int, int], place: str, problems: Problems) -> Object | None:
    """One shape on an image of (width, height); None, and a problem, if it has no label."""
    label = tidy(shape.get("label"))
    if label is None:
        problems.add("category without name", place)
        return None
    kind = shape.get("shape_type") or "polygon"
    if kind not in ("rectangle", "polygon", "circle"):
        problems.add(f"a {kind} has no box", place)
        return Object(label, None)
    box = sound_box(_corners(shape.get("points"), kind), size, place, problems)
    return Object(label, box, caption=str(shape.get("description") or "").strip() or None)


def _corners(points: Any, kind: str) -> tuple[float, ...] | None:
    """x1 y1 x2 y2 around points; None if they are none. A circle is its centre and a point on it."""
    try:
        pairs = [(float(x), float(y)) for x, y in points]
        if kind == "circle":
            (x, y), (edge_x, edge_y) = pairs
            radius = float(((edge_x - x) ** 2 + (edge_y - y) ** 2) ** 0.5)
            return x - radius, y - radius, x + radius, y + radius
        xs, ys = zip(*pairs, strict=True)
    except (TypeError, ValueError):
        return None
    return min(xs), min(ys), max(xs), max(ys)
