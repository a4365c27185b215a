"""`FO1`: a model a user has loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image

from fo1.decoding import generate, text_grammars
from fo1.errors import RegionError
from fo1.images import ImageSource, load_image
from fo1.messages import Message, conversation, to_the_reader
from fo1.model import RegionModel
from fo1.mosaic import encode_all
from fo1.scene import Scene, answers
from fo1.settings import Settings
from fo1.stored import restore
from fo1.tiles import Tiles
from fo1.types import Regions


class FO1:
    """A loaded model. `look` at an image, then ask the scene.

    description: what a checkpoint of it would say of its parts; `fo1.save` needs it.
    """

    def __init__(self, model: RegionModel, settings: Settings, description: object = None) -> None:
        self.model, self.settings, self.description = model, settings, description

    @property
    def name(self) -> str:
        return self.settings.name

    def look(
        self,
        image: ImageSource,
        boxes: ArrayLike | Regions | None = None,
        top_k: int | None = None,
        tiles: Tiles = None,
    ) -> Scene:
        """Proposals, both encoders and the region tokens of one image, once.

        image: path, URL, bytes, data URL, PIL, numpy HWC or torch CHW.
        boxes: use these, (N, 4) xyxy pixels of the original image, instead of the proposer's. There may be
            more than the model has names for: then it is asked in groups.
        top_k: keep only so many, the best by score, in their order; plain boxes all score 1, so the first.
        tiles: for small things in large images, look at the whole and at overlapping tiles of this side in
            pixels; "auto" chooses it. Regions are proposed on all of them, and each is read from the tile in
            which it lies whole. Both encoders run per tile, and so does the vision tower of a base that has
            one. An image no larger than a tile is looked at as without.
        Raises `ImageError` and `RegionError`.
        """
        return self.look_many([image], [boxes], top_k, tiles)[0]

    def look_many(
        self,
        images: Sequence[ImageSource],
        boxes: Sequence[ArrayLike | Regions | None] | None = None,
        top_k: int | None = None,
        tiles: Tiles = None,
    ) -> list[Scene]:
        """As `look`, for several images; those of one size share a batch, but for those cut into tiles."""
        if top_k is not None and top_k < 1:
            raise RegionError(f"top_k must be at least 1, got {top_k}")
        started = time.perf_counter()
        pixels, given = loaded_images(images, boxes)
        loaded = time.perf_counter()
        with self.model.lock:
            encoded = encode_all(self.model, pixels, given, tiles)
        if top_k is not None:
            encoded = [one.take(best_rows(one.regions, top_k)) for one in encoded]
        share = {"image": (loaded - started) / max(len(pixels), 1)}
        share["encode"] = (time.perf_counter() - loaded) / max(len(pixels), 1)
        kept = self.settings.compares or self.model.reader is not None
        return [
            Scene(self.model, self.settings, one, dict(share), image if kept else None)
            for one, image in zip(encoded, pixels, strict=True)
        ]

    def restore(self, path: str | Path) -> Scene:
        """A scene that was saved with this model, ready to be asked; see `Scene.save`.

        Raises `SceneError` for a file that is no scene, and for a scene of another model.
        """
        started = time.perf_counter()
        encoded = restore(path, self.model, self.name)
        return Scene(self.model, self.settings, encoded, {"restore": time.perf_counter() - started})

    def ask_many(
        self,
        scenes: Sequence[Scene],
        questions: Sequence[str],
        max_new_tokens: int = 48,
        beams: int = 1,
        repetition_penalty: float = 1.0,
        constrained: bool = True,
    ) -> list[str]:
        """One free question per scene, answered as a batch; each answer is what `Scene.ask` would say.

        Raises `PromptError` for an empty question, and if there is not one for each scene.
        """
        return answers(scenes, questions, max_new_tokens, beams, repetition_penalty, constrained)

    def chat(
        self,
        messages: Sequence[Message],
        max_new_tokens: int = 256,
        beams: int = 1,
        repetition_penalty: float = 1.0,
        constrained: bool = True,
    ) -> str:
        """What the model says next in a conversation of several turns.

        Scenes in the user's messages are images with their regions, which are numbered through all of them:
        the second image's first region follows the first one's last. If together they are more than the model
        has names for, it sees those that are named, then the best. Other options are those of `Scene.ask`.
        Raises `PromptError` for messages that make no conversation.
        """
        talk = conversation(self.model, messages)
        if (read := to_the_reader(messages)) is not None:
            scene, regions = read
            return scene.read(regions).text
        with self.model.lock:
            prompt = self.model.prompts.conversation(talk.turns)
            count = sum(len(one.regions) for one in talk.shown)
            grammars = text_grammars(self.model, [count]) if constrained else []
            (said,) = generate(
                self.model, [prompt], [talk.shown], max_new_tokens, beams, repetition_penalty, grammars
            )
        return talk.view.outward(said.text)

    def to(self, device: str | torch.device) -> FO1:
        """Moves the model."""
        self.model.to(device)
        return self


def loaded_images(
    images: Sequence[ImageSource], boxes: Sequence[ArrayLike | Regions | None] | None
) -> tuple[list[Image.Image], list[Regions | None]]:
    """Images, and the regions that are given of each, None for proposals; boxes: as for `FO1.look_many`.

    Raises `ImageError` and `RegionError`.
    """
    sets = [None] * len(images) if boxes is None else boxes
    if len(sets) != len(images):
        raise RegionError(f"{len(sets)} sets of boxes for {len(images)} images; None is for proposals")
    pixels = [load_image(image) for image in images]
    return pixels, [given_regions(one, image.size) for one, image in zip(sets, pixels, strict=True)]


def best_rows(regions: Regions, top_k: int) -> list[int]:
    """Of so many regions with the best scores, in their order."""
    return sorted(np.argsort(-regions.scores, kind="stable")[:top_k].tolist())


def given_regions(boxes: ArrayLike | Regions | None, size: tuple[int, int]) -> Regions | None:
    """Boxes a user drew, checked: a box that ends before it starts is a mistake worth telling."""
    if boxes is None:
        return None
    regions = boxes if isinstance(boxes, Regions) else Regions.of(boxes, size)
    if regions.image_size != size:
        raise RegionError(f"these regions are of a {regions.image_size} image, this one is {size}")
    inverted = np.flatnonzero((regions.xyxy[:, 2:] < regions.xyxy[:, :2]).any(axis=1))
    if inverted.size:
        worst = regions.xyxy[inverted[0]].tolist()
        raise RegionError(
            f"box {int(inverted[0])} ends before it starts: {worst}; boxes are [x1, y1, x2, y2]"
        )
    return regions
