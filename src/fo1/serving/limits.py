"""`Limits`: how much one request may ask for, and all of them together. `Room`: memory they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fo1.serving.problems import Problem, busy

MiB = 2**20


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    body: bytes of a request, after which it is refused. pixels: width × height of an image. images: in a
    conversation. boxes, labels: of a request. label, text: bytes of a label, of all texts of a request.
    new_tokens: of an answer. prompt_tokens: of a prompt. waiting: requests at once. memory: bytes of bodies
    and decoded images at once. seconds: until a request is given up.
    """

    body: int = 32 * MiB
    pixels: int = 40_000_000
    images: int = 8
    boxes: int = 500
    labels: int = 1300
    label: int = 200
    text: int = 16_000
    new_tokens: int = 1024
    prompt_tokens: int = 8192
    waiting: int = 64
    memory: int = 1024 * MiB
    seconds: float = 60.0

    def check_boxes(self, boxes: Sequence[object]) -> None:
        """Raises `Problem`."""
        _check(len(boxes), self.boxes, "boxes")

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises `Problem` for too many, too long ones, or too much text in all."""
        _check(len(labels), self.labels, "labels")
        for label in labels:
            _check(_size(label), self.label, f"bytes in the label {label[:30]!r}…")
        self.check_texts(labels)

    def check_texts(self, texts: Sequence[str]) -> None:
        """Raises `Problem`."""
        _check(sum(map(_size, texts)), self.text, "bytes of text")

    def check_tokens(self, count: int) -> None:
        """Raises `Problem` for an answer that may get too long."""
        _check(count, self.new_tokens, "new tokens")

    def check_images(self, count: int) -> None:
        """Raises `Problem`."""
        _check(count, self.images, "images")


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _check(value: int, limit: int, what: str) -> None:
    if value > limit:
        raise Problem(400, f"{value:,} {what}; this server takes at most {limit:,} in a request")


class Room:
    """Bytes that requests hold at once."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0


class Share:
    """What one request holds of the room."""

    def __init__(self, room: Room) -> None:
        self._room, self._taken = room, 0

    def take(self, count: int) -> None:
        """Raises `Problem` (429) if there is no room for so many bytes more."""
        if self._room.held + count > self._room.limit:
            raise busy("the server's memory for requests is full")
        self._room.held += count
        self._taken += count

    def free(self) -> None:
        """Gives all back."""
        self._room.held -= self._taken
        self._taken = 0
