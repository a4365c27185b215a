"""Gather real, unlabelled photographs for pseudo-labelling, by package name, into a folder of your choice.

    python scripts/fetch_photos.py PHOTO_FOLDER [--cache DOWNLOADS] [--avoid FOLDER ...]

Writes at most 1024 px large JPEG files and `index.json`, a list of {file, package, path}. Needs `apt-get` and
`dpkg` (packages are only unpacked, not installed), `npm` and `pip`. About 400 MB of downloads. None of it
belongs into the repository: the terms differ from picture to picture (GPL, CC-BY-SA, CC0, MIT ...).

Photographs of the evaluation set in `photos/`, and of any `--avoid` folder, are left out: those known by name
in `SOURCES`, and whatever else looks like a copy of one (difference hash of the whole picture).
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import logging
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

log = logging.getLogger("fetch_photos")

EVALUATION = Path(__file__).resolve().parent.parent / "photos"
LONGEST_SIDE = 1024
SHORTEST_SIDE = 120
JPEG_QUALITY = 88
HASH_BITS = 16  # a 16 x 16 difference hash
SAME_PICTURE = 20  # at most this many of its 256 bits differ between copies of one picture
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Source:
    """Photographs of one package: the files that match `take` and do not match `leave` (shell patterns)."""

    kind: str  # "apt", "npm" or "pip"
    package: str
    take: list[str]
    leave: list[str] = field(default_factory=list)


# Names under `leave` are drawings, paintings, screenshots and logos, or are in a test set.
CREATIVE_TIM_LEAVE = [
    "*curved*", "*illustration*", "*carousel*", "*bg-pricing*", "*vr-bg*", "*unass*", "*/theme/*", "*drake*",
]  # fmt: skip
OPENCV_DRAWN_ON = ["*_mask*", "*word0*"]
SOURCES = [
    Source(
        "apt",
        "gcompris-qt-data",
        [
            "*/erase/resource/*", "*/explore_farm_animals/*", "*/explore_world_animals/*",
            "*/explore_world_music/*", "*/explore_monuments/*", "*/categorization/resource/images/[fmort]*",
            "*/details/resource/image/*_background*", "*/clickgame/resource/sea*",
        ],
        [
            "*Gogh*", "*Eglise*", "*eglise*", "*Portrait*", "*.svg",
            # in the evaluation set
            "*_farm_animals/*/cat.*", "*/chicken.*", "*/cow.*", "*/dog.*", "*/duck.*", "*/sheep.*",
            "*_farm_animals/*/horse.*", "*_world_animals/*/giraffe.*", "*/scarlet_macaw.*", "*/jaguar.*",
            "*/kangaroo.*", "*/polar_bear.*", "*/crab.*", "*/kingfisher.*", "*/knife.*", "*/spoons.*",
            "*/chair.*", "*/volleyball.*", "*/pan.*", "*/scissors1.*",
            # held back for a second test
            "*/america.*", "*/mexico.*", "*/meerkats.*", "*/camels.*", "*/spoonbills.*", "*/kitten.*",
            "*/scissors2.*", "*erase/*/cheetah.*",
        ],
    ),
    Source("apt", "palapeli-data", ["*/collection/*.jpg"], ["*/citrus-*", "*/european-honey-*"]),
    Source(
        "apt",
        "opencv-doc",
        [f"*/{name}" for name in (
            "scenetext*.jpg", "hfs/data/*.jpg", "leuvenA.jpg", "aero1.jpg", "data/building.jpg",
            "data/home.jpg", "aloeL.jpg", "data/board.jpg", "rubberwhale1.png", "box_in_scene.png",
            "html/pexels_double_decker_bus.jpg", "html/230501201_1.jpg", "html/astra_color.jpg",
            "html/Background_Subtraction_Tutorial_frame.jpg", "html/Histogram_Calculation_Original_Image.jpg",
            "html/Remap_Tutorial_Original_Image.jpg", "html/input.jpg",
        )],
        OPENCV_DRAWN_ON,
    ),
    Source("apt", "mate-backgrounds", ["*/nature/*.jpg"]),
    Source("apt", "lomiri-wallpapers-16.04", ["*/backgrounds/*.jpg"], ["*analogpattern*", "*umang*"]),
    Source("apt", "lomiri-wallpapers-20.04", ["*Baubkus.jpg"]),
    Source(
        "apt",
        "plasma-workspace-wallpapers",
        [f"*/{name}/contents/images/[1-9]*x[1-9]*.jpg" for name in (
            "BytheWater", "ColorfulCups", "EveningGlow", "FallenLeaf", "Kite", "OneStandsOut", "Path",
            "summer_1am",
        )],
    ),
    Source("npm", "tabler-ui@0.0.34", ["*/src/demo/photos/*-1500.jpg", "*/src/demo/products/*.jpg"]),
    Source("npm", "material-kit@2.0.4", ["*/assets/img/*.jpg"], ["*/profile.jpg", "*/landing.jpg"]),
    Source("npm", "soft-ui-design-system@1.0.4", ["*/assets/img/*.jpg"], CREATIVE_TIM_LEAVE),
    Source("npm", "soft-ui-dashboard@1.0.1", ["*/assets/img/*.jpg"], CREATIVE_TIM_LEAVE),
    Source("npm", "material-dashboard@3.1.0", ["*/assets/img/*.jpg"], CREATIVE_TIM_LEAVE),
    Source("npm", "@creative-tim-official/argon-dashboard@2.0.4", ["*/assets/img/*.jpg"], CREATIVE_TIM_LEAVE),
    Source("npm", "startbootstrap-creative@7.0.7", ["*/dist/*/fullsize/*.jpg"], ["*/3.jpg"]),
    Source("npm", "admin-lte@3.2.0", ["*/dist/img/photo*", "*/dist/img/prod-*"]),
    Source("npm", "gentelella@4.2.0", ["*/dist/images/media.jpg", "*/dist/images/picture.jpg"]),
    Source("npm", "@vladmandic/face-api@1.7.15", ["*/demo/sample*.jpg"]),
    Source("pip", "face-recognition==1.3.0", ["*/test_images/*.jpg"], ["*partial*"]),
]  # fmt: skip


def download(source: Source, cache: Path) -> Path:
    """The package's archive inside `cache`, fetched with its registry's own client if not there yet."""
    folder = cache / source.package.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    command = {
        "apt": ["apt-get", "download"],
        "npm": ["npm", "pack", "--silent"],
        "pip": [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"],
    }[source.kind]
    if not any(path.is_file() for path in folder.iterdir()):
        subprocess.run([*command, source.package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(path for path in folder.iterdir() if path.is_file())


def unpack(archive: Path) -> Path:
    """Unpack a .deb, .tgz, .tar.gz or .whl beside itself, with the Qt resource files in it; the folder."""
    target = archive.parent / "unpacked"
    if target.exists():
        return target
    if archive.suffix == ".deb":
        subprocess.run(["dpkg", "-x", str(archive), str(target)], check=True)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(target)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    for resource in sorted(target.rglob("*.rcc")):
        for name, content in qt_resources(resource.read_bytes()):
            if name.endswith(SUFFIXES):
                path = resource.with_suffix("") / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    return target


def qt_resources(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Relative path and content of each file in a Qt binary resource file (magic `qres`).

    A tree of fixed-size nodes: name offset, flags (1 zlib, 2 folder, 4 zstd), then for a folder the number
    and the first of its children, for a file its data offset. Files stored with zstd are passed over.
    """
    version, tree, data, names = struct.unpack_from(">4I", blob, 4)
    node_size = 14 if version < 2 else 22  # version 2 appended a modification time

    def name_at(offset: int) -> str:
        (length,) = struct.unpack_from(">H", blob, names + offset)
        return blob[names + offset + 6 : names + offset + 6 + 2 * length].decode("utf-16-be")

    def walk(index: int, folder: str) -> Iterator[tuple[str, bytes]]:
        position = tree + index * node_size
        name_offset, flags = struct.unpack_from(">IH", blob, position)
        path = f"{folder}{name_at(name_offset)}" if index else ""
        if flags & 2:
            count, first = struct.unpack_from(">II", blob, position + 6)
            for child in range(first, first + count):
                yield from walk(child, f"{path}/" if path else "")
        elif not flags & 4:
            (offset,) = struct.unpack_from(">I", blob, position + 10)
            (size,) = struct.unpack_from(">I", blob, data + offset)
            content = blob[data + offset + 4 : data + offset + 4 + size]
            yield path, zlib.decompress(content[4:]) if flags & 1 else content  # zlib data follow their size

    yield from walk(0, "")


def chosen(source: Source, folder: Path) -> list[Path]:
    """The picture files of an unpacked package that the source asks for."""

    def matches(path: Path, patterns: list[str]) -> bool:
        name = f"/{path.relative_to(folder).as_posix()}"
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    return [path for path in files if matches(path, source.take) and not matches(path, source.leave)]


def difference_hash(image: Image.Image) -> np.ndarray:
    """Which of two horizontal neighbours is brighter, on a (HASH_BITS, HASH_BITS) grid; bool, flat."""
    small = image.convert("L").resize((HASH_BITS + 1, HASH_BITS), Image.Resampling.LANCZOS)
    grey = np.asarray(small, dtype=int)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


def opened(path: Path) -> Image.Image:
    """The picture in RGB, no larger than LONGEST_SIDE, on white where it is transparent."""
    with Image.open(path) as file:
        file.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))  # wallpapers are large; JPEG decodes smaller
        image = file.convert("RGBA")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def fetch(output: Path, cache: Path, avoid: list[Path]) -> list[dict[str, str]]:
    """Fill `output` with the photographs of all sources, each once; the index's entries."""
    seen = [difference_hash(opened(path)) for folder in avoid for path in sorted(folder.glob("*.jpg"))]
    index: list[dict[str, str]] = []
    output.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        folder = unpack(download(source, cache))
        before = len(index)
        for path in chosen(source, folder):
            image = opened(path)
            bits = difference_hash(image)
            copy = any((bits != other).sum() <= SAME_PICTURE for other in seen)
            if copy or min(image.size) < SHORTEST_SIDE:
                continue
            seen.append(bits)
            name = f"{len(index):04d}_{path.stem}.jpg"
            image.save(output / name, quality=JPEG_QUALITY)
            inside = path.relative_to(folder).as_posix()
            index.append({"file": name, "package": source.package, "path": inside})
        log.info("%s: %d photographs", source.package, len(index) - before)
    text = json.dumps(index, indent=1, ensure_ascii=False)
    (output / "index.json").write_text(text + "\n", encoding="utf-8")
    return index


def main() -> None:
    """Read the command line and fetch."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("output", type=Path, help="folder for the photographs")
    parser.add_argument("--cache", type=Path, help="folder for downloads (default: OUTPUT/.packages)")
    parser.add_argument("--avoid", type=Path, nargs="*", default=[], help="folders of pictures to leave out")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cache = arguments.cache or arguments.output / ".packages"
    index = fetch(arguments.output, cache.resolve(), [EVALUATION, *arguments.avoid])
    log.info("%d photographs in %s", len(index), arguments.output)


if __name__ == "__main__":
    main()
