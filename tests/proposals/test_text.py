from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fo1.boxes import iou
from fo1.proposals.text import TextProposer


@dataclass
class Seen:
    boxes: np.ndarray | None
    scores: list[float] | None


class FakeEngine:
    """Finds one slanted line on an image whose first pixel is red, as it reads blue first."""

    def __call__(self, pixels: np.ndarray, use_det: bool, use_cls: bool, use_rec: bool) -> Seen:
        assert (use_det, use_cls, use_rec) == (True, False, False)
        if pixels[0, 0].tolist() != [0, 0, 255]:
            return Seen(None, None)
        corners = [[[10, 20], [50, 10], [52, 18], [12, 28]], [[-5, 0], [30, 0], [30, 8], [-5, 8]]]
        return Seen(np.array(corners, dtype=np.float32), [0.9, 0.4])


def test_upright_boxes_around_slanted_lines() -> None:
    red, white = (Image.new("RGB", (100, 40), colour) for colour in ("red", "white"))
    found, none = TextProposer(FakeEngine()).propose([red, white])
    assert found.xyxy.tolist() == [[10, 10, 52, 28], [0, 0, 30, 8]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.4]) and found.labels == ("text", "text")
    assert len(none) == 0 and none.image_size == (100, 40)


@pytest.mark.slow
def test_the_real_one_finds_two_lines() -> None:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    page = Image.new("RGB", (400, 240), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=32)
    places = [
        pen.textbbox((x, y), text, font=font) for x, y, text in ((30, 40, "Open daily"), (90, 150, "9 to 5"))
    ]
    for (x, y), text in zip(((30, 40), (90, 150)), ("Open daily", "9 to 5"), strict=True):
        pen.text((x, y), text, font=font, fill="black")
    found, nothing = TextProposer().propose([page, Image.new("RGB", (200, 100), "white")])
    assert len(found) == 2 and len(nothing) == 0
    assert iou(places, found.xyxy).max(axis=1).min() > 0.5
