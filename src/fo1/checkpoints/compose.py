"""Parts of a vision-language model with a region encoder → `RegionModel`."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn
from transformers import PreTrainedTokenizerBase

from fo1.checkpoints.attached import Parts
from fo1.checkpoints.attached_config import AttachedConfig, AuxiliaryConfig
from fo1.errors import CheckpointError
from fo1.model import RegionModel
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.vocabulary import RegionVocabulary, region_name
from fo1.proposals.proposer import Proposer
from fo1.vlm.pointer import RegionPointer
from fo1.vlm.splice import RegionSplice

GIVEN = AuxiliaryConfig("given")
"""An auxiliary encoder of which only the module is known."""


def compose(parts: Parts, proposer: Proposer | None = None, fresh: bool = False) -> RegionModel:
    """The model. A released base holds the region tokens' rows itself; else `parts.splice` does.

    fresh: the rows are still to be made; `parts.splice` is not read.
    The base and the tokenizer that were given are not changed; everything else is frozen, in eval mode.
    Raises `CheckpointError` if the tokenizer or `parts.splice` does not fit.
    """
    config, base = parts.config, parts.base
    tokenizer = copy.deepcopy(parts.processor.tokenizer)
    rows, width = base.get_input_embeddings().get_parameter("weight").shape
    vocabulary = region_vocabulary(config, tokenizer, rows)
    pointer = RegionPointer(width) if config.vocabulary.kind == "dynamic" else None
    splice = RegionSplice(vocabulary, width, pointer)
    if not fresh:
        _fill(splice, parts)
    chat = replace(parts.family.chat, **config.chat)
    if chat.stop not in tokenizer.get_vocab():
        raise CheckpointError(
            f"the tokenizer has no {chat.stop!r}, which ends a turn of {config.family}; "
            "say in `chat` what does"
        )
    model = RegionModel(
        base,
        PromptBuilder(tokenizer, vocabulary, replace(chat, region_slots=pointer is None)),
        splice,
        parts.encoder,
        parts.family,
        auxiliary=parts.auxiliary,  # type: ignore[arg-type]
        proposer=proposer,
    )
    for part in model.children():
        if part is not base:
            part.eval().requires_grad_(False)
    return model


def stored_parts(model: RegionModel, parts: Parts) -> Parts:
    """What a checkpoint stores of a model now. parts: those it was composed of.

    Raises `CheckpointError` if one of them has no description from which it could be made again.
    """
    if parts.config.auxiliary == GIVEN:
        raise CheckpointError(
            "the auxiliary encoder was given as a module, which a config.json cannot describe; "
            "attach it by an AuxiliaryConfig to save the model"
        )
    own = {key: value.detach() for key, value in model.splice.state_dict().items() if value.numel()}
    return replace(parts, splice=own)


def region_vocabulary(
    config: AttachedConfig, tokenizer: PreTrainedTokenizerBase, rows: int
) -> RegionVocabulary:
    """The region tokens: the base's own if its tokenizer has them, else added. rows: of the base's table."""
    known = tokenizer.get_vocab()
    most = max(known.values()) + 1
    if most > rows:
        raise CheckpointError(
            f"the tokenizer has {most} tokens, but the base's embedding table only {rows} rows; give the "
            f"tokenizer that belongs to the base, or call base.resize_token_embeddings({most}) first"
        )
    if region_name(0) in known:
        return RegionVocabulary.within(tokenizer, config.vocabulary.capacity, rows)
    return RegionVocabulary.extend(tokenizer, config.vocabulary.capacity, image_slot=False)


def _fill(splice: nn.Module, parts: Parts) -> None:
    # Rows that the base has itself are empty here, and an empty tensor is not stored.
    empty = {key: value for key, value in splice.state_dict().items() if not value.numel()}
    try:
        splice.load_state_dict(empty | {key: value.float() for key, value in parts.splice.items()})
    except RuntimeError as error:
        raise CheckpointError(f"the rows of added tokens do not fit: {error}") from error
