"""`each_image`: load, look and go on with the next when one fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fo1.cli import common
from fo1.cli.options import Settings
from fo1.errors import ImageError, RegionError

if TYPE_CHECKING:
    from PIL import Image

    from fo1.pipeline import FO1
    from fo1.scene import Scene
    from fo1.tiles import Tiles


@dataclass(frozen=True)
class Look:
    """One image and its scene.

    source: as the user named it. image: upright RGB. before: seconds of stages the scene does not know of.
    """

    source: str
    image: Image.Image
    scene: Scene
    model: str
    before: dict[str, float]

    def seconds(self) -> dict[str, float]:
        """Seconds per stage so far, in order; loading counts for the first image only."""
        total = dict(self.before)
        for stage, spent in self.scene.seconds.items():
            total[stage] = total.get(stage, 0.0) + spent
        return {stage: round(spent, 4) for stage, spent in total.items()}

    def record(self, **found: Any) -> dict[str, Any]:
        """The JSON object of this image, with what was found in the middle."""
        head = {"image": self.source, "size": list(self.image.size), "model": self.model}
        return head | found | {"seconds": self.seconds()}


def each_image(
    sources: Sequence[str],
    settings: Settings,
    use: Callable[[Look], None],
    boxes: Sequence[Sequence[float]] | None = None,
    top_k: int | None = None,
    tiles: Tiles = None,
) -> int:
    """Calls `use` for each image and returns how many failed; each failure is reported in one line.

    The model is loaded once an image could be read: a wrong path should not cost the wait.
    """
    from fo1.images import load_image

    model: FO1 | None = None
    failed = 0
    for source in sources:
        try:
            started = time.perf_counter()
            image = load_image(source)
            before = {"load": 0.0, "image": time.perf_counter() - started}
            if model is None:
                started = time.perf_counter()
                model = common.load_model(settings)
                before["load"] = time.perf_counter() - started
            use(Look(source, image, model.look(image, boxes, top_k, tiles), model.name, before))
        except (ImageError, RegionError) as error:
            message = str(error)
            named = len(sources) == 1 or source in message
            common.report(message if named else f"{source}: {message}")
            failed += 1
    return failed
