"""Released VLM-FO1 checkpoints, read as they are: nothing is converted on disk, nothing held twice."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
)

from fo1.checkpoints.attached import Parts, load_processor, make_family, make_plugin, shapes
from fo1.checkpoints.attached_config import AttachedConfig
from fo1.checkpoints.meta import give_weights
from fo1.checkpoints.released_config import ReleasedConfig
from fo1.checkpoints.renaming import Part, ours_to_released
from fo1.checkpoints.shards import Shards, misfits, shortened
from fo1.errors import CheckpointError
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
    wanted = released_shapes(modules)
    wrong = misfits(shards, wanted)
    if wrong:
        raise CheckpointError(f"{folder} is no complete released checkpoint: {shortened(wrong)}")
    processor = load_processor(folder, config.model.pixels, Qwen2Tokenizer)
    for part, module in modules.items():
        names = {key: ours_to_released(part, key) for key in stored_shapes(module)}
        give_weights(module, names, shards, dtype)
        module.eval()
    base.tie_weights()
    if (folder / "generation_config.json").is_file():
        base.generation_config = GenerationConfig.from_pretrained(folder)
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


def stored_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors that a checkpoint stores of a part; a tied output head is not stored."""
    stored = shapes(module)
    if isinstance(module, Qwen2_5_VLForConditionalGeneration) and module.config.tie_word_embeddings:
        stored.pop(HEAD)
    return stored


def released_shapes(modules: dict[Part, nn.Module]) -> dict[str, tuple[int, ...]]:
    """Every tensor of a released checkpoint of these parts, by its released key."""
    return {
        ours_to_released(part, key): shape
        for part, module in modules.items()
        for key, shape in stored_shapes(module).items()
    }
