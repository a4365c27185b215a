"""YOLO folders: images/ and labels/ side by side, names in data.yaml or classes.txt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.files import SUFFIXES, Images, read_lines, sound_box, tidy
from fo1.data.convert.objects import Object, assemble
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError

WHAT = "a YOLO folder: data.yaml or classes.txt, images/ and labels/"
_SLACK = 1e-3  # shares of the image that rounding may put outside it


def read_yolo(
    path: Path, images: Path | None = None, split: str = "train", problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images of a YOLO folder or its data.yaml, by file name.

    images: folder of the images instead of what data.yaml says of `split`, or of `images/`.
    Labels are expected where `images` in the path says `labels`, or in `labels/`. Lines are `class cx cy w h`
    in shares of the image, polygons `class x1 y1 x2 y2 x3 y3 …`, or boxes followed by keypoints if data.yaml
    has `kpt_shape`. An image without a label file holds nothing. Raises `RecordError` for another layout.
    """
    problems = problems or Problems()
    layout = Layout.of(path, images, split)
    for folder in layout.images:
        labels = layout.labels_of(folder)
        pictures = Images(folder, problems)
        for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
            inner = file.relative_to(folder)
            image = pictures.ref(inner.as_posix())
            if image is None or image.size is None:
                continue
            objects = _objects(labels / inner.with_suffix(".txt"), image.size, layout, problems)
            yield assemble(image, objects, layout.names.values(), inner.as_posix())


@dataclass(frozen=True)
class Layout:
    """Where things are. images: folders of the split. keypoints: do they follow each box?"""

    root: Path
    images: tuple[Path, ...]
    names: Mapping[int, str]
    keypoints: bool

    @classmethod
    def of(cls, path: Path, images: Path | None, split: str) -> Layout:
        """See `read_yolo`. Raises `RecordError`."""
        config_path = path if path.suffix in (".yaml", ".yml") else path / "data.yaml"
        config, root = _config(config_path), config_path.parent
        names = _names(config, root)
        folders = [images] if images else _folders(config, root, split)
        return cls(root, tuple(folders), names, "kpt_shape" in config)

    def labels_of(self, images: Path) -> Path:
        """The labels of a folder of images. Raises `RecordError` if there is no folder of them."""
        return _labels_of(images, self.root)


def _objects(path: Path, size: tuple[int, int], layout: Layout, problems: Problems) -> list[Object]:
    lines = enumerate(read_lines(path), start=1) if path.exists() else ()
    objects = (
        read_line(line, size, layout, f"{path}, line {n}", problems) for n, line in lines if line.strip()
    )
    return [thing for thing in objects if thing is not None]


def read_line(
    line: str, size: tuple[int, int], layout: Layout, place: str, problems: Problems
) -> Object | None:
    """One line on an image of (width, height); None, and a problem, if it is no such line."""
    first, *rest = line.split()
    try:
        label, values = layout.names.get(int(first)), [float(value) for value in rest]
    except ValueError:
        problems.add("line is not `class cx cy w h`", place)
        return None
    if label is None:
        problems.add("unknown category id", f"{place}, class {first}")
        return None
    corners = _corners(values[:4] if layout.keypoints else values)
    if corners is not None and not all(-_SLACK <= value <= 1 + _SLACK for value in corners):
        problems.add("box is not in shares of the image (0 to 1)", place)
        return Object(label, None)
    pixels = corners and [value * size[i % 2] for i, value in enumerate(corners)]
    return Object(label, sound_box(pixels, size, place, problems))


def _corners(values: list[float]) -> list[float] | None:
    """x1 y1 x2 y2 of a box (a fifth number is its score) or of a polygon; None if it is neither."""
    if len(values) in (4, 5):
        cx, cy, w, h = values[:4]
        return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
    if len(values) < 6 or len(values) % 2:
        return None
    xs, ys = values[::2], values[1::2]
    return [min(xs), min(ys), max(xs), max(ys)]


def _config(path: Path) -> dict[str, Any]:
    """data.yaml as a mapping, empty if there is none."""
    if not path.exists():
        return {}
    import yaml  # type: ignore[import-untyped]  # huggingface_hub depends on it

    try:
        config = yaml.safe_load("\n".join(read_lines(path)))
    except yaml.YAMLError as error:
        raise RecordError(f"{path}: is not YAML ({error})") from error
    if not isinstance(config, dict):
        raise RecordError(f"{path}: expected a data.yaml with `names`")
    return config


def _names(config: Mapping[str, Any], root: Path) -> dict[int, str]:
    """Class names by number."""
    names = config.get("names")
    if names is None:
        files = [root / "classes.txt", root / "labels" / "classes.txt", root / "obj.names"]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise RecordError(f"{root}: has no class names; expected {WHAT}")
        names = [line for line in read_lines(file) if line.strip()]
    pairs = names.items() if isinstance(names, dict) else enumerate(names if isinstance(names, list) else [])
    try:
        tidied = {int(number): tidy(str(name)) for number, name in pairs}
    except ValueError as error:
        raise RecordError(f"{root}: names in data.yaml must be numbered ({error})") from error
    known = {number: name for number, name in tidied.items() if name}
    if not known:
        raise RecordError(f"{root}: has no class names; expected {WHAT}")
    return known


def _folders(config: Mapping[str, Any], root: Path, split: str) -> list[Path]:
    """The image folders of a split. Paths in data.yaml may start from its own folder or from above."""
    wanted = config.get(split)
    if wanted is None:
        candidates = [root / "images" / split, root / split / "images", root / "images"]
        found = next((folder for folder in candidates if folder.is_dir()), None)
        if found is None:
            raise RecordError(f"{root}: has no images; expected {WHAT}")
        return [found]
    folders = []
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        inner = Path(*(part for part in Path(str(entry)).parts if part != ".."))
        starts = (root / str(config.get("path") or "") / str(entry), root / str(entry), root / inner)
        folder = next((start for start in starts if start.is_dir()), None)
        if folder is None:
            raise RecordError(
                f"{root}: data.yaml says {split}: {entry}, but there is no such folder; "
                "expected a folder of images; or give it by --images"
            )
        folders.append(folder.resolve())
    return folders


def _labels_of(images: Path, root: Path) -> Path:
    """Where the labels of a folder of images are: the last `images` of its path becomes `labels`."""
    parts = list(images.parts)
    candidates = [root / "labels"]
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        candidates.insert(0, Path(*parts[:last], "labels", *parts[last + 1 :]))
    found = next((folder for folder in candidates if folder.is_dir()), None)
    if found is None:
        raise RecordError(f"{candidates[0]}: no such folder; expected {WHAT}")
    return found
