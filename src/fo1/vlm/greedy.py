"""`greedy`: the likeliest token at every step, for a batch of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList

if TYPE_CHECKING:
    from fo1.vlm.llama import Llama


def greedy(
    base: Llama,
    ids: Tensor,
    settings: GenerationConfig,
    rules: LogitsProcessorList,
    attention_mask: Tensor,
    position_ids: Tensor | None = None,
    past_key_values: DynamicCache | None = None,
) -> Tensor:
    """Prompts (B, T), padded on the left, and what follows, as transformers' `generate` returns them.

    settings: of them the limit and the ids of ends and padding. rules: what is done with the scores.
    attention_mask: (B, S), position_ids: (B, T), past_key_values: see `Decoder.forward`.
    """
    places = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    places = places if position_ids is None else position_ids
    cache = DynamicCache() if past_key_values is None else past_key_values
    ends = torch.tensor(settings.eos_token_id, device=ids.device)
    new, mask, ended = ids, attention_mask, torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    for _ in range(cast(int, settings.max_new_tokens)):
        scores = base(
            new, attention_mask=mask, position_ids=places, past_key_values=cache, logits_to_keep=1
        ).logits[:, -1]
        token = rules(ids, scores.float()).argmax(dim=-1)  # type: ignore[arg-type]
        token = token.masked_fill(ended, cast(int, settings.pad_token_id))
        ids = torch.cat([ids, token[:, None]], dim=1)
        ended = ended | torch.isin(token, ends)
        if ended.all():
            break
        new, places = token[:, None], places[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return ids


def is_greedy(settings: GenerationConfig) -> bool:
    """Is that all that `generate` is asked for, and all known that `greedy` needs?"""
    others = settings.do_sample, settings.return_dict_in_generate, settings.no_repeat_ngram_size
    plain = {settings.num_beams, settings.repetition_penalty} <= {None, 1} and not any(others)
    return plain and None not in (settings.max_new_tokens, settings.eos_token_id, settings.pad_token_id)
