"""Parts of a vision-language model with a region encoder → `RegionModel`."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn
from transformers import PreTrainedTokenizerBase

from fo1.checkpoints.attached import Parts
from fo1.checkpoints.attached_config import AttachedConfig
from fo1.errors import CheckpointError
from fo1.model import RegionModel
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.vocabulary import RegionVocabulary, region_name
from fo1.proposals.proposer import Proposer
from fo1.vlm.pointer import RegionPointer
from fo1.vlm.splice import RegionSplice


def compose(parts: Parts, proposer: Proposer | None = None) -> RegionModel:
    """The model. A released base holds the region tokens' rows itself; else `parts.splice` does.

    The tokenizer that was given is not changed. Raises `CheckpointError` if `parts.splice` does not fit.
    """
    config, base = parts.config, parts.base
    tokenizer = copy.deepcopy(parts.processor.tokenizer)
    rows, width = base.get_input_embeddings().get_parameter("weight").shape
    vocabulary = _vocabulary(config, tokenizer, rows, own=bool(parts.splice))
    pointer = RegionPointer(width) if config.vocabulary.kind == "dynamic" else None
    splice = RegionSplice(vocabulary, width, pointer)
    if parts.splice:
        _fill(splice, parts)
    chat = replace(parts.family.chat, **config.chat)
    model = RegionModel(
        base,
        PromptBuilder(tokenizer, vocabulary, replace(chat, region_slots=pointer is None)),
        splice,
        parts.encoder,
        parts.family,
        auxiliary=parts.auxiliary,  # type: ignore[arg-type]
        proposer=proposer,
    )
    return model.eval().requires_grad_(False)


def stored_parts(model: RegionModel, parts: Parts) -> Parts:
    """What a checkpoint stores of a model now. parts: those it was composed of."""
    own = {key: value.detach() for key, value in model.splice.state_dict().items()}
    return replace(parts, splice=own if len(model.splice.input_rows) else {})


def _vocabulary(
    config: AttachedConfig, tokenizer: PreTrainedTokenizerBase, rows: int, own: bool
) -> RegionVocabulary:
    capacity = config.vocabulary.capacity
    if not own and region_name(0) in tokenizer.get_vocab():
        return RegionVocabulary.within(tokenizer, capacity, rows)
    return RegionVocabulary.extend(tokenizer, capacity)


def _fill(splice: nn.Module, parts: Parts) -> None:
    try:
        splice.load_state_dict({key: value.float() for key, value in parts.splice.items()})
    except RuntimeError as error:
        raise CheckpointError(f"the rows of added tokens do not fit: {error}") from error
