"""`Pictures`: where `--save` puts drawn images."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fo1.cli.common import note
from fo1.cli.inputs import is_url
from fo1.errors import Fo1Error

if TYPE_CHECKING:
    from PIL import Image

    from fo1.detections import Detections
    from fo1.outlined import Outlined


class Pictures:
    """Draws and writes; nothing if there is no target.

    target: `out.png` is that file for one image and `out-NAME.png` for several; a folder gets `NAME.png`.
    Raises `Fo1Error` for a suffix Pillow cannot write.
    """

    def __init__(self, target: str | None, sources: list[str]) -> None:
        self._paths = {} if target is None else planned(Path(target), sources)

    def save(
        self, source: str, image: Image.Image, found: Detections, outlined: Outlined | None = None
    ) -> None:
        """Draws what was found. Raises `Fo1Error` if the picture cannot be written."""
        from fo1.drawing import draw, tinted

        path = self._paths.get(source)
        if path is None:
            return
        shown = image if outlined is None else tinted(image, found, outlined.masks)
        save_picture(draw(shown, found), path)


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a picture and says so. Raises `Fo1Error` if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    except (OSError, ValueError) as error:
        raise Fo1Error(f"--save {path} cannot be written: {error}") from error
    note(f"saved {path}")


def planned(target: Path, sources: list[str]) -> dict[str, Path]:
    """A path for each source, no two alike and none of them a source itself."""
    is_folder = os.path.isdir(target) or not target.suffix
    if not is_folder and target.suffix.lower() not in _writable():
        raise Fo1Error(f"--save {target}: pictures cannot be written as {target.suffix}; use .png or .jpg")
    originals = {Path(source).resolve() for source in sources if not is_url(source)}
    paths: dict[str, Path] = {}
    for source in dict.fromkeys(sources):
        if not is_folder and len(set(sources)) == 1:
            path = target
        else:
            path = _free(target, _name(source), is_folder, set(paths.values()))
        if path.resolve() in originals:
            raise Fo1Error(f"--save {path} would overwrite an image; choose another name")
        paths[source] = path
    return paths


def _free(target: Path, name: str, is_folder: bool, taken: set[Path]) -> Path:
    """The path for a name; the second image of one name gets a number."""
    folder, start, suffix = (
        (target, "", ".png") if is_folder else (target.parent, f"{target.stem}-", target.suffix)
    )
    numbered = (folder / f"{start}{name}{'' if n == 1 else f'-{n}'}{suffix}" for n in count(1))
    return next(path for path in numbered if path not in taken)


def _name(source: str) -> str:
    if source[:5].lower() == "data:":
        return "image"
    return Path(urlsplit(source).path if is_url(source) else source).stem or "image"


def _writable() -> set[str]:
    from PIL import Image

    Image.init()
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.SAVE}
