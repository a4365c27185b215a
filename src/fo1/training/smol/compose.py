"""Seeded training scenes: named cut-outs on backgrounds, with exact boxes of what is visible of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from fo1.training.smol import patches
from fo1.training.smol.assets import AssetError, Catalogue, Cutout
from fo1.training.smol.backdrops import Backdrop, Backdrops
from fo1.training.smol.degrade import photographed
from fo1.training.smol.names import category, held_out
from fo1.training.smol.pools import Pool

Split = Literal["train", "val", "held_out"]

SIZES = (
    *((640, 480), (480, 640), (512, 512), (800, 600), (600, 800), (640, 427), (427, 640)),
    *((720, 480), (768, 432), (640, 640)),
)
MIN_VISIBLE = 0.35  # of an object's own pixels; below it the object is in the picture but not labelled
MIN_SIDE = 10  # pixels of a labelled box
UPRIGHT = frozenset("building people role furniture vehicle fixture tree mammal watercraft".split())


@dataclass(frozen=True)
class Scene:
    """One picture and its labelled objects, back to front.

    image: RGB. boxes: (N, 4) float32, x1 y1 x2 y2 in image pixels, around what is visible of each object.
    names, attributes, visible: N each; `visible` is the share of the object's pixels that can be seen.
    present: names that can be seen somewhere but have no box (much hidden, fragments, background), so they
        must not be used as absent.
    """

    image: Image.Image
    boxes: NDArray[np.float32]
    names: list[str]
    attributes: list[tuple[str, ...]]
    visible: list[float]
    present: frozenset[str] = frozenset()


@dataclass
class _Canvas:
    """The picture while it is made; `owner` says for each pixel which object is on top (0: none)."""

    image: Image.Image
    owner: NDArray[np.uint8]
    placed: list[tuple[Cutout, int]] = field(default_factory=list)  # with its own number of pixels
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    present: set[str] = field(default_factory=set)


class SceneComposer:
    """Scene `index` of `seed` is always the same scene. Picklable; decoded pictures are cached by process.

    split: "train" takes seen names and their training cut-outs, "val" seen names' reserved cut-outs,
    "held_out" mostly names that training never shows, among seen ones.
    Raises `AssetError` if the catalogue has nothing for the split.
    """

    def __init__(self, catalogue: Catalogue, seed: int, split: Split = "train") -> None:
        self._catalogue = catalogue
        self._seed = seed
        self._backdrops = Backdrops(catalogue)
        focus = [c for c in catalogue.cutouts if _belongs(c, split)]
        if not focus:
            raise AssetError(f"the catalogue in {catalogue.root} has no cut-outs for the split {split!r}")
        company = [c for c in catalogue.cutouts if _belongs(c, "train")] if split == "held_out" else []
        self._pools = [Pool(focus)] + ([Pool(company)] if company else [])

    def compose(self, index: int) -> Scene:
        """The scene number `index` (≥ 0)."""
        rng = np.random.default_rng([self._seed, index])
        size = SIZES[int(rng.integers(len(SIZES)))]
        backdrop = self._backdrops.draw(rng, size)
        canvas = _Canvas(backdrop.image.copy(), np.zeros((size[1], size[0]), np.uint8))
        canvas.present.update(backdrop.contains)
        if rng.random() < 0.35:
            for _ in range(int(rng.integers(1, 4))):
                self._add_distractor(canvas, rng)
        self._add_objects(canvas, rng, backdrop)
        if rng.random() < 0.1:
            self._add_distractor(canvas, rng)
        return _finished(canvas, rng)

    def _add_objects(self, canvas: _Canvas, rng: Generator, backdrop: Backdrop) -> None:
        chosen = self._choose(rng)
        sides = _sides(rng, chosen, min(canvas.image.size))
        grounded = rng.random() < 0.72
        spread = rng.choice(["apart", "anywhere", "pile"], p=[0.66, 0.16, 0.18])
        poses = [
            patches.random_pose(rng, s, category(c.name) in UPRIGHT)
            for c, s in zip(chosen, sides, strict=True)
        ]
        ready = [(c, patches.posed(self._open(c), pose)) for c, pose in zip(chosen, poses, strict=True)]
        spots = _spots(rng, [patch.size for _, patch in ready], canvas.image.size, backdrop, grounded, spread)
        feet = [y + patch.height for (_, y), (_, patch) in zip(spots, ready, strict=True)]
        shadow = float(rng.uniform(0.25, 0.8)) if rng.random() < (0.85 if grounded else 0.3) else 0.0
        blur = float(rng.choice([0.0, 0.8, 1.8], p=[0.5, 0.35, 0.15]))
        for i in np.argsort(feet, kind="stable"):
            cutout, patch = ready[i]
            _paste_object(canvas, rng, cutout, patch, spots[i], shadow, blur)

    def _choose(self, rng: Generator) -> list[Cutout]:
        """Which cut-outs the scene shows, one entry a copy."""
        pool = self._pools[0]
        first = pool.name(rng)
        chosen: list[Cutout] = []
        draw = rng.random()
        if draw < 0.16:  # one thing, close up
            return [pool.cutout(rng, first)]
        if draw < 0.51:  # something to count
            chosen += pool.copies(rng, first, int(rng.integers(2, 7)))
            others = int(rng.integers(0, 5))
        else:
            chosen.append(pool.cutout(rng, first))
            others = int(rng.integers(0, 7))
        alike = rng.random() < 0.4  # companions of one kind are the hard ones to tell apart
        for _ in range(others):
            source = self._pools[int(rng.integers(len(self._pools)))]
            name = source.name(rng, category(first) if alike and rng.random() < 0.7 else None)
            chosen += source.copies(rng, name, 2 if rng.random() < 0.15 else 1)
        return chosen[:10]

    def _add_distractor(self, canvas: _Canvas, rng: Generator) -> None:
        """A piece of something or a shape of some material: visible, with no name to find."""
        side = min(canvas.image.size) * float(np.exp(rng.uniform(np.log(0.05), np.log(0.4))))
        if rng.random() < 0.6:
            cutout = self._pools[-1].cutout(rng, self._pools[-1].name(rng))
            piece = patches.fragment(self._open(cutout), rng)
            canvas.present.add(cutout.name)
        else:
            shape = (max(8, round(side)), max(8, round(side * rng.uniform(0.3, 1.0))))
            piece = patches.masked(self._backdrops.texture(rng, shape), rng)
        piece = patches.posed(piece, patches.Pose(side, 1.0, float(rng.uniform(-90, 90)), False))
        x = int(rng.uniform(-0.3, 0.9) * canvas.image.width)
        y = int(rng.uniform(-0.3, 0.9) * canvas.image.height)
        _paste(canvas, piece, (x, y), owner=0)

    def _open(self, cutout: Cutout) -> Image.Image:
        return patches.load_cutout(str(self._catalogue.root / cutout.path))


def _belongs(cutout: Cutout, split: Split) -> bool:
    if held_out(cutout.name):
        return split == "held_out"
    return cutout.split == split


def _sides(rng: Generator, chosen: list[Cutout], frame: int) -> list[float]:
    """The longest side of each object in pixels; copies of one name are of similar size.

    Mostly the objects together cover a share of the picture, as in a photo taken of them; else any size goes.
    """
    count = len(chosen)
    fill = np.sqrt(rng.uniform(0.08, 0.75) / count) * 1.25 if rng.random() < 0.65 else None
    most = 0.97 if count == 1 else 0.8
    base: dict[str, float] = {}
    sides = []
    for cutout in chosen:
        if cutout.name not in base:
            least, largest = (0.25, most) if count == 1 else (0.08, min(most, 1.7 / np.sqrt(count)))
            free = np.exp(rng.uniform(np.log(least), np.log(largest)))
            base[cutout.name] = float(free if fill is None else fill * np.exp(rng.normal(0, 0.3)))
        sides.append(float(np.clip(base[cutout.name] * np.exp(rng.normal(0, 0.16)), 0.06, most)) * frame)
    return sides


def _spots(
    rng: Generator,
    sizes: list[tuple[int, int]],
    frame: tuple[int, int],
    backdrop: Backdrop,
    grounded: bool,
    spread: str,
) -> list[tuple[int, int]]:
    """Top left corners: feet on the ground if `grounded`; "apart", "anywhere", or touching in a "pile"."""
    width, height = frame
    middle = rng.uniform(0.3, 0.7, 2) * frame
    reach = 0.45 * np.sqrt(sum(w * h for w, h in sizes))
    taken: list[tuple[float, float, float, float]] = []
    spots: list[tuple[int, int]] = [(0, 0)] * len(sizes)
    for i in np.argsort([-w * h for w, h in sizes], kind="stable"):
        w, h = sizes[i]
        slack_x, slack_y = (0.2 * w, 0.2 * h) if rng.random() < 0.25 else (0.0, 0.0)
        low_x, high_x = sorted((-slack_x, width - w + slack_x))
        low_y, high_y = sorted((-slack_y, height - h + slack_y))
        if grounded and spread != "pile":
            low_y = float(np.clip(backdrop.horizon - 0.7 * h, low_y, high_y))
        best, best_cover = (0.0, 0.0), np.inf
        for _ in range(1 if spread == "anywhere" else 12 if spread == "apart" else 3):
            x, y = rng.uniform(low_x, high_x), rng.uniform(low_y, high_y)
            if spread == "pile":
                x, y = middle - (w / 2, h / 2) + rng.normal(0, 0.6, 2) * reach
                x, y = float(np.clip(x, low_x, high_x)), float(np.clip(y, low_y, high_y))
            cover = sum(_overlap((x, y, x + w, y + h), other) for other in taken)
            if cover < best_cover:
                best, best_cover = (x, y), cover
            if cover == 0:
                break
        taken.append((best[0], best[1], best[0] + w, best[1] + h))
        spots[i] = (round(best[0]), round(best[1]))
    return spots


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(w, 0.0) * max(h, 0.0)


def _paste_object(
    canvas: _Canvas,
    rng: Generator,
    cutout: Cutout,
    patch: Image.Image,
    spot: tuple[int, int],
    shadow: float,
    blur: float,
) -> None:
    x, y = spot
    near = canvas.image.crop((max(x, 0), max(y, 0), max(x, 0) + patch.width, max(y, 0) + patch.height))
    around = near.resize((1, 1), Image.Resampling.BOX, reducing_gap=1.0).getpixel((0, 0))
    patch = patches.recoloured(patch, rng, around, cutout.style == "drawing")  # type: ignore[arg-type]
    patch = patches.softened(patch, rng, blur)
    if shadow:
        mask, (dx, dy) = patches.shadow_of(patch, rng, shadow)
        canvas.image.paste((0, 0, 0), (x + dx, y + dy), mask)
    canvas.placed.append((cutout, int((np.asarray(patch.getchannel("A")) > patches.SOLID).sum())))
    _paste(canvas, patch, spot, owner=len(canvas.placed))


def _paste(canvas: _Canvas, patch: Image.Image, spot: tuple[int, int], owner: int) -> None:
    """Blend `patch` in at `spot`, which may lie partly outside, and note whose pixels are on top."""
    canvas.image.paste(patch, spot, patch)
    height, width = canvas.owner.shape
    left, top = max(spot[0], 0), max(spot[1], 0)
    right, bottom = min(spot[0] + patch.width, width), min(spot[1] + patch.height, height)
    if left >= right or top >= bottom:
        return
    alpha = np.asarray(patch.getchannel("A"))[
        top - spot[1] : bottom - spot[1], left - spot[0] : right - spot[0]
    ]
    canvas.owner[top:bottom, left:right][alpha > patches.SOLID] = owner


def _finished(canvas: _Canvas, rng: Generator) -> Scene:
    """Label what can be seen well enough, and degrade the picture."""
    boxes, kept, visible = [], [], []
    for number, (cutout, own) in enumerate(canvas.placed, start=1):
        mask = canvas.owner == number
        seen = int(mask.sum()) / max(own, 1)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size == 0:
            continue
        box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        if seen < MIN_VISIBLE or max(box[2] - box[0], box[3] - box[1]) < MIN_SIDE:
            canvas.present.add(cutout.name)
            continue
        boxes.append(box)
        kept.append(cutout)
        visible.append(min(seen, 1.0))
    return Scene(
        image=photographed(canvas.image, rng),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        names=[c.name for c in kept],
        attributes=[c.attributes for c in kept],
        visible=visible,
        present=frozenset(canvas.present),
    )
