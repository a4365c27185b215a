"""`Detections`: the labelled boxes found on one image, and their way into and out of other formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1 import formats
from fo1.detection import Detection
from fo1.errors import Fo1Error, RegionError
from fo1.types import FloatArray, Regions

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, eq=False)
class Detections:
    """Found objects on one image, in the order they were named. Validated and immutable.

    xyxy: (N, 4) float32, pixels of the original image (after EXIF), x1 y1 x2 y2.
    scores: (N,) float32, confidence of each.
    labels: N names; the same name may come several times.
    regions: (N,) int64, the number of the proposal each came from; -1 if none.
    image_size: (width, height) of the original image in pixels.

    Raises `RegionError` for lengths that differ and for NaN or infinite values.
    """

    xyxy: FloatArray
    scores: FloatArray
    labels: tuple[str, ...]
    regions: NDArray[np.int64]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        checked = Regions(self.xyxy, self.scores, self.image_size, self.labels)
        regions = np.array(self.regions, dtype=np.int64)
        if regions.shape != (len(checked),):
            raise RegionError(f"{regions.size} region numbers for {len(checked)} boxes")
        regions.setflags(write=False)
        object.__setattr__(self, "xyxy", checked.xyxy)
        object.__setattr__(self, "scores", checked.scores)
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "regions", regions)
        object.__setattr__(self, "image_size", checked.image_size)

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Detection]:
        for box, score, label, region in zip(self.xyxy, self.scores, self.labels, self.regions, strict=True):
            x1, y1, x2, y2 = (float(v) for v in box)
            yield Detection(label, (x1, y1, x2, y2), float(score), int(region))

    def __repr__(self) -> str:
        width, height = self.image_size
        counts = ", ".join(f"{self.labels.count(name)} {name}" for name in dict.fromkeys(self.labels))
        return f"Detections({counts or 'none'} on {width}×{height})"

    @classmethod
    def of(cls, found: Iterable[Detection], image_size: tuple[int, int]) -> Detections:
        """Detections from single records on an image of (width, height)."""
        rows = list(found)
        return cls(
            np.array([d.box for d in rows], dtype=np.float32).reshape(-1, 4),
            np.array([d.score for d in rows], dtype=np.float32),
            tuple(d.label for d in rows),
            np.array([d.region for d in rows], dtype=np.int64),
            image_size,
        )

    @classmethod
    def empty(cls, image_size: tuple[int, int]) -> Detections:
        """Nothing found on an image of (width, height)."""
        return cls.of((), image_size)

    def take(self, indices: ArrayLike) -> Detections:
        """The detections at `indices`, in that order."""
        index = np.asarray(indices, dtype=np.int64).reshape(-1)
        labels = tuple(self.labels[i] for i in index)
        return Detections(self.xyxy[index], self.scores[index], labels, self.regions[index], self.image_size)

    def above(self, score: float) -> Detections:
        """Those with at least this score."""
        return self.take(np.flatnonzero(self.scores >= np.float32(score)))

    def by_label(self, label: str) -> Detections:
        """Those of this name; none if it was not found."""
        return self.take([i for i, name in enumerate(self.labels) if name == label])

    def to_dicts(self) -> list[dict[str, Any]]:
        """Plain records `{"label", "box": [x1, y1, x2, y2], "score", "region"}`, original-image pixels."""
        return formats.to_dicts(self)

    @classmethod
    def from_dicts(cls, rows: Iterable[Mapping[str, Any]], image_size: tuple[int, int]) -> Detections:
        """From records as `to_dicts` gives them; "score" and "region" may be left out."""
        return cls.of(formats.from_dicts(rows), image_size)

    def to_jsonl(self) -> str:
        """One JSON record a line, as `to_dicts`."""
        return formats.to_jsonl(self)

    @classmethod
    def from_jsonl(cls, text: str, image_size: tuple[int, int]) -> Detections:
        """From lines as `to_jsonl` gives them."""
        return cls.of(formats.from_jsonl(text), image_size)

    def to_coco(
        self, image_id: int = 1, file_name: str = "", class_names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """A COCO data set of this one image; categories count from 1 in the order of `class_names`."""
        return formats.to_coco(list(self), self.image_size, image_id, file_name, class_names)

    @classmethod
    def from_coco(cls, data: Mapping[str, Any], image_id: int | None = None) -> Detections:
        """One image of a COCO data set; `image_id` may be left out if it has only one."""
        return cls.of(*formats.from_coco(data, image_id))

    def to_yolo(self, class_names: Sequence[str], scores: bool = False) -> str:
        """YOLO lines `class cx cy w h [score]`, as shares of the image, clamped to it."""
        return formats.to_yolo(self, self.image_size, class_names, scores)

    @classmethod
    def from_yolo(cls, text: str, class_names: Sequence[str], image_size: tuple[int, int]) -> Detections:
        """From YOLO lines; a sixth number is the score."""
        return cls.of(formats.from_yolo(text, class_names, image_size), image_size)

    def to_labelme(self, image_path: str) -> dict[str, Any]:
        """A LabelMe document of rectangles, without the image's own bytes."""
        return formats.to_labelme(self, self.image_size, image_path)

    @classmethod
    def from_labelme(cls, data: Mapping[str, Any]) -> Detections:
        """From a LabelMe document; a polygon gives its bounding box."""
        return cls.of(*formats.from_labelme(data))

    def to_voc(self, file_name: str) -> str:
        """A Pascal VOC document; pixels are whole, counted from 1, the last one included."""
        return formats.to_voc(self, self.image_size, file_name)

    def to_supervision(self) -> supervision.Detections:
        """`supervision.Detections`; names in `data["class_name"]`, region numbers in `data["region"]`."""
        try:
            import supervision
        except ImportError as error:
            raise Fo1Error("this needs the package supervision; run: pip install supervision") from error
        names = list(dict.fromkeys(self.labels))
        return supervision.Detections(
            xyxy=self.xyxy.copy(),
            confidence=self.scores.copy(),
            class_id=np.array([names.index(label) for label in self.labels], dtype=int),
            data={"class_name": np.array(self.labels, dtype=str), "region": self.regions.copy()},
        )

    @classmethod
    def from_supervision(cls, found: supervision.Detections, image_size: tuple[int, int]) -> Detections:
        """From `supervision.Detections`; without names the class numbers are the labels, without scores 1."""
        count = len(found.xyxy)
        names = found.data.get("class_name")
        if names is None:
            names = np.full(count, "object") if found.class_id is None else found.class_id
        scores = np.ones(count) if found.confidence is None else found.confidence
        regions = found.data.get("region", np.full(count, -1))
        return cls(
            np.asarray(found.xyxy, dtype=np.float32),
            np.asarray(scores, dtype=np.float32),
            tuple(str(name) for name in names),
            np.asarray(regions, dtype=np.int64),
            image_size,
        )
