"""`Writer`: lets transformers write text with a `Llama`."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from fo1.vlm.llama import Llama


class Writer(PreTrainedModel, GenerationMixin):
    """A `Llama` as transformers' `generate` wants one. Greedy or sampled, with beams, rules and all."""

    _supports_sdpa = True

    def __init__(self, llama: Llama) -> None:
        super().__init__(llama.config)
        self.llama = llama
        if llama.generation_config is not None:
            self.generation_config = llama.generation_config

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool = True,
        logits_to_keep: int = 0,
        return_dict: bool = True,
    ) -> CausalLMOutputWithPast:
        """See `Llama.forward`."""
        out: CausalLMOutputWithPast = self.llama(
            input_ids,
            logits_to_keep,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
        )
        return out
