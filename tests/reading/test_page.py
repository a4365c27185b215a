from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from fo1.boxes import iou
from fo1.reading.page import Page
from fo1.reading.reader import Reader, in_reading_order
from fo1.reading.writing import Line, Writing
from fo1.types import Regions
from written import CPU, reader, sheet

LINES = (((20, 20), "Open daily"), ((40, 80), "9 to 5"), ((190, 82), "Mon-Fri"))


@pytest.fixture(scope="module")
def shared() -> Reader:
    return reader()


def every_line(page: Page, threshold: float = 0.6) -> Writing:
    return page.read(Regions.empty(page.image.size), None, threshold, CPU)


def said(page: Page, boxes: Sequence[Sequence[float]]) -> Writing:
    return page.read(Regions.of(boxes, page.image.size), range(len(boxes)), 0.6, CPU)


def test_lines_are_found_and_read_in_order(shared: Reader) -> None:
    image, boxes = sheet(LINES)
    found = every_line(Page(image, shared))
    assert found.labels == ("Open daily", "9 to 5", "Mon-Fri") and found.text == "Open daily 9 to 5 Mon-Fri"
    assert np.diag(iou(boxes, found.xyxy)).min() > 0.5
    assert found.regions.tolist() == [-1, -1, -1] and found.scores.min() > 0.9
    assert len(every_line(Page(image, shared), threshold=1.0)) == 0


def test_boxes_may_be_tight_loose_or_around_several_lines(shared: Reader) -> None:
    image, boxes = sheet(LINES)
    around, loose = (0, 0, 320, 200), (10, 10, 310, 70)
    found = said(Page(image, shared), [boxes[2], boxes[0], loose, around])
    assert found.labels == ("Mon-Fri", "Open daily", "Open daily", "Open daily 9 to 5 Mon-Fri")
    assert found.regions.tolist() == [0, 1, 2, 3] and found.scores.min() > 0.9
    np.testing.assert_allclose(found.xyxy[3], around)


def test_a_region_is_told_even_if_it_is_a_guess(shared: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(Image.new("RGB", (80, 40), "white"), shared)
    monkeypatch.setattr(shared, "read", lambda image, boxes, device: [Line("qx", 0.3)] * len(boxes))
    found = said(page, [(0, 0, 80, 40)])
    assert found.labels == ("qx",) and found.scores[0] == np.float32(0.3)
    assert len(every_line(page)) == 0


def test_part_of_a_line(shared: Reader) -> None:
    image, ((x1, y1, x2, y2),) = sheet([((20, 40), "north market")])
    assert said(Page(image, shared), [(x1, y1, x1 + (x2 - x1) * 0.43, y2)]).labels == ("north",)


@pytest.mark.parametrize("turn", [90, 270])
def test_lines_on_their_side(shared: Reader, turn: int) -> None:
    image, _ = sheet([((20, 10), "HOTEL")], (160, 50))
    found = every_line(Page(image.rotate(turn, expand=True), shared))
    assert found.labels == ("HOTEL",)


def test_a_letter_is_not_turned(shared: Reader) -> None:
    image, ((x1, y1, x2, y2),) = sheet([((20, 10), "I")], (60, 50))
    (text,) = said(Page(image, shared), [(x1 - 4, y1 - 4, x2 + 4, y2 + 4)]).labels
    assert text in ("I", "l", "1", "|")  # they look the same


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 3), (4000, 40)])
def test_where_nothing_is_written(shared: Reader, size: tuple[int, int]) -> None:
    page = Page(Image.new("RGB", size, "white"), shared)
    assert len(every_line(page)) == 0 and every_line(page).text == ""
    found = said(page, [(0, 0, *size), (0, 0, 1, 1), (2, 2, 2, 2), (-9, -9, -5, -5), (9, 9, 2, 2)])
    assert found.labels == ("",) * 5 and found.scores.tolist() == [0] * 5
    assert len(said(page, [])) == 0


def test_reading_order() -> None:
    boxes = [[200, 12, 260, 32], [10, 60, 90, 80], [10, 10, 90, 30], [100, 8, 180, 28], [300, 90, 330, 95]]
    assert in_reading_order(boxes) == [2, 3, 0, 1, 4]
    assert in_reading_order([]) == []
