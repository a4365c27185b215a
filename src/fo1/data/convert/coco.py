"""COCO, LVIS and Objects365: one instances JSON; what differs between them is told from its keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.files import Images, from_xywh, read_json, sound_box, tidy
from fo1.data.convert.objects import Object, assemble
from fo1.data.convert.problems import Problems
from fo1.data.record import ImageRef, RecordError

WHAT = 'an instances JSON with "images", "annotations" and "categories"'


class Instances(NamedTuple):
    """An instances JSON. Ids are strings, as some tools write them so. by_image: annotations by image id.

    name: of the file. names: of the categories, by id.
    """

    name: str
    images: list[dict[str, Any]]
    by_image: Mapping[str, list[dict[str, Any]]]
    names: dict[str, str]


def read_coco(
    path: Path, images: Path | None = None, problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images of a COCO, LVIS or Objects365 instances JSON, in its order.

    images: folder of the images, by default the JSON's own; a file name or URL such as
        `images/v1/patch0/a.jpg` is also found without its first folders.
    Categories without an object in an image are absent from it. Not in LVIS, which is federated: there only
    `neg_category_ids` are, and what is in `not_exhaustive_category_ids` is partial.
    Raises `RecordError` if the file is not such a JSON.
    """
    problems = problems or Problems()
    data = read_instances(path, problems)
    pictures = Images(images or path.parent, problems)
    federated = any("neg_category_ids" in image for image in data.images)
    for image in data.images:
        found = picture(image, path.name, pictures)
        if found is None:
            continue
        absent = _named(image, "neg_category_ids", data, problems) if federated else data.names.values()
        made = assemble(found, read_objects(data, image, found, problems), absent, str(image.get("id")))
        unsure = _named(image, "not_exhaustive_category_ids", data, problems)
        yield replace(made, partial=made.partial.union(unsure), federated=federated)


def read_instances(path: Path, problems: Problems) -> Instances:
    """The parts of an instances JSON; categories without a name and stray annotations are problems."""
    data = read_json(path, WHAT)
    keys = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in keys):
        raise RecordError(f"{path}: expected {WHAT}")
    images, annotations, categories = (_entries(data[key], f"{path.name}, {key}", problems) for key in keys)
    # Objects365 alone begins its names with capitals.
    lower = any("objects365" in str(image.get("file_name")) for image in images[:1])
    names: dict[str, str] = {}
    for category in categories:
        name = tidy(category.get("name"))
        if name is None:
            problems.add("category without name", f"{path.name}, category {category.get('id')}")
        else:
            names[str(category.get("id"))] = name.lower() if lower else name
    by_image = defaultdict(list)
    for annotation in annotations:
        by_image[str(annotation.get("image_id"))].append(annotation)
    for stray in by_image.keys() - {str(image.get("id")) for image in images}:
        problems.add("annotations of an image that is not listed", f"{path.name}, image {stray}")
    return Instances(path.name, images, by_image, names)


def read_objects(
    data: Instances, image: Mapping[str, Any], found: ImageRef, problems: Problems
) -> list[Object]:
    """The objects of an image; what cannot be used is a problem. found: its reference, with a size."""
    rows = data.by_image.get(str(image.get("id")), ())
    objects = (read_object(data, row, found.size or (1, 1), problems) for row in rows)
    return [thing for thing in objects if thing is not None]


def read_object(
    data: Instances, annotation: Mapping[str, Any], size: tuple[int, int], problems: Problems
) -> Object | None:
    """One annotation on an image of (width, height); None, and a problem, if its category is unknown."""
    place = f"{data.name}, annotation {annotation.get('id')}"
    label = data.names.get(str(annotation.get("category_id")))
    if label is None:
        problems.add("unknown category id", f"{place}, category {annotation.get('category_id')}")
        return None
    box = sound_box(from_xywh(annotation.get("bbox")), size, place, problems)
    crowd = bool(annotation.get("iscrowd") or annotation.get("ignore"))
    return Object(label, box, crowd, str(annotation.get("id")))


def picture(image: Mapping[str, Any], name: str, pictures: Images) -> ImageRef | None:
    """Reference to a listed image; its size is read from the file if not listed. None if it is missing.

    name: of the JSON.
    """
    place = f"{name}, image {image.get('id')}"
    file = image.get("file_name") or image.get("coco_url")  # LVIS has URLs only
    if not isinstance(file, str):
        pictures.problems.add("image without a file name", place)
        return None
    path = pictures.find(file, place)
    width, height = image.get("width"), image.get("height")
    known = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
    return None if path is None else pictures.ref(path, (width, height) if known else None)  # type: ignore[arg-type]


def _named(image: Mapping[str, Any], key: str, data: Instances, problems: Problems) -> list[str]:
    """Names of the categories an image lists under a key."""
    names = []
    for number in image.get(key) or ():
        if str(number) in data.names:
            names.append(data.names[str(number)])
        else:
            problems.add("unknown category id", f"{data.name}, image {image.get('id')}, {key} {number}")
    return names


def _entries(rows: list[Any], place: str, problems: Problems) -> list[dict[str, Any]]:
    for row in rows:
        if not isinstance(row, dict):
            problems.add("entry that is not an object", f"{place}: {str(row)[:60]}")
    return [row for row in rows if isinstance(row, dict)]
