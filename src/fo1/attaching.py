"""`attach`: any Hugging Face vision-language model + a region encoder → a model that points."""

from __future__ import annotations

from collections.abc import Mapping
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
from fo1.checkpoints.compose import GIVEN, compose
from fo1.model import RegionModel
from fo1.opening import settings_of
from fo1.pipeline import FO1
from fo1.proposals.proposer import Proposer
from fo1.regions.encoder import FusionConfig
from fo1.vlm.known import family_for

NO_AUXILIARY = AuxiliaryConfig("none")
MEASURED = 4096
"""Of how many of the base's words, at least, the size is taken."""


def attach(
    base: PreTrainedModel,
    processor: Any,
    *,
    auxiliary: AuxiliaryConfig | nn.Module | None = None,
    regions: RegionsConfig | None = None,
    vocabulary: Literal["static", "dynamic"] = "static",
    capacity: int = 100,
    proposer: Proposer | None = None,
    chat: Mapping[str, Any] | None = None,
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
    proposer: finds the boxes; None for a model that is always given them.
    chat: fields of `ChatFormat` in which the base's turns differ from its family's.
    The base stays in the mode in which it is given, training or eval; the new parts are frozen, in eval mode.
    The new parts are untrained: the model must be trained before its answers mean anything.
    Raises `RegistryError` for a family that is not known (docs/families.md), `CheckpointError` for parts that
    do not fit together.
    """
    family = family_for(base, processor)
    second = make_auxiliary(auxiliary) if isinstance(auxiliary, AuxiliaryConfig) else auxiliary
    if regions is None:
        regions = RegionsConfig(FusionConfig("primary" if second is None else "concat"))
    described = auxiliary if isinstance(auxiliary, AuxiliaryConfig) else GIVEN
    config = AttachedConfig(
        name=name,
        family=base.config.model_type,
        auxiliary=NO_AUXILIARY if second is None else described,
        regions=regions,
        vocabulary=VocabularyConfig(vocabulary, capacity),
        chat=dict(chat or {}),
    )
    config.check()
    table = base.get_input_embeddings().get_parameter("weight")
    channels: tuple[int, ...] = () if second is None else second.channels  # type: ignore[assignment]
    encoder = make_encoder(regions, family.channels, channels, table.shape[1])
    pair = Processor(processor.tokenizer, processor.image_processor)
    parts = Parts(config, base, pair, family, second, encoder, {})
    model = compose(parts, proposer, fresh=True)
    for part in model.children():
        if part is not base:
            part.to(base.device)
    _start(model)
    return FO1(model, settings_of(config), parts)


@torch.no_grad()
def _start(model: RegionModel) -> None:
    """Rows of the added tokens begin as random words of the base would; the pointer, as similarity of words.

    To be read, a row is as large as what the embedding gives out, which in some bases is not what its table
    holds. To be written, rows begin near the mean of the base's, so that no added token is likely at first.
    """
    splice, embedding = model.splice, model.base.get_input_embeddings()
    known = splice.first_own
    some = torch.arange(0, known, max(known // MEASURED, 1), device=model.device)
    read = embedding(some[None])[0].float()
    written = model.base.get_output_embeddings().get_parameter("weight")[some].float()
    for rows, like, spread in ((splice.input_rows, read, 1.0), (splice.output_rows, written, 0.1)):
        rows.copy_(like.mean(dim=0) + spread * like.std(dim=0) * torch.randn_like(rows))
    if splice.pointer is not None:
        splice.pointer.start(embedding.get_parameter("weight")[some].float().mean(dim=0))
