"""`attach`: any Hugging Face vision-language model + a region encoder → a model that points."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn
from transformers import PreTrainedModel

from fo1.checkpoints.attached import Parts, Processor, make_auxiliary, make_encoder
from fo1.checkpoints.attached_config import (
    AttachedConfig,
    AuxiliaryConfig,
    RegionsConfig,
    VocabularyConfig,
)
from fo1.checkpoints.compose import compose
from fo1.loading import settings_of
from fo1.model import RegionModel
from fo1.pipeline import FO1
from fo1.proposals.proposer import Proposer
from fo1.regions.encoder import FusionConfig
from fo1.vlm.known import family_for

NO_AUXILIARY = AuxiliaryConfig("none")


def attach(
    base: PreTrainedModel,
    processor: Any,
    *,
    auxiliary: AuxiliaryConfig | nn.Module | None = None,
    regions: RegionsConfig | None = None,
    vocabulary: Literal["static", "dynamic"] = "static",
    capacity: int = 100,
    proposer: Proposer | None = None,
    name: str = "attached",
) -> FO1:
    """Attaches region tokens to a loaded image-text model. Nothing of the base is changed, class or weight.

    base: from `AutoModelForImageTextToText`. processor: from `AutoProcessor`, or anything with its
        `tokenizer` and `image_processor`.
    auxiliary: the second vision encoder, by its config or itself; None for the base's own tower alone.
    regions: how regions are encoded; by default as in the paper, as far as there are two encoders.
    vocabulary: "static" region names have rows to be trained, as released; with "dynamic" ones a name means
        its region, read or written, and every region gets a score.
    capacity: regions one prompt can hold.
    The new parts are untrained: the model must be trained before its answers mean anything.
    Raises `RegistryError` for a family that is not known (docs/families.md), `CheckpointError` for parts that
    do not fit together.
    """
    family = family_for(base, processor)
    second = make_auxiliary(auxiliary) if isinstance(auxiliary, AuxiliaryConfig) else auxiliary
    if regions is None:
        regions = RegionsConfig(FusionConfig("primary" if second is None else "concat"))
    described = auxiliary if isinstance(auxiliary, AuxiliaryConfig) else AuxiliaryConfig("given")
    config = AttachedConfig(
        name=name,
        family=base.config.model_type,
        auxiliary=NO_AUXILIARY if second is None else described,
        regions=regions,
        vocabulary=VocabularyConfig(vocabulary, capacity),
    )
    config.check()
    table = base.get_input_embeddings().get_parameter("weight")
    channels: tuple[int, ...] = () if second is None else second.channels  # type: ignore[assignment]
    encoder = make_encoder(regions, family.channels, channels, table.shape[1])
    pair = Processor(processor.tokenizer, processor.image_processor)
    parts = Parts(config, base, pair, family, second, encoder.to(base.device), {})
    model = compose(parts, proposer)
    _start(model)
    return FO1(model, settings_of(config), parts)


def _start(model: RegionModel) -> None:
    """Rows of the added tokens begin as the mean of the base's, plus noise, so that no two coincide."""
    splice = model.splice
    table = model.base.get_input_embeddings().get_parameter("weight").detach().float()
    head = model.base.get_output_embeddings().get_parameter("weight").detach().float()
    with torch.no_grad():
        for rows, like in ((splice.input_rows, table), (splice.output_rows, head)):
            rows.copy_(like.mean(dim=0) + like.std(dim=0) * torch.randn_like(rows) * 0.1)
        if splice.pointer is not None:
            splice.pointer.start(table.mean(dim=0))
