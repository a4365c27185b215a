"""The page in a headless Chromium: what a visitor does with a photo, and with a video."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from serving.pictures import png

pytestmark = pytest.mark.slow

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, live: str) -> Iterator[Any]:
    """The page of a server that asks for a key; errors of its scripts end the test."""
    opened = chromium.new_page(viewport={"width": 1200, "height": 800})
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: dialog.accept("secret"))
    opened.set_default_timeout(20_000)
    opened.goto(live)
    yield opened
    opened.close()
    assert wrong == []


def counted(page: Any) -> int:
    return page.locator("#found button").count()


def slide(page: Any, id: str, value: float) -> None:
    page.locator(id).evaluate("(slider, value) => { slider.value = value; slider.oninput(); }", value)


def test_a_photo_from_upload_to_caption(page: Any, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png(size=(320, 240)))
    page.set_input_files("#file", tmp_path / "photo.png")
    page.wait_for_selector("#status:has-text('Looked at the photo:')")
    page.fill("#words", "a, b")
    with page.expect_response("**/detect") as answered:
        page.click("#go")
    scores = [one["score"] for one in answered.value.json()["detections"]]
    page.wait_for_selector("#status:has-text('Asked')")
    assert page.inner_text("#status").endswith(" s")  # how long it took
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for least in (0.01, 0.5, 1):
        slide(page, "#slider", least)
        assert counted(page) == sum(score >= least for score in scores)
    slide(page, "#slider", 0.01)
    assert asked == [] and counted(page) > 0  # the slider asks nobody
    page.screenshot(path=tmp_path / "found.png")
    page.locator("#found button").first.click()
    page.wait_for_selector("#status:has-text('Looked closer:')")
    assert page.inner_text("#answer") not in ("", "…")
    page.click("#read")
    page.wait_for_selector("#status:has-text('Read:')")
    page.click("#more")  # the tiny model neither names regions nor knows names
    page.wait_for_selector("#status:has-text('named nothing like it')")
    assert [url.rsplit("/", 1)[1] for url in asked][:4] == ["describe", "name", "read", "ask"]


def test_a_click_into_the_photo_and_a_drawn_box(page: Any, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png(size=(320, 240)))
    with page.expect_response(lambda one: one.url.endswith("/v1/scenes") and one.ok) as answered:
        page.set_input_files("#file", tmp_path / "photo.png")
        page.wait_for_selector("#status:has-text('Looked at the photo:')")
    x1, y1, x2, y2 = answered.value.json()["regions"][0]["box"]
    area = page.locator("#view").bounding_box()
    scale = area["width"] / 320
    page.mouse.click(area["x"] + (x1 + x2) / 2 * scale, area["y"] + (y1 + y2) / 2 * scale)
    page.wait_for_selector("#status:has-text('Looked closer:')")
    with page.expect_request("**/v1/scenes"):
        page.mouse.move(area["x"] + 20 * scale, area["y"] + 30 * scale)
        page.mouse.down()
        page.mouse.move(area["x"] + 200 * scale, area["y"] + 150 * scale)
        page.mouse.up()
    page.wait_for_selector("#status:has-text('Looked closer:')")
    assert page.evaluate("state.lit") == pytest.approx([20, 30, 200, 150], abs=1)


def test_an_example_on_a_phone(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.locator("#examples button").first.click()
    page.wait_for_selector("#status:has-text('Asked \"cow\":')")
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_video_from_upload_to_tracks(page: Any, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(tmp_path / "film.webm", "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(10):
            image = Image.new("RGB", (160, 120), (20 * number, 90, 90))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    page.set_input_files("#file", tmp_path / "film.webm")
    page.wait_for_selector("#status:has-text('s of video')")
    page.fill("#words", "a")
    slide(page, "#slider", 0.06)
    page.click("#go")
    page.wait_for_selector("#status:has-text('5 frames:')")
    assert "in 5 frames" in page.inner_text("#answer")
    page.screenshot(path=tmp_path / "video.png")
    with page.expect_download() as saved:
        page.click("#jsonl")
    rows = [json.loads(line) for line in Path(saved.value.path()).read_text().splitlines()]
    assert rows and {row["frame"] for row in rows} == set(range(5))
    assert len({row["id"] for row in rows}) < len(rows)  # things were followed
    with page.expect_response("**/v1/track"):
        slide(page, "#slider", 1)
    page.wait_for_selector("#answer:has-text('0 tracks')")
