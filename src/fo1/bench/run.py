"""`run`: a model → everything that is measured of it."""

from __future__ import annotations

import torch
from PIL import Image

from fo1.bench.picture import picture
from fo1.bench.results import Results
from fo1.bench.rivals import measure_rivals
from fo1.bench.stages import measure_stages
from fo1.bench.subject import Subject
from fo1.errors import RegionError
from fo1.pipeline import FO1


def run(model: FO1, load: float, image: Image.Image | None = None, repeat: int = 3) -> Results:
    """Measures a model that took `load` seconds to load.

    image: with the boxes that the model proposes; without one, a drawn picture and its shapes' boxes.
    Raises `RegionError` if there is nothing in the image to point at.
    """
    subject = Subject(model, *picture()) if image is None else Subject(model, image)
    scene = subject.look()
    if not len(scene.regions):
        raise RegionError("nothing is proposed in this image; choose another to measure with")
    results = Results(model.name, subject.image.size, len(scene.regions), torch.get_num_threads(), repeat)
    results.took("load", load)
    measure_stages(results, subject)
    measure_rivals(results, subject)
    return results
