"""`export`: votes → a data set in the layout of another tool. Needs no model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fo1.errors import Fo1Error
from fo1.labeling.layout import Layout
from fo1.labeling.ledger import write_whole
from fo1.labeling.placing import Placing
from fo1.labeling.votes import Found


def export(found: Found, labels: tuple[str, ...], layout: Layout, folder: Path, placing: Placing) -> Path:
    """Writes a data set and returns its main file or folder; files of the same names are replaced.

    labels: all classes, in their order, also those that nothing was found of.
    Raises `Fo1Error` if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if layout is Layout.coco:
            return _coco(found, labels, folder / "annotations.json")
        if layout is Layout.jsonl:
            return _jsonl(found, folder / "detections.jsonl")
        {Layout.yolo: _yolo, Layout.labelme: _labelme, Layout.voc: _voc}[layout](
            found, labels, folder, placing
        )
        return folder
    except (OSError, shutil.Error) as error:
        raise Fo1Error(f"{folder} cannot be written: {error}") from error


def _coco(found: Found, labels: tuple[str, ...], path: Path) -> Path:
    """One JSON, written as it is made: a data set need not fit into memory."""
    with _replaced(path) as file:
        categories = [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]
        file.write('{"categories": ' + _line(categories))
        with _listed(file, "images") as add:
            for number, (id, one) in enumerate(found, start=1):
                add(
                    _line(
                        {
                            "id": number,
                            "file_name": id,
                            "width": one.image_size[0],
                            "height": one.image_size[1],
                        }
                    )
                )
        with _listed(file, "annotations") as add:
            count = 0
            for number, (id, one) in enumerate(found, start=1):
                for annotation in one.to_coco(number, id, labels)["annotations"]:
                    count += 1
                    add(_line(annotation | {"id": count}))
        file.write("\n}\n")
    return path


def _jsonl(found: Found, path: Path) -> Path:
    with _replaced(path) as file:
        for id, one in found:
            file.write(
                _line({"image": id, "size": list(one.image_size), "detections": one.to_dicts()}) + "\n"
            )
    return path


def _yolo(found: Found, labels: tuple[str, ...], folder: Path, placing: Placing) -> None:
    for id, one in found:
        name = placing.put(id, folder / "images")
        write_whole(folder / "labels" / name.with_suffix(".txt"), one.to_yolo(labels))
    # A JSON string is a YAML string. Without `path`, folders are seen from this file.
    names = "".join(f"  {number}: {_line(label)}\n" for number, label in enumerate(labels))
    write_whole(folder / "data.yaml", f"train: images\nval: images\nnames:\n{names}")


def _labelme(found: Found, labels: tuple[str, ...], folder: Path, placing: Placing) -> None:
    for id, one in found:
        name = placing.put(id, folder)
        document = one.to_labelme(name.name)
        write_whole(
            folder / name.with_suffix(".json"), json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        )


def _voc(found: Found, labels: tuple[str, ...], folder: Path, placing: Placing) -> None:
    for id, one in found:
        name = placing.put(id, folder / "JPEGImages", flat=True)
        write_whole(folder / "Annotations" / name.with_suffix(".xml"), one.to_voc(name.name))
    write_whole(folder / "labels.txt", "".join(label + "\n" for label in labels))


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@contextmanager
def _listed(file: IO[str], key: str) -> Iterator[Callable[[str], None]]:
    """One more key of an open JSON object: a list of what is added."""
    file.write(f',\n"{key}": [')
    between = "\n"

    def add(text: str) -> None:
        nonlocal between
        file.write(between + text)
        between = ",\n"

    yield add
    file.write("]")


@contextmanager
def _replaced(path: Path) -> Iterator[IO[str]]:
    """A file that takes the place of the old one once it is whole."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
            yield file
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
