"""`Video`: frames by number, through PyAV (`pip install 'fo1[video]'`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fo1.errors import Fo1Error, ImageError


class Video:
    """A video file. Reading frames in ascending order decodes it once; going back begins anew.

    A copy, also in another process, has its own place in the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._frames: Iterator[Any] | None = None
        self._next = 0

    def __len__(self) -> int:
        """Frames in it, counted without decoding them. Raises `ImageError` if it cannot be opened."""
        av = _av()
        try:
            with av.open(self.path) as container:
                return sum(1 for packet in container.demux(_stream(container, self.path)) if packet.size)
        except av.FFmpegError as error:
            raise ImageError(f"{self.path} cannot be read as a video: {error}") from error

    def frame(self, number: int) -> Image.Image:
        """Upright RGB. Raises `ImageError` if the video is damaged there, or ends before."""
        if self._frames is None or number < self._next:
            self._frames, self._next = self._decoded(), 0
        frame = None
        while self._next <= number:
            frame = next(self._frames, None)
            if frame is None:
                self._frames = None
                raise ImageError(f"{self.path} has no frame {number}; it ends after {self._next}")
            self._next += 1
        assert frame is not None
        picture: Image.Image = frame.to_image().convert("RGB")
        return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture

    def __reduce__(self) -> tuple[type[Video], tuple[str]]:
        return (Video, (self.path,))

    def _decoded(self) -> Iterator[Any]:
        av = _av()
        try:
            with av.open(self.path) as container:
                yield from container.decode(_stream(container, self.path))
        except av.FFmpegError as error:
            raise ImageError(f"{self.path} is damaged or cut off: {error}") from error


@dataclass(frozen=True)
class Frame:
    """One frame of a video, as an image."""

    id: str
    video: Video
    number: int

    def read(self) -> Image.Image:
        return self.video.frame(self.number)


def _stream(container: Any, path: str) -> Any:
    if not container.streams.video:
        raise ImageError(f"{path} has no pictures")
    return container.streams.video[0]


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise Fo1Error("videos need the package av; run: pip install 'fo1[video]'") from error
    return av
