"""`Subject`: the model and the image that are measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fo1.pipeline import FO1
from fo1.scene import Scene

LABELS = ("chair", "person", "cup", "dog", "car", "bottle", "tree", "ball", "book", "lamp")


@dataclass(frozen=True)
class Subject:
    """A model and an image. boxes: (N, 4) xyxy pixels; None for what the model proposes."""

    model: FO1
    image: Image.Image
    boxes: NDArray[np.float32] | None = None

    def look(self) -> Scene:
        """A new scene, of which nothing was asked yet."""
        return self.model.look(self.image, self.boxes)

    def copies(self, count: int) -> list[Image.Image]:
        """So many different images of this size: this one, turned round by more and more pixels."""
        pixels = np.asarray(self.image)
        return [Image.fromarray(np.roll(pixels, 16 * number, axis=1)) for number in range(count)]


def unread(scene: Scene) -> Scene:
    """The same scene, its image encoded, but nothing read by the language model."""
    return Scene(scene.model, scene.settings, replace(scene.encoded, begun={}), {})
