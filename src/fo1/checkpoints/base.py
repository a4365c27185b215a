"""A base language model from its folder, built without the numbers that are about to be replaced."""

from __future__ import annotations

import textwrap
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GgufConfig,
    PreTrainedModel,
)
from transformers import PreTrainedTokenizerBase as Tokenizer

from fo1.checkpoints.meta import give_weights
from fo1.checkpoints.shards import Shards, misfits, shortened
from fo1.errors import CheckpointError


def load_base(folder: Path, dtype: torch.dtype) -> tuple[PreTrainedModel, Tokenizer]:
    """The language model and its tokenizer. Raises `CheckpointError` if the folder is damaged."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = _without_weights(folder, dtype)
        _fill(model, Shards.of_folder(folder), dtype)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise CheckpointError(
            f"the base model in {folder} does not load: {reason}; delete the folder to fetch it anew"
        ) from error
    return model.eval(), tokenizer


def _without_weights(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            AutoConfig.from_pretrained(folder), dtype=dtype
        )
    model.generation_config = GenerationConfig.from_pretrained(folder)
    return model


def _fill(model: PreTrainedModel, shards: Shards, dtype: torch.dtype) -> None:
    """As `from_pretrained` does, but without the tables of all the renamings that it knows of."""
    wanted = dict(model.named_parameters())  # of tied ones, the first
    wrong = misfits(shards, wanted)
    if wrong:
        raise ValueError(shortened(wrong, 3))
    give_weights(model, {name: name for name in wanted}, shards, dtype)
    model.tie_weights()


def convert(weights: Path, folder: Path) -> None:
    """A GGUF file → a Hugging Face folder in bfloat16."""
    where, file = weights.parent, weights.name
    model = AutoModelForCausalLM.from_pretrained(
        where, gguf_file=file, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(where, gguf_file=file).save_pretrained(folder)
