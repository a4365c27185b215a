"""Released VLM-FO1 checkpoints, read as they are: nothing is converted on disk or held twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
)

from fo1.checkpoints.attached import Parts, load_processor, make_family, make_plugin
from fo1.checkpoints.attached_config import AttachedConfig
from fo1.checkpoints.meta import give_weights
from fo1.checkpoints.released_config import ReleasedConfig
from fo1.checkpoints.renaming import Part, ours_to_released
from fo1.checkpoints.shards import Shards, misfits, shortened
from fo1.errors import CheckpointError
from fo1.prompts.vocabulary import TAGS, region_name
from fo1.regions.encoder import HybridRegionEncoder

HEAD = "lm_head.weight"


def load_parts(folder: Path, dtype: torch.dtype) -> Parts:
    """The parts of a released checkpoint, in `dtype`.

    Everything is checked by the headers of the shards before the first tensor is read.
    Raises `CheckpointError` listing missing, extra and misshapen tensors, or naming what the config should
    say.
    """
    shards = Shards.of_folder(folder)
    config = ReleasedConfig.read(folder, {key: stored.shape for key, stored in shards.items()})
    base, auxiliary, encoder = skeleton(config.base, config.model)
    modules: dict[Part, nn.Module] = {"base": base, "auxiliary": auxiliary, "encoder": encoder}
    wanted = released_state(modules)
    wrong = misfits(shards, wanted)
    if wrong:
        raise CheckpointError(f"{folder} is no complete released checkpoint: {shortened(wrong)}")
    processor = load_processor(folder, config.model.pixels, Qwen2Tokenizer)
    _check_tokenizer(folder, processor.tokenizer, config)
    for part, module in modules.items():
        names = {ours_to_released(part, key): key for key in stored_state(module)}
        give_weights(module, names, shards, dtype)
        module.eval()
    base.tie_weights()
    if (folder / "generation_config.json").is_file():
        stored = GenerationConfig.from_pretrained(folder)
        # Its sampling settings are not ours, and transformers would complain of them at every answer.
        base.generation_config = GenerationConfig(
            **{key: getattr(stored, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        )
    family = make_family(config.model, base, processor)
    return Parts(config.model, base, processor, family, auxiliary, encoder, {})


def skeleton(
    base: Qwen2_5_VLConfig, config: AttachedConfig
) -> tuple[Qwen2_5_VLForConditionalGeneration, nn.Module, HybridRegionEncoder]:
    """The three parts on the meta device: shapes, no numbers."""
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(base)
    auxiliary, encoder = make_plugin(config, make_family(config, model, None))
    if auxiliary is None:
        raise CheckpointError("the released format needs an auxiliary encoder")
    return model, auxiliary, encoder


def _check_tokenizer(folder: Path, tokenizer: PreTrainedTokenizerBase, config: ReleasedConfig) -> None:
    """A Qwen tokenizer without its files loads, but knows nothing. Raises `CheckpointError`."""
    regions = (region_name(index) for index in range(config.model.vocabulary.capacity))
    known, rows = tokenizer.get_vocab(), config.base.get_text_config().vocab_size
    absent = [word for word in (*regions, *TAGS) if known.get(word, rows) >= rows]
    if absent:
        raise CheckpointError(f"the tokenizer in {folder} lacks {shortened(absent, 3)}")


def stored_state(module: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint stores of a part; not an output head that is tied."""
    state = dict(module.state_dict())
    if isinstance(module, Qwen2_5_VLForConditionalGeneration) and module.config.tie_word_embeddings:
        del state[HEAD]
    return state


def released_state(modules: Mapping[Part, nn.Module]) -> dict[str, Tensor]:
    """Every tensor of a released checkpoint of these parts, by its released key."""
    return {
        ours_to_released(part, key): value
        for part, module in modules.items()
        for key, value in stored_state(module).items()
    }
