"""The catalogue of named cut-outs and the backgrounds, built once from fetched packages into a cache folder.

Cache folder: `raw/<package>/…` as unpacked by `scripts/fetch_assets.py`; this module writes
`cutouts/<source>/*.webp` (RGBA, cropped to what is visible, longest side ≤ 512 px), `backgrounds/*.jpg`
(longest side ≤ 1600 px), `catalogue.json` and `backgrounds.json`, whose paths are relative to the cache.
Nothing of it may be committed: some packages are under the GPL.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from fo1.errors import Fo1Error
from fo1.training.smol.names import table

log = logging.getLogger(__name__)

CUTOUT_SIDE = 512
PHOTO_SIDE = 1600
VALIDATION_SHARE = 0.12  # of the cut-outs of a name that has at least `MANY` of them
MANY = 5

STAMPS = "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
CLIPART = "openclipart-png/usr/share/openclipart/png"
EMOJI = "fluent-emoji-3d/package/assets"
EMOJI_NAMES = "emoji-datasource-google/package/emoji.json"
FURNITURE = "sweethome3d-furniture/usr/share/sweethome3d/furniture"
TEXTURE_PACK = "ufoai-textures/usr/share/games/ufoai/base/0textures.pk3"

# Stamps that are drawn, not photographed; so are those with an SVG beside them.
DRAWN = re.compile(
    "cartoon|chess|roadsigns|flags|easter|halloween|hanukkah|newyears|paratroop|seasonal/christmas/([a-z]|Santa)"
    "|eye|clothes/t_|hedgehog|food/pizza|tooth|clockface|clothes/button"
)
SURFACE = re.compile(
    "wall|wood|floor|brick|concrete|grass|dirt|ground|carpet|sand|marmor|marble|street0|straw|hay|jute|metal|soil|mud"
    "|snow|stone|rocks|pebbles|tiles|asphalt|stucco|desert|mountain|tropical|cement|chips"
)
NO_SURFACE = re.compile(
    "way|window|door|sign|_nm|clang|tech|grate|base|crate|broke|street01[123]|yellow|wall_[by]_"
    "|wall0(08|09|10|22|23|25|26|27|47|52|56|57|65|71|74)"
)


class AssetError(Fo1Error):
    """The cache lacks an unpacked package."""


@dataclass(frozen=True)
class Cutout:
    """One named picture with alpha. `path` is relative to the cache; `split` is "train" or "val"."""

    path: str
    name: str
    attributes: tuple[str, ...]
    source: str
    style: str  # "photo", "render" or "drawing"
    licence: str
    split: str

    @property
    def photographic(self) -> bool:
        return self.style == "photo"


@dataclass(frozen=True)
class Background:
    """One picture without objects of its own but `contains`. `kind` is "photo" or "texture"."""

    path: str
    kind: str
    contains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """What a composer draws from: `root` is the cache folder, every path is below it."""

    root: Path
    cutouts: tuple[Cutout, ...]
    backgrounds: tuple[Background, ...]

    @classmethod
    def load(cls, root: str | Path) -> Catalogue:
        """The catalogue that `build` wrote into `root`. Raises `AssetError` if there is none."""
        root = Path(root)
        try:
            cutouts = json.loads((root / "catalogue.json").read_text("utf-8"))
            backgrounds = json.loads((root / "backgrounds.json").read_text("utf-8"))
        except FileNotFoundError as error:
            raise AssetError(f"no catalogue in {root}: run scripts/fetch_assets.py {root}") from error
        for entry in cutouts:
            del entry["photographic"]
            entry["attributes"] = tuple(entry["attributes"])
        for entry in backgrounds:
            entry["contains"] = tuple(entry["contains"])
        return cls(root, tuple(Cutout(**e) for e in cutouts), tuple(Background(**e) for e in backgrounds))


def build(root: str | Path) -> Catalogue:
    """Cut, shrink and list everything below `root/raw`. Raises `AssetError` for a missing package."""
    root = Path(root)
    cutouts: list[Cutout] = []
    for source, licence, read in (
        ("stamps", "GPL-2.0", _stamps),
        ("openclipart", "public domain", _clipart),
        ("emoji", "MIT", _emoji),
        ("furniture", "CC-BY-3.0 or CC0", _furniture),
    ):
        kept = 0
        for name, key, style, image in read(root / "raw"):
            key, *attributes = key.split()
            path = f"cutouts/{source}/{hashlib.sha256(key.encode()).hexdigest()[:12]}.webp"
            if _write_cutout(image, root / path):
                cutouts.append(Cutout(path, name, tuple(attributes), source, style, licence, "train"))
                kept += 1
        log.info("%s: %d cut-outs", source, kept)
    cutouts = _with_splits(cutouts)
    entries = [asdict(c) | {"photographic": c.photographic} for c in cutouts]
    (root / "catalogue.json").write_text(json.dumps(entries, indent=0), "utf-8")
    backgrounds = [*_photos(root), *_textures(root)]
    (root / "backgrounds.json").write_text(json.dumps([asdict(b) for b in backgrounds], indent=0), "utf-8")
    return Catalogue(root, tuple(cutouts), tuple(backgrounds))


def visible_box(alpha: np.ndarray, threshold: int = 24) -> tuple[int, int, int, int] | None:
    """x1 y1 x2 y2 (exclusive) around an (H, W) uint8 alpha above `threshold`, None if nothing is."""
    mask = alpha > threshold
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _write_cutout(image: Image.Image, path: Path) -> bool:
    """Crop to the visible, shrink and save; False for pictures that are no cut-outs (opaque, empty, tiny)."""
    image = image.convert("RGBA")
    if max(image.size) > 4 * CUTOUT_SIDE:
        image.thumbnail((2 * CUTOUT_SIDE, 2 * CUTOUT_SIDE), Image.Resampling.BOX)
    box = visible_box(np.asarray(image.getchannel("A")))
    if box is None:
        return False
    image = image.crop(box)
    if min(image.size) < 12 or max(image.size) < 48:
        return False
    image.thumbnail((CUTOUT_SIDE, CUTOUT_SIDE), Image.Resampling.LANCZOS)
    solid = (np.asarray(image.getchannel("A")) > 128).mean()
    if not 0.04 < solid < 0.995:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "WEBP", quality=92, method=2)
    return True


def _with_splits(cutouts: list[Cutout]) -> list[Cutout]:
    """Give a few cut-outs of the names that have many to "val", by the hash of their path."""
    count: dict[str, int] = {}
    for c in cutouts:
        count[c.name] = count.get(c.name, 0) + 1
    reserved = {c.path for c in cutouts if count[c.name] >= MANY and _share(c.path) < VALIDATION_SHARE}
    return [replace(c, split="val") if c.path in reserved else c for c in cutouts]


def _share(key: str) -> float:
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 16**8


Found = Iterator[tuple[str, str, str, Image.Image]]  # name, "key attribute …", style, picture


def _needed(path: Path) -> Path:
    if not path.exists():
        raise AssetError(f"{path} is missing: run scripts/fetch_assets.py on this cache folder")
    return path


def _stamps(raw: Path) -> Found:
    folder = _needed(raw / STAMPS)
    for name, keys in table("stamps").items():
        for key in keys:
            stem = key.split()[0]
            png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
            if png.exists():
                style = "drawing" if svg.exists() or DRAWN.search(stem) else "photo"
                yield name, key, style, Image.open(png)
            elif svg.exists() and (image := _render_svg(svg)) is not None:
                yield name, key, "drawing", image


def _render_svg(path: Path) -> Image.Image | None:
    """The drawing at cut-out size if the optional `resvg_py` is there, else None."""
    try:
        import resvg_py
    except ImportError:
        log.warning("resvg_py is not installed; leaving out %s", path.name)
        return None
    try:
        data = resvg_py.svg_to_bytes(svg_path=str(path), width=CUTOUT_SIDE)
    except ValueError as error:
        log.warning("leaving out %s: %s", path.name, error)
        return None
    return Image.open(io.BytesIO(bytes(data)))


def _clipart(raw: Path) -> Found:
    folder = _needed(raw / CLIPART)
    for name, keys in table("openclipart").items():
        for key in keys:
            yield name, key, "drawing", Image.open(folder / f"{key.split()[0]}.png")


def _emoji(raw: Path) -> Found:
    folder = _needed(raw / EMOJI)
    listed = json.loads(_needed(raw / EMOJI_NAMES).read_text("utf-8"))
    code = {entry["short_name"]: entry["unified"].lower() for entry in listed}
    for name, keys in table("emoji").items():
        for key in keys:
            unified = code[key.split()[0]]
            for stem in (unified, unified.replace("-fe0f", "")):
                if (folder / f"{stem}.webp").exists():
                    yield name, key, "render", Image.open(folder / f"{stem}.webp")
                    break


def _furniture(raw: Path) -> Found:
    libraries = {p.stem: zipfile.ZipFile(p) for p in _needed(raw / FURNITURE).glob("*.sh3f")}
    for name, keys in table("furniture").items():
        for key in keys:
            library, _, inner = key.split()[0].partition("/")
            yield name, key, "render", Image.open(io.BytesIO(libraries[library].read(f"{inner}.png")))


def _photos(root: Path) -> Iterator[Background]:
    for index, (relative, contains) in enumerate(table("backgrounds").items()):
        image = Image.open(_needed(root / "raw" / relative))
        image.draft("RGB", (PHOTO_SIDE, PHOTO_SIDE))
        path = f"backgrounds/photo{index:03}.jpg"
        yield _write_background(image, root, path, Background(path, "photo", tuple(contains)))


def _textures(root: Path) -> Iterator[Background]:
    pack = zipfile.ZipFile(_needed(root / "raw" / TEXTURE_PACK))
    for inner in sorted(pack.namelist()):
        stem = Path(inner).stem
        if not inner.endswith(".jpg") or not SURFACE.search(stem) or NO_SURFACE.search(stem):
            continue
        image = Image.open(io.BytesIO(pack.read(inner)))
        if min(image.size) < 200:
            continue
        path = f"backgrounds/{stem}-{_share(inner):.6f}.jpg"
        contains = ("brick", "brick wall") if "brick" in stem else ()
        yield _write_background(image, root, path, Background(path, "texture", contains))


def _write_background(image: Image.Image, root: Path, path: str, entry: Background) -> Background:
    image = image.convert("RGB")
    image.thumbnail((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    image.save(root / path, "JPEG", quality=90)
    return entry
