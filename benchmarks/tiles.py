"""Small objects in large images: what is proposed and detected without tiles and with them.

    python benchmarks/tiles.py --tiles auto 480 960

Objects of `photos/`, cut out by their boxes and scaled down, are strewn over a noisy backdrop; every object's
box and name are known. "pieces" looks at 800 × 600 parts of the same picture one by one, as if each were a
photo of its own: what the proposer gives when objects are not small. No object lies across two pieces.
Shares of all objects, at IoU ½: proposed; merged: still there when overlapping answers, whatever their name
and score, are merged; detected: under the right name, at the model's own threshold.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

import fo1
from fo1.boxes import claims, iou
from fo1.duplicates import Duplicates
from fo1.pipeline import FO1
from fo1.scene import Scene

PHOTOS = Path(__file__).resolve().parent.parent / "photos"
LABELS = ("dog", "cat", "cow", "sheep", "horse", "giraffe", "cup", "chair")
CELL = 200  # pixels of the backdrop to each object, so that none overlap
PIECE = (800, 600)


@dataclass(frozen=True)
class Strewn:
    """A picture, and its objects: boxes (N, 4) xyxy pixels, N names."""

    image: Image.Image
    boxes: NDArray[np.float32]
    names: tuple[str, ...]


def cutouts() -> list[tuple[str, Image.Image]]:
    """Each object of an asked name, with a little of what surrounds it."""
    found = []
    for photo in json.loads((PHOTOS / "annotations.json").read_text(encoding="utf-8")):
        image = Image.open(PHOTOS / photo["image"]).convert("RGB")
        for thing in photo["objects"]:
            if thing["label"] in LABELS:
                found.append((thing["label"], image.crop(thing["box"])))
    return found


def strewn(size: tuple[int, int], sides: tuple[int, int], seed: int) -> Strewn:
    """One object in each cell of the backdrop, its longer side random within `sides` pixels."""
    rng = np.random.default_rng(seed)
    things = cutouts()
    coarse = rng.integers(90, 170, (size[1] // 500 + 2, size[0] // 500 + 2, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
    noise = rng.normal(0, 6, smooth.shape)
    image = Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))
    boxes, names = [], []
    for top in range(0, size[1] - CELL + 1, CELL):
        for left in range(0, size[0] - CELL + 1, CELL):
            name, thing = things[rng.integers(len(things))]
            scale = rng.integers(*sides) / max(thing.size)
            small = thing.resize(
                [max(8, round(side * scale)) for side in thing.size], Image.Resampling.LANCZOS
            )
            x, y = (int(rng.integers(8, CELL - side - 8)) for side in small.size)
            image.paste(small, (left + x, top + y), soft(small.size))
            boxes.append([left + x, top + y, left + x + small.width, top + y + small.height])
            names.append(name)
    return Strewn(image, np.array(boxes, dtype=np.float32), tuple(names))


def soft(size: tuple[int, int]) -> Image.Image:
    """A mask without corners, so that the cut-out's frame does not give it away."""
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), min(size) // 4, 255)
    return mask.filter(ImageFilter.GaussianBlur(1))


def hits(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> int:
    """How many wanted boxes are found with IoU ≥ ½, each found box serving one; found: best first."""
    return int((claims(iou(found, wanted)) >= 0).sum())


def measured(scene: Scene, truth: Strewn) -> tuple[int, int, int, int, int]:
    """Objects proposed, merged and detected; boxes detected, regions."""
    proposed = int((iou(truth.boxes, scene.regions.xyxy).max(axis=1, initial=0) >= 0.5).sum())
    detections = scene.detect(LABELS)
    scores = np.max(list(detections.confidence.values()), axis=0)
    left, _ = Duplicates().merge(scene.regions.xyxy, scores)
    merged = hits(scene.regions.xyxy[left], truth.boxes)
    named = np.array(truth.names)
    right = sum(hits(detections.by_label(label).xyxy, truth.boxes[named == label]) for label in LABELS)
    return proposed, merged, right, len(detections), len(scene.regions)


def pieces(whole: Strewn) -> list[Strewn]:
    """The picture cut along cells."""
    parts = []
    for top in range(0, whole.image.height, PIECE[1]):
        for left in range(0, whole.image.width, PIECE[0]):
            corner = np.array([left, top, left, top], dtype=np.float32)
            local = whole.boxes - corner
            inside = np.flatnonzero((local[:, :2] >= 0).all(axis=1) & (local[:, 2:] <= PIECE).all(axis=1))
            part = whole.image.crop((left, top, left + PIECE[0], top + PIECE[1]))
            parts.append(Strewn(part, local[inside], tuple(whole.names[i] for i in inside)))
    return parts


def row(name: str, parts: Sequence[Strewn], look: Callable[[Image.Image], Scene]) -> str:
    total, spent = np.zeros(5, dtype=int), np.zeros(2)
    for part in parts:
        started = time.perf_counter()
        scene = look(part.image)
        looked = time.perf_counter()
        total += measured(scene, part)
        spent += looked - started, time.perf_counter() - looked
    objects = sum(len(part.names) for part in parts)
    proposed, merged, right, detected, regions = total.tolist()
    f1 = 2 * right / (detected + objects)
    return (
        f"{name:12} {regions:7} {proposed / objects:9.3f} {merged / objects:8.3f}"
        f" {right / objects:9.3f} {f1:6.3f} {spent[0]:8.1f} {spent[1]:8.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="fo1-smol")
    parser.add_argument("--tiles", nargs="+", default=["auto"], help='"auto" or sides in pixels')
    parser.add_argument("--size", type=int, nargs=2, default=(4000, 3000))
    parser.add_argument("--sides", type=int, nargs=2, default=(48, 110), help="of objects, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, help="write the picture here")
    arguments = parser.parse_args()
    whole = strewn(tuple(arguments.size), tuple(arguments.sides), arguments.seed)
    if arguments.save:
        whole.image.save(arguments.save)
    model: FO1 = fo1.load(arguments.model)
    print(f"{len(whole.names)} objects of {len(LABELS)} names on {arguments.size[0]}×{arguments.size[1]}")
    print("tiles        regions  proposed   merged  detected     F1   look s    ask s")
    print(row("none", [whole], model.look), flush=True)
    for choice in arguments.tiles:
        side = choice if choice == "auto" else int(choice)
        print(row(choice, [whole], partial(model.look, tiles=side)), flush=True)
    print(row("pieces", pieces(whole), model.look), flush=True)


if __name__ == "__main__":
    main()
