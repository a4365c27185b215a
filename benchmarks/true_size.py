"""Load time, time per stage and peak memory of a checkpoint of the released model's real size.

    python scripts/make_true_size.py OUT --tokenizer FOLDER     # once; 8.3 GB of random weights
    python benchmarks/true_size.py OUT --image photos/fruit.jpg

The weights being random, the answer means nothing; what it costs is what the real ones cost.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

import fo1
from fo1.decoding import generate
from fo1.images import load_image
from fo1.types import Regions


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Prints how long it took, and the most memory the process has had so far."""
    started = time.perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{stage:34} {time.perf_counter() - started:8.2f} s   peak {peak:6.2f} GiB", flush=True)


def boxes(count: int, size: tuple[int, int]) -> Regions:
    """Random boxes of a tenth to a half of the image's sides."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.5, (count, 2))
    side = rng.uniform(0.1, 0.5, (count, 2))
    return Regions.of(np.concatenate([corner, corner + side], axis=1) * [*size, *size], size)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--boxes", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--dtype", default="bfloat16")
    arguments = parser.parse_args()
    with timed("load"):
        model = fo1.load(arguments.checkpoint, dtype=arguments.dtype).model
    image = load_image(arguments.image)
    regions = boxes(arguments.boxes, image.size)
    assert model.auxiliary is not None
    with timed(f"auxiliary encoder ({image.width}×{image.height})"):
        (maps,) = model.auxiliary([image])
    with timed("vision tower"):
        (sight,) = model.family.see([image])
    with timed(f"pyramid and pooling ({len(regions)} boxes)"):
        features = model.pool(sight.maps, maps, regions)
    with timed("connector"):
        model.encoder.embed(features)
    del maps, sight, features
    with timed("all of look()"):
        (encoded,) = model.encode([image], [regions])
    prompts = model.prompts
    ids = prompts.prefix(encoded.sight.ids, len(regions))
    ids += prompts.question("Please detect orange in this image. Answer with object indexes.", len(regions))
    with timed(f"first token ({len(ids)} in the prompt)"):
        generate(model, [ids], [[encoded]], max_new_tokens=1)
    with timed(f"{arguments.tokens} tokens"):
        generate(model, [ids], [[encoded]], max_new_tokens=arguments.tokens)


if __name__ == "__main__":
    main()
