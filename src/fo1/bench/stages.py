"""What one image and its first question cost, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from fo1.bench.clock import seconds
from fo1.bench.results import Results
from fo1.bench.subject import LABELS, Subject
from fo1.encoders.feature_maps import FeatureMaps
from fo1.model import Encoded, RegionModel
from fo1.prefixes import begin

STEPS = 16


def measure_stages(results: Results, subject: Subject) -> None:
    """Each stage on its own, then the whole: an image's first detection, and a further question about it."""
    scene = subject.look()
    with torch.inference_mode():
        _encoding(results, subject, scene.encoded)
        _reading(results, scene.model, scene.encoded)
    first, further = LABELS[0], iter(LABELS * (results.repeat + 1))
    results.took("first", seconds(lambda: subject.look().detect(first), results.repeat))
    results.took("further", seconds(lambda: scene.detect(next(further)), results.repeat))


def _encoding(results: Results, subject: Subject, encoded: Encoded) -> None:
    model, images, regions = subject.model.model, [subject.image], encoded.regions
    maps: list[FeatureMaps | None] = [None]
    if model.auxiliary is not None:
        encoder = model.auxiliary
        results.took("auxiliary", seconds(lambda: encoder(images), results.repeat))
        maps = list(encoder(images))
    if model.proposer is not None:
        results.took("proposals", seconds(lambda: model.propose(images, maps), results.repeat))
    results.took("primary", seconds(lambda: model.family.see(images), results.repeat))
    (sight,) = model.family.see(images)

    def pool() -> Encoded:
        return model.embed(model.pool(sight.maps, maps[0], regions), regions, sight)

    results.took("pooling", seconds(pool, results.repeat))


def _reading(results: Results, model: RegionModel, encoded: Encoded) -> None:
    """The image and its regions by the language model, then a token of an answer to them."""
    prefix = model.prompts.prefix(encoded.sight.ids, len(encoded.regions))
    results.took("prefill", seconds(lambda: begin(model, replace(encoded, begun={}), prefix), results.repeat))
    results.took("decode", seconds(steps(model, encoded, STEPS), results.repeat) / STEPS)


def steps(model: RegionModel, encoded: Encoded, count: int) -> Callable[[], None]:
    """Work that writes so many tokens after the image and its regions; which tokens does not matter."""
    begun = begin(model, encoded, model.prompts.prefix(encoded.sight.ids, len(encoded.regions)))
    token = torch.tensor([[model.prompts.vocabulary.region(0)]], device=model.device)

    def write() -> None:
        cache = begun.cache()
        with model.bound([encoded]):
            for _ in range(count):
                model.base(input_ids=token, past_key_values=cache, use_cache=True, logits_to_keep=1)

    return write
