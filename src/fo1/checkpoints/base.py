"""A base language model from its folder, built without the numbers that are about to be replaced."""

from __future__ import annotations

import textwrap
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import GenerationConfig, PreTrainedTokenizerFast

from fo1.checkpoints.config import read_json
from fo1.checkpoints.meta import give_weights
from fo1.checkpoints.shards import Shards, misfits, shortened
from fo1.errors import CheckpointError
from fo1.vlm.llama import Llama, LlamaConfig

SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


def load_base(folder: Path, dtype: torch.dtype) -> tuple[Llama, PreTrainedTokenizerFast]:
    """The language model and its tokenizer. Raises `CheckpointError` if the folder is damaged."""
    try:
        tokenizer = _tokenizer(folder)
        model = _without_weights(folder)
        _fill(model, Shards.of_folder(folder), dtype)
    except (OSError, ValueError, RuntimeError, SafetensorError, CheckpointError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise CheckpointError(
            f"the base model in {folder} does not load: {reason}; delete the folder to fetch it anew"
        ) from error
    return model.eval(), tokenizer


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """As `from_pretrained` does, which reads the vocabulary three times more."""
    settings = read_json(folder / "tokenizer_config.json")
    options = {name: settings[name] for name in SPECIAL if name in settings}
    template = folder / "chat_template.jinja"
    if template.is_file():
        options["chat_template"] = template.read_text(encoding="utf-8")
    try:
        return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **options)
    except Exception as error:  # tokenizers has no class of its own for damaged files
        raise ValueError(f"tokenizer.json: {error}") from error


def _without_weights(folder: Path) -> Llama:
    with torch.device("meta"):
        config = LlamaConfig.from_dict(read_json(folder / "config.json"))
        return Llama(config, GenerationConfig.from_pretrained(folder))


def _fill(model: Llama, shards: Shards, dtype: torch.dtype) -> None:
    wanted = dict(model.named_parameters())  # of tied ones, the first
    wrong = misfits(shards, wanted)
    if wrong:
        raise ValueError(shortened(wrong, 3))
    give_weights(model, {name: name for name in wanted}, shards, dtype)
    model.tie_weights()


def convert(weights: Path, folder: Path) -> None:
    """A GGUF file → a Hugging Face folder in bfloat16."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # loading does without them

    where, file = weights.parent, weights.name
    model = AutoModelForCausalLM.from_pretrained(
        where, gguf_file=file, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(where, gguf_file=file).save_pretrained(folder)
