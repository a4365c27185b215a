"""Findings for programs: what `--format` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from fo1.cli.jsonfile import dumps
from fo1.cli.options import Format
from fo1.errors import Fo1Error

if TYPE_CHECKING:
    from fo1.findings import Findings
    from fo1.outlined import Outlined

ONE_IMAGE = (Format.yolo, Format.labelme)


@dataclass(frozen=True)
class Result:
    """What was found on one image. record: as `--json` writes it. outlined: with masks, if asked for."""

    found: Findings
    record: dict[str, Any]
    outlined: Outlined | None = None

    @property
    def written(self) -> Findings | Outlined:
        """What the formats hold."""
        return self.outlined or self.found

    @property
    def source(self) -> str:
        """The image as the user named it."""
        return str(self.record["image"])


class Printer:
    """Prints results as they come; a COCO data set, which holds all images, at the end.

    form: None prints nothing. labels: all that was asked for; they number the classes of COCO and YOLO.
    Raises `Fo1Error` for a format of one image and several images.
    """

    def __init__(self, form: Format | None, labels: Sequence[str], several: bool) -> None:
        if several and form in ONE_IMAGE:
            raise Fo1Error(f"--format {form.value} describes one image; for several use coco, json or jsonl")
        self._form, self._labels, self._several = form, labels, several
        self._results: list[Result] = []

    def add(self, result: Result, headline: str | None = None) -> None:
        """headline: what a table says first."""
        if self._form is Format.coco:
            self._results.append(result)
        elif self._form is Format.table:
            from fo1.cli import tables

            titles = [result.source] if self._several else []
            titles += [headline] if headline else []
            tables.show(result.found, result.record["seconds"], ": ".join(titles) or None)
        elif self._form is not None:
            typer.echo(_document(self._form, result, self._labels), nl=False)

    def end(self) -> None:
        """After the last image."""
        if self._form is Format.coco:
            typer.echo(dumps(coco(self._results, self._labels)))


def coco(results: Sequence[Result], labels: Sequence[str]) -> dict[str, Any]:
    """One COCO data set of all images."""
    images: list[Any] = []
    annotations: list[Any] = []
    for number, result in enumerate(results, start=1):
        one = result.written.to_coco(number, result.source, labels)
        images += one["images"]
        annotations += one["annotations"]
    numbered = [a | {"id": number} for number, a in enumerate(annotations, start=1)]
    categories = [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]
    return {"images": images, "categories": categories, "annotations": numbered}


def _document(form: Format, result: Result, labels: Sequence[str]) -> str:
    if form is Format.jsonl:
        rows = ({"image": result.source, **row} for row in result.written.to_dicts())
        return "".join(dumps(row) + "\n" for row in rows)
    if form is Format.yolo:
        return result.written.to_yolo(labels)
    if form is Format.labelme:
        return dumps(result.written.to_labelme(result.source)) + "\n"
    return dumps(result.record) + "\n"
