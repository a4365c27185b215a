"""`Decoder`: the layers of a Llama (arXiv 2302.13971, with keys shared by heads: 2305.13245)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast

if TYPE_CHECKING:
    from fo1.vlm.llama import LlamaConfig


class Beside(nn.Module):
    """The outputs of linear layers without biases that read the same, side by side."""

    def forward(self, x: Tensor, *layers: nn.Module) -> Tensor:
        return torch.cat([layer(x) for layer in layers], dim=-1)


class Attention(nn.Module):
    """Causal attention; each key and value serves several heads that ask. number: of the layer."""

    def __init__(self, config: LlamaConfig, number: int) -> None:
        super().__init__()
        width, size, self.number = config.hidden_size, config.head_size, number
        self.heads, self.shared, self.size = config.num_attention_heads, config.num_key_value_heads, size
        self.beside = Beside()
        self.q_proj = nn.Linear(width, self.heads * size, bias=False)
        self.k_proj = nn.Linear(width, self.shared * size, bias=False)
        self.v_proj = nn.Linear(width, self.shared * size, bias=False)
        self.o_proj = nn.Linear(self.heads * size, width, bias=False)

    def forward(
        self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None, cache: DynamicCache | None
    ) -> Tensor:
        """x: (B, T, D). turn: see `_turn`. mask: see `_grouped`."""
        batch, length, _ = x.shape
        made = self.beside(x, self.q_proj, self.k_proj, self.v_proj).view(batch, length, -1, self.size)
        turned = made[:, :, : -self.shared]
        turned = turned * turn[0] + turned.roll(self.size // 2, -1) * turn[1]
        keys = turned[:, :, self.heads :].transpose(1, 2)
        values = made[:, :, -self.shared :].transpose(1, 2)
        if cache is not None:
            keys, values = cache.update(keys, values, self.number)
        # Heads that share keys ask as if they were further tokens, so that keys need not be repeated.
        asked = turned[:, :, : self.heads].reshape(batch, length, self.shared, -1, self.size)
        asked = asked.permute(0, 2, 3, 1, 4).reshape(batch, self.shared, -1, self.size)
        told = F.scaled_dot_product_attention(asked, keys, values, attn_mask=mask)
        told = told.reshape(batch, self.heads, length, self.size).transpose(1, 2)
        return cast(Tensor, self.o_proj(told.reshape(batch, length, -1)))


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.beside = Beside()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.beside(x, self.gate_proj, self.up_proj).chunk(2, dim=-1)
        return cast(Tensor, self.down_proj(F.silu(gate) * up))


class LlamaLayer(nn.Module):
    """Attention, then the same for each token alone; each adds to what it reads."""

    def __init__(self, config: LlamaConfig, number: int) -> None:
        super().__init__()
        self.self_attn = Attention(config, number)
        self.mlp = MLP(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None, cache: DynamicCache | None
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turn, mask, cache)
        return cast(Tensor, x + self.mlp(self.post_attention_layernorm(x)))


class Decoder(nn.Module):
    """Embedding, layers, norm. recompute: the layers' activations, in the backward pass, unless
    a cache is kept."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config, self.recompute = config, False
        # Empty: to draw random numbers on the meta device, torch imports its compiler.
        table = torch.empty(config.vocab_size, config.hidden_size)
        self.embed_tokens = nn.Embedding.from_pretrained(table, freeze=False)
        self.layers = nn.ModuleList(LlamaLayer(config, number) for number in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: DynamicCache | None = None,
        use_cache: bool = False,
    ) -> BaseModelOutputWithPast:
        """input_ids: (B, T).

        attention_mask: of S tokens, those in the cache first; (B, S) 0 for padding, or (B, 1, T, S) to add.
        position_ids: (B, T); by default tokens are counted, padding too.
        past_key_values: read and added to. use_cache: begin one if there is none.
        """
        cache = DynamicCache() if use_cache and past_key_values is None else past_key_values
        before = 0 if cache is None else cache.get_seq_length()
        x = self.embed_tokens(input_ids)
        if position_ids is None:
            position_ids = torch.arange(before, before + x.shape[1], device=x.device)[None]
        mask = _grouped(attention_mask, x, before, self.config)
        turn = _turn(position_ids, self.config, x.dtype)
        for layer in self.layers:
            if self.recompute and cache is None and torch.is_grad_enabled():
                x = checkpoint(layer, x, turn, mask, cache, use_reentrant=False)
            else:
                x = layer(x, turn, mask, cache)
        return BaseModelOutputWithPast(last_hidden_state=self.norm(x), past_key_values=cache)


def _turn(positions: Tensor, config: LlamaConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine by which rotary embeddings turn pairs of numbers, (B, T, 1, size) each.

    A pair's numbers stand half the size apart. So the sine is for what was rolled by that; the first half's
    is negative.
    """
    theta: float = cast(dict[str, Any], config.rope_parameters)["rope_theta"]
    steps = torch.arange(0, config.head_size, 2, device=positions.device).float() / config.head_size
    angles = positions[..., None].float() * (1 / theta**steps)
    cosine, sine = angles.cos().to(dtype), angles.sin().to(dtype)
    return torch.cat([cosine, cosine], -1)[:, :, None], torch.cat([-sine, sine], -1)[:, :, None]


def _grouped(mask: Tensor | None, x: Tensor, before: int, config: LlamaConfig) -> Tensor | None:
    """(B, 1, G · T, S) to add to the scores of G heads that share keys; None if one token may read all.

    x: (B, T, D), what is read. before: tokens in the cache. mask: see `Decoder.forward`.
    """
    length = x.shape[1]
    if mask is None or mask.ndim == 2:
        whole = mask is None or bool(mask.all())
        if whole and length == 1:
            return None
        allowed = torch.ones(length, before + length, dtype=torch.bool, device=x.device).tril(before)[None]
        if not whole:
            allowed = allowed & cast(Tensor, mask)[:, None].bool()
        mask = x.new_zeros(allowed.shape).masked_fill_(~allowed, torch.finfo(x.dtype).min)[:, None]
    return mask.repeat(1, 1, config.num_attention_heads // config.num_key_value_heads, 1)
