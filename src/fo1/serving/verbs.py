"""`Verbs`: detect, find, count, … of an image that is sent along, or of a scene that was posted before."""

from __future__ import annotations

import time
from typing import Any

from fo1.pipeline import given_regions
from fo1.serving.engine import Done, Engine, Picture
from fo1.serving.limits import Limits, Share
from fo1.serving.pictures import Pictures
from fo1.serving.questions import Looking, Pictured, Question
from fo1.serving.scenes import Scenes


class Verbs:
    """Answers are the documents of `fo1 … --json`."""

    def __init__(self, engine: Engine, pictures: Pictures, scenes: Scenes, limits: Limits) -> None:
        self._engine, self._pictures, self._limits, self.scenes = engine, pictures, limits, scenes

    async def with_image(
        self, asked: Pictured, question: Question, source: str | bytes, name: str, share: Share
    ) -> dict[str, Any]:
        """One question about an image. source: its data URL or bytes. name: what the client calls it.

        Raises `Problem` and `Fo1Error`.
        """
        started = time.perf_counter()
        picture = await self._picture(asked, source, share)
        before = {"image": time.perf_counter() - started}
        done = await self._engine.submit(question.request(picture, self._limits))
        document = question.document(done.value)
        if isinstance(question, Looking):
            id = self.scenes.add(done.value, name)
            document = {"id": id, **document, "expires_in": self.scenes.lasting}
        return self._record(name, picture.image.size, document, before, done)

    async def of_scene(self, id: str, question: Question) -> dict[str, Any]:
        """One question about a scene. Raises `Problem` and `Fo1Error`."""
        kept = self.scenes.get(id)
        done = await self._engine.submit(question.request(kept.scene, self._limits))
        size = kept.scene.regions.image_size
        return self._record(kept.name, size, question.document(done.value), {}, done)

    async def _picture(self, asked: Pictured, source: str | bytes, share: Share) -> Picture:
        if asked.boxes is not None:
            self._limits.check_boxes(asked.boxes)
        image = await self._pictures.read(source, share)
        regions = None if asked.boxes is None else given_regions(asked.boxes, image.size)
        return Picture(image, regions, asked.top_k, asked.tiles)

    def _record(
        self, name: str, size: tuple[int, int], document: dict[str, Any], before: dict[str, float], done: Done
    ) -> dict[str, Any]:
        seconds = {stage: round(spent, 4) for stage, spent in {**before, **done.seconds}.items()}
        return {"image": name, "size": list(size), "model": self._engine.name, **document, "seconds": seconds}
