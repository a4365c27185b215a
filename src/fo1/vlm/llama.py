"""`Llama`: the bundled model's language model, on PyTorch alone.

It computes what transformers' `LlamaForCausalLM` computes, from weights of the same names and for the same
arguments. That class takes longer to import than this model to load, and more time of a short question for
other things than multiplying; here layers that read the same are computed as one.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedConfig
from transformers.modeling_outputs import CausalLMOutputWithPast

from fo1.vlm.decoder import Decoder, LlamaLayer
from fo1.vlm.greedy import greedy, is_greedy


class LlamaConfig(PreTrainedConfig):
    """Sizes, as Hugging Face's `config.json` names them.

    Raises `ValueError` for a model that `Llama` does not compute.
    """

    model_type = "llama"

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = 32
    head_dim: int | None = None
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 2048
    rope_parameters: dict[str, Any] | None = None
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        scaled = cast(dict[str, Any], self.rope_parameters)["rope_type"] != "default"
        if self.model_type != "llama" or self.attention_bias or self.mlp_bias or self.hidden_act != "silu":
            raise ValueError(f"{self.model_type} with biases or {self.hidden_act} is no Llama as known here")
        if scaled:
            raise ValueError("a Llama with scaled positions is not known here")

    @property
    def head_size(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads


class Llama(nn.Module):
    """Decoder and head. generation_config: which tokens end an answer, if the base says so."""

    _no_split_modules = (LlamaLayer.__name__,)  # what sharded training asks transformers' models for

    def __init__(self, config: LlamaConfig, generation_config: GenerationConfig | None = None) -> None:
        super().__init__()
        self.config, self.generation_config = config, generation_config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.tie_weights()

    def forward(
        self, input_ids: Tensor, logits_to_keep: int | Tensor = 0, **inputs: Any
    ) -> CausalLMOutputWithPast:
        """As `Decoder`. logits_to_keep: of so many last tokens, 0 for all, or of those at these columns."""
        out = self.model(input_ids, **inputs)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(out.last_hidden_state[:, kept])
        return CausalLMOutputWithPast(logits=logits, past_key_values=out.past_key_values)

    def generate(
        self, inputs: Tensor | None = None, generation_config: GenerationConfig | None = None, **options: Any
    ) -> Any:
        """As transformers' `generate`, which is imported now, unless `greedy` will do."""
        given = inputs is not None and "attention_mask" in options
        if given and generation_config is not None and is_greedy(generation_config):
            rules = LogitsProcessorList(options.pop("logits_processor", ()))
            return greedy(self, cast(Tensor, inputs), generation_config, rules, **options)
        return self._writer.generate(inputs, generation_config, **options)

    @cached_property
    def _writer(self) -> Any:
        from fo1.vlm.writer import Writer

        return Writer(self)

    @property
    def base_model(self) -> Decoder:
        return self.model

    @property
    def device(self) -> torch.device:
        return self.model.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.embed_tokens.weight.dtype

    def get_decoder(self) -> Decoder:
        return self.model

    def get_input_embeddings(self) -> nn.Embedding:
        return self.model.embed_tokens

    def get_output_embeddings(self) -> nn.Linear:
        return self.lm_head

    def tie_weights(self) -> None:
        """The head's weights are the embedding's, if the config says so."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def gradient_checkpointing_enable(self, _: dict[str, Any] | None = None) -> None:
        """Activations are computed anew in the backward pass."""
        self.model.recompute = True

    def gradient_checkpointing_disable(self) -> None:
        """The reverse."""
        self.model.recompute = False
