"""`Base`: a language model that reads regions, of transformers or the bundled one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # transformers' models take longer to import than the bundled one to load
    from transformers import PreTrainedModel

    from fo1.vlm.llama import Llama

Base: TypeAlias = "PreTrainedModel | Llama"
