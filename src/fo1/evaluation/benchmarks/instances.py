"""`Instances`: an annotation file of COCO's form, whose parts belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fo1.evaluation.benchmark import BenchmarkError, Sample
from fo1.evaluation.files import read_json, rows_with
from fo1.evaluation.truth import BoxTruth
from fo1.types import FloatArray

Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Instances:
    """Images, their annotated objects and categories: COCO, and all that took over its form.

    images: in the file's order. annotations: by image id. categories: by id. names: theirs, by id, `tidy`.
    """

    path: Path
    images: Sequence[Row]
    annotations: Mapping[Any, Sequence[Row]]
    categories: Mapping[Any, Row]
    names: Mapping[Any, str]

    @classmethod
    def read(
        cls,
        path: Path,
        expected: str,
        image_keys: Collection[str] = (),
        category_keys: Collection[str] = (),
        categories: int | None = None,
    ) -> Instances:
        """Reads and checks a file.

        expected: what should be there, for errors. image_keys, category_keys: needed beside the usual ones.
        categories: how many there must be.
        Raises `BenchmarkError` for another form or version, and for annotations of what is not listed.
        """
        data = read_json(path, expected)
        if not isinstance(data, dict) or not {"images", "annotations", "categories"} <= data.keys():
            raise BenchmarkError(f"{path} lacks images, annotations or categories; expected {expected}")
        images = rows_with(data["images"], {"id", "width", "height", *image_keys}, path, "images")
        kinds = rows_with(data["categories"], {"id", "name", *category_keys}, path, "categories")
        rows = rows_with(data["annotations"], {"id", "image_id", "category_id", "bbox"}, path, "annotations")
        names = {row["id"]: tidy(row["name"]) for row in kinds}
        if len(set(names.values())) != len(kinds) or (categories and len(kinds) != categories):
            raise BenchmarkError(
                f"{path} has {len(kinds)} categories of {len(set(names.values()))} names; expected {expected}"
                + (f" with its {categories}" if categories else "")
            )
        listed = {image["id"] for image in images}
        if len(listed) != len(images):
            raise BenchmarkError(f"{path}: several of its images share an id; expected {expected}")
        by_image = defaultdict(list)
        for row in rows:
            for key, known in (("image_id", listed), ("category_id", names.keys())):
                if row[key] not in known:
                    raise BenchmarkError(
                        f"{path}: annotation {row['id']} has {key} {row[key]}, which the file does not list; "
                        "is it put together from several?"
                    )
            by_image[row["image_id"]].append(row)
        return cls(path, images, by_image, {row["id"]: row for row in kinds}, names)

    def truth(self, image: Row, labels: Sequence[str], partial: Sequence[str] = ()) -> BoxTruth:
        """What is on an image. labels: judged on it, beside those of its things. partial: see `BoxTruth`."""
        rows = self.annotations.get(image["id"], ())
        xywh = [self.box(row) for row in rows]
        return BoxTruth.of(
            xyxy(xywh),
            [self.names[row["category_id"]] for row in rows],
            labels,
            [row.get("area", w * h) for row, (_, _, w, h) in zip(rows, xywh, strict=True)],
            [bool(row.get("iscrowd", False)) for row in rows],
            partial,
        )

    def samples(
        self, files: Sequence[Path], truths: Sequence[BoxTruth], group: str | None = None
    ) -> list[Sample[BoxTruth]]:
        """One sample an image, called by its id, after `group/` if it is of one; see `grouped.py`."""
        return [
            Sample(
                str(image["id"]) if group is None else f"{group}/{image['id']}",
                file,
                truth,
                size=(image["width"], image["height"]),
            )
            for image, file, truth in zip(self.images, files, truths, strict=True)
        ]

    def box(self, row: Row) -> list[float]:
        """x, y, width, height of an annotation, in pixels."""
        box = row["bbox"]
        if isinstance(box, list) and len(box) == 4 and all(isinstance(value, (int, float)) for value in box):
            return box
        raise BenchmarkError(
            f"{self.path}: the bbox of annotation {row['id']} is {box!r}; expected [x, y, width, height]"
        )


def xyxy(boxes: Sequence[Sequence[float]]) -> FloatArray:
    """(N, 4) x, y, width, height → x1, y1, x2, y2; also of none."""
    xywh = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)


def tidy(name: object) -> str:
    """A label as it is asked for: single spaces, underscores as spaces."""
    return " ".join(str(name).replace("_", " ").split())
