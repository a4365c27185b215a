"""`Engine`: who answers. What the handlers ask for, as data, so that any engine may answer it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from PIL import Image

from fo1.labeling.verdicts import Limits as Verdicts
from fo1.prompts.conversation import Role
from fo1.tiles import Tiles
from fo1.types import FloatArray, Regions


@dataclass(frozen=True, eq=False)
class Picture:
    """An image to look at, upright and RGB. regions: instead of the proposer's. The rest is as in `look`."""

    image: Image.Image
    regions: Regions | None = None
    top_k: int | None = None
    tiles: Tiles = None

    @property
    def boxes(self) -> FloatArray:
        """The given boxes, (N, 4)."""
        return np.zeros((0, 4), np.float32) if self.regions is None else self.regions.xyxy


class Seen(Protocol):
    """An image that was looked at, as its engine keeps it; a `Scene`, for one."""

    @property
    def regions(self) -> Regions:
        """What can be pointed at."""
        ...


About: TypeAlias = Picture | Seen


@dataclass(frozen=True, eq=False)
class Look:
    """Encode an image. Answered by what it is once `Seen`."""

    about: About


@dataclass(frozen=True, eq=False)
class Ground:
    """Point at things. Answered by `Findings`."""

    about: About
    verb: Literal["detect", "find", "count"]
    labels: tuple[str, ...]
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class Name:
    """What a region may be called. Answered by names and their chances."""

    about: About
    region: int
    among: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class ReadAll:
    """Every line of text. Answered by `Writing`."""

    about: About


@dataclass(frozen=True, eq=False)
class Judge:
    """Are a picture's given boxes what their labels say? Answered by a list of `Verdict`."""

    about: Picture
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    limits: Verdicts


@dataclass(frozen=True, eq=False)
class Turn:
    """One side's turn, as `fo1.Message`, but images may still have to be looked at."""

    role: Role
    parts: tuple[str | About, ...]


@dataclass(frozen=True, eq=False)
class Talk:
    """Write what comes next. Answered by `Said`.

    region: one that must be there, because the question is about it.
    """

    turns: tuple[Turn, ...]
    new_tokens: int = 48
    repetition_penalty: float = 1.0
    region: int | None = None

    @classmethod
    def question(cls, about: About, text: str, new_tokens: int, region: int | None = None) -> Talk:
        """One question about one image."""
        return cls((Turn("user", (about, text)),), new_tokens, region=region)


Request: TypeAlias = Look | Ground | Name | ReadAll | Judge | Talk


def shown(request: Request) -> list[About]:
    """The images that a request wants encoded, in order; boxes to judge are seen in their own way."""
    if isinstance(request, Judge):
        return []
    if isinstance(request, Talk):
        return [part for turn in request.turns for part in turn.parts if not isinstance(part, str)]
    return [request.about]


@dataclass(frozen=True)
class Said:
    """A text, and what it took. finished: False if it was cut at its greatest length."""

    text: str
    prompt_tokens: int
    new_tokens: int
    finished: bool


@dataclass(frozen=True, eq=False)
class Done:
    """An answer. scenes: of the request's images, in order. seconds: by stage."""

    value: Any
    scenes: Sequence[Seen]
    seconds: dict[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """Answers requests of many clients.

    A task that is cancelled takes its request back; what has not begun by then never does.
    """

    name: str

    @property
    def ready(self) -> bool:
        """Would a request be taken now?"""
        ...

    async def start(self) -> None:
        """Before the first request."""
        ...

    async def close(self) -> None:
        """Finishes what was accepted; nothing is after that."""
        ...

    async def submit(self, request: Request) -> Done:
        """Raises `Fo1Error` for what cannot be asked, and `Problem` if the engine is full or closed."""
        ...

    def stream(self, talk: Talk) -> AsyncIterator[str | Done]:
        """As `submit`, but pieces of the text come first, and a `Done` with `Said` last."""
        ...
