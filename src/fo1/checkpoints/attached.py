"""Region encoders attached to a vision-language model, on disk.

A folder with `config.json`, the base as a plain Hugging Face folder, and a file each for the region encoder,
the auxiliary encoder and the rows of added tokens.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from fo1.checkpoints.attached_config import AttachedConfig, AuxiliaryConfig, RegionsConfig
from fo1.checkpoints.meta import give_weights
from fo1.checkpoints.shards import Shards, misfits, shortened, write_file
from fo1.encoders.known import ENCODERS
from fo1.errors import CheckpointError
from fo1.regions.branches import Branch, LevelBranch, PyramidBranch
from fo1.regions.connector import Connector
from fo1.regions.encoder import HybridRegionEncoder
from fo1.vlm.family import VLMFamily
from fo1.vlm.known import FAMILIES

WITHOUT_BUFFERS = ("davit", "davit-base", "davit-large")
ENCODER, AUXILIARY, SPLICE = "encoder.safetensors", "auxiliary.safetensors", "splice.safetensors"


@dataclass(frozen=True)
class Processor:
    """The two parts of a Hugging Face processor that families use; a whole one may need torchvision."""

    tokenizer: PreTrainedTokenizerBase
    image_processor: Any


@dataclass(frozen=True)
class Parts:
    """What a region model is composed of, with weights; frozen and in eval mode.

    auxiliary: the auxiliary vision encoder, if any. encoder: the region encoder. splice: rows of added tokens
    that the base does not hold, by their key in `RegionSplice`.
    """

    config: AttachedConfig
    base: PreTrainedModel
    processor: Processor
    family: VLMFamily
    auxiliary: nn.Module | None
    encoder: HybridRegionEncoder
    splice: dict[str, Tensor]


def make_family(config: AttachedConfig, base: PreTrainedModel, processor: Processor | None) -> VLMFamily:
    """How the base sees. Without a processor it only knows its widths.

    Raises `RegistryError` for an unknown family.
    """
    factory = FAMILIES.get(config.family)
    try:
        return factory(base, processor, **config.family_options)
    except TypeError as error:
        raise CheckpointError(f"family_options do not suit {config.family}: {error}") from error


def make_auxiliary(config: AuxiliaryConfig) -> nn.Module | None:
    """The auxiliary encoder with fresh weights.

    Raises `RegistryError` for an unknown one, `CheckpointError` for options it does not take.
    """
    if config.kind == "none":
        return None
    factory = ENCODERS.get(config.kind)
    try:
        encoder = factory(**config.options)
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise CheckpointError(f"auxiliary does not describe a {config.kind}: {error}") from error
    if not isinstance(encoder, nn.Module):
        raise CheckpointError(f"auxiliary encoder {config.kind} is no torch module with weights to load")
    return encoder


def make_encoder(
    config: RegionsConfig, primary: Sequence[int], auxiliary: Sequence[int], width: int
) -> HybridRegionEncoder:
    """A region encoder with fresh weights.

    primary, auxiliary: channels of the two encoders' maps; no auxiliary ones if there is no such encoder.
    width: of the language model.
    """
    first: Branch = (
        PyramidBranch(primary[-1], config.pyramid_width, config.bins)
        if config.pyramid
        else LevelBranch(primary, config.bins)
    )
    second = LevelBranch(auxiliary, config.bins, resize_to_first=True) if auxiliary else None
    try:
        inputs = HybridRegionEncoder.connector_width(
            config.fusion, first.out_channels, second.out_channels if second else 0
        )
    except ValueError as error:
        raise CheckpointError(f"regions do not describe a region encoder: {error}") from error
    return HybridRegionEncoder(first, second, Connector(inputs, config.hidden, width), config.fusion)


def make_plugin(config: AttachedConfig, family: VLMFamily) -> tuple[nn.Module | None, HybridRegionEncoder]:
    """Auxiliary and region encoder, to be given weights, for the widths that family and config imply."""
    width = family.base.get_input_embeddings().get_parameter("weight").shape[1]
    # Other encoders may compute buffers when they are made, which nothing could restore.
    light = config.auxiliary.kind in WITHOUT_BUFFERS
    with torch.device("meta" if light else "cpu"):
        auxiliary = make_auxiliary(config.auxiliary)
    channels: Sequence[int] = () if auxiliary is None else auxiliary.channels  # type: ignore[assignment]
    with torch.device("meta"):
        return auxiliary, make_encoder(config.regions, family.channels, channels, width)


def load_attached_parts(folder: Path, dtype: torch.dtype) -> Parts:
    """The parts of a stored model, in `dtype`. Raises `CheckpointError` listing what does not fit."""
    config = AttachedConfig.read(folder)
    source = base_source(config, folder)
    base = _load_base(source, dtype)
    if base.config.model_type != config.family:
        raise CheckpointError(f"the base is a {base.config.model_type}, not a {config.family}")
    processor = load_processor(source, config.pixels)
    family = make_family(config, base, processor)
    auxiliary, encoder = make_plugin(config, family)
    fill(encoder, folder / ENCODER, dtype)
    if auxiliary is not None:
        fill(auxiliary, folder / AUXILIARY, dtype)
    rows = Shards([folder / SPLICE]) if (folder / SPLICE).is_file() else None
    splice = {key: rows.load(key).clone() for key in rows} if rows else {}
    return Parts(config, base, processor, family, auxiliary, encoder, splice)


def save_attached(folder: Path, parts: Parts, with_base: bool = True) -> None:
    """Writes the parts, each tensor in its own dtype, into an existing folder.

    with_base: also the base, to the folder that `config.base` names; leave out a base that stays on a hub.
    """
    write_file(folder / ENCODER, dict(parts.encoder.state_dict()))
    if parts.auxiliary is not None:
        write_file(folder / AUXILIARY, dict(parts.auxiliary.state_dict()))
    if parts.splice:
        write_file(folder / SPLICE, parts.splice)
    if with_base:
        base = folder / parts.config.base
        parts.base.save_pretrained(base)
        parts.processor.tokenizer.save_pretrained(base)
        parts.processor.image_processor.save_pretrained(base)
    parts.config.write(folder)


def base_source(config: AttachedConfig, folder: Path) -> Path | str:
    """The base's folder, or its hub id where the checkpoint holds no such folder."""
    inside = folder / config.base
    return inside if inside.is_dir() else config.base


def load_processor(
    source: Path | str,
    pixels: tuple[int, int] | None,
    kind: type[AutoTokenizer] | type[PreTrainedTokenizerBase] = AutoTokenizer,
) -> Processor:
    """Tokenizer and image processor of a Hugging Face folder.

    pixels: least and most of an image. kind: the tokenizer's class, where the folder's config cannot tell.
    The image processor is the one that computes with Pillow: torchvision's resizes slightly differently, and
    answers are to be the same everywhere.
    Raises `CheckpointError` if one is missing or damaged.
    """
    limits = {} if pixels is None else dict(zip(("min_pixels", "max_pixels"), pixels, strict=True))
    try:
        tokenizer = kind.from_pretrained(source)
        images = AutoImageProcessor.from_pretrained(source, backend="pil", **limits)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"the processor in {source} does not load: {_brief(error)}") from error
    return Processor(tokenizer, images)


def fill(module: nn.Module, file: Path, dtype: torch.dtype) -> None:
    """Gives a module on the meta device a file's weights. Raises `CheckpointError` if they do not fit."""
    shards = Shards([file])
    wanted = module.state_dict()
    wrong = misfits(shards, wanted)
    if wrong:
        raise CheckpointError(f"{file} does not fit its config: {shortened(wrong)}")
    give_weights(module, {key: key for key in wanted}, shards, dtype)
    module.eval()


def _load_base(source: Path | str, dtype: torch.dtype) -> PreTrainedModel:
    try:
        base = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"the base model {source} does not load: {_brief(error)}") from error
    return base.eval().requires_grad_(False)


def _brief(error: Exception) -> str:
    return textwrap.shorten(str(error), 300)
