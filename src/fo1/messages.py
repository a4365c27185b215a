"""`Message`: a turn of a conversation as a user writes it, and a conversation as the model reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fo1.errors import PromptError
from fo1.model import Encoded, RegionModel
from fo1.prompts.conversation import Role, Shown, Turn
from fo1.prompts.parsing import named_regions
from fo1.scene import Scene
from fo1.views import View


@dataclass(frozen=True)
class Message:
    """One turn of a conversation. content: a text, a scene the user shows, or several of them in order."""

    role: Role
    content: str | Scene | Sequence[str | Scene]

    @property
    def parts(self) -> tuple[str | Scene, ...]:
        """Raises `PromptError` for what is neither a text nor a scene."""
        one = isinstance(self.content, (str, Scene)) or not isinstance(self.content, Sequence)
        parts = (self.content,) if one else tuple(self.content)  # type: ignore[arg-type]
        for part in parts:
            if not isinstance(part, (str, Scene)):
                raise PromptError(
                    f"a message holds {type(part).__name__}; give texts, and images as scenes: look(image)"
                )
        return parts  # type: ignore[return-value]


@dataclass(frozen=True)
class Conversation:
    """What the model reads. shown: the images in order. view: their regions, numbered through all of them."""

    turns: tuple[Turn, ...]
    shown: tuple[Encoded, ...]
    view: View


def conversation(model: RegionModel, messages: Sequence[Message]) -> Conversation:
    """Regions count on from image to image. If they are too many, those named are shown, then the best.

    Raises `PromptError` for scenes of another model.
    """
    scenes = [part for message in messages for part in message.parts if isinstance(part, Scene)]
    if any(scene.model is not model for scene in scenes):
        raise PromptError("a scene in the conversation is of another model; look at the image with this one")
    scores = np.concatenate([np.zeros(0, np.float32), *(scene.regions.scores for scene in scenes)])
    view = View.best(scores, model.capacity, _named(messages))
    turns, shown, known = [], [], 0
    for message in messages:
        here = known + sum(len(part.regions) for part in message.parts if isinstance(part, Scene))
        parts: list[str | Shown] = []
        for part in message.parts:
            if isinstance(part, Scene):
                encoded = _visible(part, view, known)
                known += len(part.regions)
                shown.append(encoded)
                parts.append(Shown(encoded.sight.ids, len(encoded.regions)))
            else:
                # A system message comes before all images: what looks like a region there is plain text.
                parts.append(part if message.role == "system" else view.inward(part, here))
        turns.append(Turn(message.role, parts))
    return Conversation(tuple(turns), tuple(shown), view)


def _visible(scene: Scene, view: View, first: int) -> Encoded:
    """The scene with those of its regions, numbered from `first`, that the view shows."""
    if view.complete:
        return scene.encoded
    count = len(scene.regions)
    return scene.encoded.take([row - first for row in view.rows if first <= row < first + count])


def _named(messages: Sequence[Message]) -> list[int]:
    """Numbers of all regions that the two sides name."""
    texts = [part for m in messages if m.role != "system" for part in m.parts if isinstance(part, str)]
    return [number for text in texts for number in named_regions(text)]


def to_the_reader(messages: Sequence[Message]) -> tuple[Scene, list[int]] | None:
    """The scene and regions that a conversation of one turn and one image asks to be read, if that is all."""
    parts = [part for message in messages for part in message.parts]
    scenes = [part for part in parts if isinstance(part, Scene)]
    if len(messages) != 1 or len(scenes) != 1:
        return None
    regions = scenes[0].to_read("".join(part for part in parts if isinstance(part, str)))
    return (scenes[0], regions) if regions else None
