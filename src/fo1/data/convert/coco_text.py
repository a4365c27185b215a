"""COCO-Text: what is written where in COCO images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.coco import picture
from fo1.data.convert.files import Images, as_boxes, from_xywh, read_json, sound_box
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError

WHAT = 'a COCO-Text JSON with "imgs" and "anns"'


def read_coco_text(
    path: Path, images: Path | None = None, split: str = "train", problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images of a split with their texts, in the file's order; images without text are left out.

    images: folder of the COCO train2014 images, by default the JSON's own.
    Illegible texts and those nobody wrote down are boxes without text. Raises `RecordError` for another file.
    """
    problems = problems or Problems()
    data = read_json(path, WHAT)
    if not isinstance(data, dict) or not all(isinstance(data.get(key), dict) for key in ("imgs", "anns")):
        raise RecordError(f"{path}: expected {WHAT}")
    by_image: dict[str, list[dict[str, Any]]] = {}
    for key, annotation in data["anns"].items():
        if not isinstance(annotation, dict):
            problems.add("entry that is not an object", f"{path.name}, annotation {key}")
            continue
        by_image.setdefault(str(annotation.get("image_id")), []).append(annotation)
    pictures = Images(images or path.parent, problems)
    for image in filter(lambda image: isinstance(image, dict), data["imgs"].values()):
        number = str(image.get("id"))
        if image.get("set") != split or number not in by_image:
            continue
        found = picture(image, path.name, pictures)
        if found is None or found.size is None:
            continue
        boxes, texts = [], []
        for annotation in by_image[number]:
            place = f"{path.name}, annotation {annotation.get('id')}"
            box = sound_box(from_xywh(annotation.get("bbox")), found.size, place, problems)
            if box is not None:
                boxes.append(box)
                texts.append(_text(annotation))
        yield Annotated(found, as_boxes(boxes), texts=tuple(texts), exhaustive=False, id=number)


def _text(annotation: dict[str, Any]) -> str | None:
    legible = annotation.get("legibility", "legible") == "legible"
    return " ".join(str(annotation.get("utf8_string") or "").split()) or None if legible else None
