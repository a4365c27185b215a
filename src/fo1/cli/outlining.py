"""`Outliner`: masks of what was found, for `--masks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fo1.cli.options import Settings

if TYPE_CHECKING:
    from PIL import Image

    from fo1.detections import Detections
    from fo1.outlined import Outlined
    from fo1.segmenting import Segmenter


class Outliner:
    """Loads its model when the first image is there. source: folder or hub id; None draws no masks."""

    def __init__(self, source: str | None, settings: Settings) -> None:
        self._source, self._settings = source, settings
        self._segmenter: Segmenter | None = None

    def __call__(self, image: Image.Image, found: Detections) -> Outlined | None:
        """With a mask of each detection. Raises `CheckpointError` if there is no such model."""
        if self._source is None:
            return None
        from fo1.outlined import Outlined

        if self._segmenter is None:
            from fo1.segmenting import Segmenter

            self._segmenter = Segmenter.load(self._source, self._settings.device)
        return Outlined(found, tuple(self._segmenter(image, found)))
