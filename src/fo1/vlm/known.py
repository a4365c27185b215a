"""The families there are, by `model_type`. Installed packages add theirs as entry points "fo1.families"."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel

from fo1.errors import RegistryError
from fo1.registry import Registry
from fo1.vlm.families.gemma3 import Gemma3
from fo1.vlm.families.idefics3 import Idefics3
from fo1.vlm.families.internvl import InternVL
from fo1.vlm.families.llava_onevision import LlavaOnevision
from fo1.vlm.families.mistral3 import Mistral3
from fo1.vlm.families.paligemma import PaliGemma
from fo1.vlm.families.qwen2_5_vl import Qwen2_5VL
from fo1.vlm.families.qwen2_vl import Qwen2VL
from fo1.vlm.families.qwen3_5 import Qwen3_5
from fo1.vlm.families.qwen3_vl import Qwen3VL
from fo1.vlm.family import VLMFamily

# Each factory takes a base and its processor.
FAMILIES: Registry[VLMFamily] = Registry("fo1.families")
BUILT_IN: tuple[type[VLMFamily], ...] = (
    Qwen2VL,
    Qwen2_5VL,
    Qwen3VL,
    Qwen3_5,
    InternVL,
    Idefics3,
    LlavaOnevision,
    Gemma3,
    Mistral3,
    PaliGemma,
)
for _family in BUILT_IN:
    for _model_type in _family.model_types:
        FAMILIES.register(_model_type)(_family)


def family_for(base: PreTrainedModel, processor: Any) -> VLMFamily:
    """The family of a loaded base. Raises `RegistryError` for a `model_type` that none serves."""
    model_type, known = base.config.model_type, FAMILIES.names()
    if model_type not in known:
        raise RegistryError(
            f"no family knows how the model type {model_type!r} sees; known: {', '.join(known)}. "
            "docs/families.md says how to add one"
        )
    return FAMILIES.get(model_type)(base, processor)
