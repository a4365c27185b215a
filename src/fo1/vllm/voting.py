"""`voter`: what `fo1 label` asks of a model in vLLM: a batch of images and all labels, in flight at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from fo1.checkpoints.config import kind_of
from fo1.checkpoints.shards import Shards
from fo1.device import device_of
from fo1.duplicates import Duplicates
from fo1.fingerprint import digest, fingerprint
from fo1.labeling.ledger import Row
from fo1.labeling.pipeline import Ask, Picture
from fo1.labeling.votes import masking, row
from fo1.loading import model_folder
from fo1.vllm.engine import Engine
from fo1.vllm.exported import is_exported
from fo1.vllm.scorer import Scorer

Asked: TypeAlias = Engine | Scorer


def load_engine(model: str, options: dict[str, Any]) -> Asked:
    """A model in vLLM, be it one that writes its answers or one that scores. Raises `CheckpointError`."""
    folder = model_folder(model)
    scores = kind_of(folder) == "native" and not is_exported(folder)
    return Scorer(model, **options) if scores else Engine(model, **options)


def vote(engine: Asked, pictures: Sequence[Picture], labels: Sequence[str]) -> list[Row]:
    """As `fo1.labeling.votes.vote`."""
    images = [picture.image for picture in pictures if picture.image is not None]
    given = [picture.regions for picture in pictures]
    seen: list[Any] = [*engine.look_many(images, given)]
    found = engine.detect(seen, labels)
    writes = isinstance(engine, Engine)
    return [
        row(picture, one.regions, said, writes)
        for picture, one, said in zip(pictures, seen, found, strict=True)
    ]


def voter(engine: Asked, labels: Sequence[str], masks: str | None = None) -> Ask:
    """What asks it for its votes; see `fo1.labeling.votes.voter`."""
    ask = partial(vote, engine, labels=labels)
    return ask if masks is None else masking(ask, labels, engine.settings, masks, str(device_of(None)))


def facts(engine: Asked, proposals: str | None) -> dict[str, Any]:
    """As `fo1.labeling.facts.facts`; a run of vLLM's is no run of the core's."""
    settings = engine.settings
    return {
        "weights": f"{weights(engine)} in vLLM",
        "proposals": proposals,
        "threshold": settings.threshold,
        "temperature": settings.temperature,
        "duplicates": list(astuple(Duplicates())),
    }


def weights(engine: Asked) -> str:
    """16 hexadecimal digits from the weights, as they are stored."""
    if isinstance(engine, Scorer):
        return fingerprint(engine.core.model)
    folder = Path(engine.llm.llm_engine.model_config.model)
    shards = Shards(sorted(folder.rglob("*.safetensors")))
    return digest(shards.read(shards))
