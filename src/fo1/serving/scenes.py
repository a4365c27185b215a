"""`Scenes`: images that were encoded for a client, for as long as there is room."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from fo1.scene import Scene
from fo1.serving.engine import Seen
from fo1.serving.problems import Problem


@dataclass
class Kept:
    """A scene. name: the image, as the client called it. until: seconds on the clock."""

    scene: Seen
    name: str
    until: float


class Scenes:
    """The last used scenes by id.

    most: how many. memory: their bytes in all, with what the model has read of them. lasting: seconds since
    the last use, after which one is forgotten.
    """

    def __init__(
        self,
        most: int = 256,
        memory: int = 1 << 30,
        lasting: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most, self.memory, self.lasting, self._clock = most, memory, lasting, clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, scene: Seen, name: str) -> str:
        """The new scene's id, which nobody can guess."""
        id = secrets.token_urlsafe(12)
        self._kept[id] = Kept(scene, name, self._clock() + self.lasting)
        self.tidy()
        return id

    def get(self, id: str) -> Kept:
        """Raises `Problem` (404) for one that is not there, or not any more."""
        self.tidy()
        kept = self._kept.get(id)
        if kept is None:
            raise Problem(
                404,
                f"no scene {id[:40]!r}: it was never posted, or has been forgotten (the last {self.most} are "
                f"kept, for {self.lasting:g} s after their last use, as memory allows); post the image again",
                "scene_not_found",
            )
        kept.until = self._clock() + self.lasting
        self._kept.move_to_end(id)
        return kept

    def drop(self, id: str) -> None:
        """Raises `Problem` (404) for one that is not there."""
        self.get(id)
        del self._kept[id]

    def tidy(self) -> None:
        """Forgets what is too old, then the least lately used until the rest fits; one always may stay."""
        now = self._clock()
        for id in [id for id, kept in self._kept.items() if kept.until <= now]:
            del self._kept[id]
        sizes = {id: size_of(kept.scene) for id, kept in self._kept.items()}
        total = sum(sizes.values())
        while len(self._kept) > 1 and (len(self._kept) > self.most or total > self.memory):
            id, _ = self._kept.popitem(last=False)
            total -= sizes[id]


def size_of(scene: Seen) -> int:
    """Bytes of a scene's tensors and of its image; of what an engine keeps elsewhere, of the picture."""
    if not isinstance(scene, Scene):
        width, height = scene.regions.image_size
        return 3 * width * height
    pixels = 0 if scene.image is None else scene.image.width * scene.image.height
    return 3 * pixels + sum(tensor.numel() * tensor.element_size() for tensor in _tensors(scene))


def _tensors(scene: Scene) -> Iterator[Tensor]:
    encoded = scene.encoded
    yield from (encoded.embeddings, encoded.evidence, encoded.image_tokens, *encoded.named)
    yield from _within([encoded.sight.outputs, encoded.sight.inputs])
    for begun in list(encoded.begun.values()):
        yield from _within([vars(layer) for layer in begun.kept.layers])


def _within(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _within(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _within(part)
