"""Visual Genome: descriptions of regions, and a list of the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.files import Images, as_boxes, from_xywh, read_json, sound_box
from fo1.data.convert.problems import Problems
from fo1.data.record import ImageRef, RecordError

WHAT = "region_descriptions.json of Visual Genome (image_data.json beside it)"
_FOLDERS = ("", "VG_100K", "VG_100K_2")


def read_visual_genome(
    path: Path, images: Path | None = None, problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images with described regions, in the file's order.

    path: `region_descriptions.json` or its folder. Sizes and file names are those of `image_data.json`; an
    image it does not list is looked for as `VG_100K/ID.jpg` or `VG_100K_2/ID.jpg`.
    images: folder that holds VG_100K and VG_100K_2, or the images themselves; by default the JSON's own.
    Raises `RecordError` for another layout.
    """
    problems = problems or Problems()
    file = path / "region_descriptions.json" if path.is_dir() else path
    rows = read_json(file, WHAT)
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "regions" in r for r in rows):
        raise RecordError(f"{file}: expected {WHAT}")
    listed = _listed(file.parent / "image_data.json")
    pictures = Images(images or file.parent, problems)
    for row in rows:
        regions = [region for region in row["regions"] or () if isinstance(region, dict)]
        number = str(row.get("id") or next((r["image_id"] for r in regions if "image_id" in r), None))
        image = _picture(number, listed.get(number, {}), file.name, pictures)
        if image is None or image.size is None:
            continue
        boxes, captions = [], []
        for region in regions:
            place = f"{file.name}, region {region.get('region_id')}"
            box = sound_box(
                from_xywh([region.get(key) for key in ("x", "y", "width", "height")]),
                image.size,
                place,
                problems,
            )
            caption = " ".join(str(region.get("phrase") or "").split())
            if not caption:
                problems.add("empty description", place)
            elif box is not None:
                boxes.append(box)
                captions.append(caption)
        yield Annotated(image, as_boxes(boxes), captions=tuple(captions), exhaustive=False, id=number)


def _listed(path: Path) -> dict[str, Mapping[str, Any]]:
    if not path.is_file():
        return {}
    rows = read_json(path, WHAT)
    if not isinstance(rows, list):
        raise RecordError(f"{path}: expected a list of images")
    return {str(row.get("image_id") or row.get("id")): row for row in rows if isinstance(row, dict)}


def _picture(number: str, row: Mapping[str, Any], name: str, pictures: Images) -> ImageRef | None:
    place = f"{name}, image {number}"
    url = row.get("url")
    path = (
        pictures.find(url, place, _FOLDERS)
        if isinstance(url, str)
        else pictures.find_stem(number, place, _FOLDERS)
    )
    width, height = row.get("width"), row.get("height")
    known = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
    return None if path is None else pictures.ref(path, (width, height) if known else None)  # type: ignore[arg-type]
