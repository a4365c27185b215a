"""A model that needs no weights: it finds what `BOXES` says, so that only the command line is tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from typer.testing import Result

from fo1.errors import RegionError
from fo1.findings import Findings
from fo1.prompts.parsing import Answer
from fo1.reading.writing import Writing

Run = Callable[..., Result]
BOXES = {"orange": [[10, 20, 30, 40], [50.126, 20, 70, 40]], "apple": [[1, 2, 3, 4]]}


@dataclass
class FakeScene:
    size: tuple[int, int]
    boxes: list[list[float]] | None
    seconds: dict[str, float] = field(default_factory=lambda: {"image": 0.25, "encode": 0.5})

    def detect(self, labels: Sequence[str], threshold: float | None = None) -> Findings:
        self.seconds["answer"] = 0.125
        rows = [(label, box) for label in labels for box in BOXES.get(label, [])]
        rows = rows if self.boxes is None else rows[: len(self.boxes)]
        least = 0.5 if threshold is None else threshold
        kept = rows if least <= 0.9 else []
        count = len(kept)
        return Findings(
            np.array([box for _, box in kept], dtype=np.float32).reshape(-1, 4),
            np.full(count, 0.9, dtype=np.float32),
            tuple(label for label, _ in kept),
            np.arange(count),
            self.size,
            absent=tuple(label for label in labels if label not in {name for name, _ in kept}),
            answer=Answer("as the model says", (), (99,)),
        )

    def find(self, phrase: str, threshold: float | None = None) -> Findings:
        return self.detect([phrase], threshold)

    def locate(self, label: str, threshold: float | None = None) -> Findings:
        return self.detect([label], threshold)

    def describe(self, region: int | None = None) -> str:
        if region is not None and region > 5:
            raise RegionError(f"there is no region {region}")
        return f"region {region} of {self.boxes}"

    def names(self, region: int, among: str | None = None) -> list[tuple[str, float]]:
        if region > 5:
            raise RegionError(f"there is no region {region}")
        first, second = (among or "cow, horse").split(", ")
        return [(f"{first} {region} of {self.boxes}", 0.75), (second, 0.25)]

    def read(self, regions: Sequence[int] | None = None, threshold: float = 0.6) -> Writing:
        self.seconds["read"] = 0.125
        boxes = [[10, 20, 30, 40], [50.126, 20, 70, 40]] if self.boxes is None else self.boxes
        numbers = [-1, -1] if regions is None else list(regions)
        kept = len(numbers) if threshold <= 0.9 else 0
        return Writing(
            np.array(boxes[:kept], dtype=np.float32).reshape(-1, 4),
            np.full(kept, 0.9, dtype=np.float32),
            ("[red] lion", "inn")[:kept],
            np.array(numbers[:kept], dtype=np.int64),
            self.size,
        )

    def ask(self, question: str) -> str:
        if question == "wait":
            raise KeyboardInterrupt
        return f"you asked {question}" + (f" about {self.boxes}" if self.boxes else "")


class FakeModel:
    name = "fake"

    def look(
        self,
        image: Image.Image,
        boxes: list[list[float]] | None = None,
        top_k: int | None = None,
        tiles: int | str | None = None,
    ) -> FakeScene:
        self.tiles = tiles
        return FakeScene(image.size, boxes if boxes is None else boxes[:top_k])
