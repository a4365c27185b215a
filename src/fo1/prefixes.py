"""What all prompts about an image begin with: read by the base once, then every prompt goes on from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import DynamicCache

from fo1.model import Begun, Encoded, RegionModel


@dataclass(frozen=True)
class Reading:
    """A batch of prompts as the base is given it.

    ids: (B, T), padded on the left; without what was read before, if anything was.
    inputs: keyword arguments of the base's `generate`, the mask over all tokens among them.
    """

    ids: Tensor
    inputs: dict[str, Any]


def begin(model: RegionModel, shown: Encoded, ids: Sequence[int]) -> Begun:
    """The beginning of prompts about one image, read now or before. The caller holds `model.lock`.

    It begins with the image and its regions, and text may follow. It stays with `shown` as long as that
    lives: two numbers (key and value) per layer, token and width of the base's key-value heads. That is 2 MiB
    for a photo with 80 regions in `fo1-smol`, and 36 KiB a token in Qwen2.5-VL-3B, in half precision.
    """
    key, begun = tuple(ids), shown.begun
    if key not in begun:
        longer = next((one for known, one in begun.items() if known[: len(key)] == key), None)
        shorter = next((one for known, one in begun.items() if key[: len(known)] == known), None)
        begun[key] = _read(model, shown, key, shorter) if longer is None else longer.until(len(key))
        if shorter is not None:
            begun[shorter.ids] = begun[key].until(len(shorter.ids))  # so that it is kept once
    return begun[key]


def _read(model: RegionModel, shown: Encoded, ids: tuple[int, ...], before: Begun | None) -> Begun:
    """before: the first of these tokens, with the image among them, read already."""
    tokens = torch.tensor([ids[len(before.ids) :] if before else ids], device=model.device)
    if before is None:
        positions = model.family.positions(tokens[0], shown.sight)
        cache, sights = DynamicCache(config=model.base.config.get_text_config()), [shown.sight]
    else:
        after = torch.arange(tokens.shape[1], device=model.device)
        positions = (before.following + after).expand(before.axes, -1)
        cache, sights = before.cache(), []
    with model.bound([shown]):
        model.base.base_model(  # without its head: nothing is written here
            input_ids=tokens,
            position_ids=batched(positions[:, None]),
            past_key_values=cache,
            use_cache=True,
            **model.family.inputs(tokens, sights),
        )
    return Begun(ids, cache, int(positions.max()) + 1, len(positions))


def batched(positions: Tensor) -> Tensor:
    """(A, B, T) → what bases take: without the axes, if there is one."""
    return positions if len(positions) > 1 else positions[0]


def reading(
    model: RegionModel, prompts: Sequence[Sequence[int]], shown: Sequence[Sequence[Encoded]], beams: int = 1
) -> Reading:
    """Prompts of any lengths, and the images in each, as one batch.

    If each is about one image, with which it begins, only what follows the regions is left to be read. Not
    so in a family that cannot go on from what it has read (see `VLMFamily.reads_trees`).
    """
    stop = model.prompts.stop_id
    begun: list[Begun] = []
    if all(len(row) == 1 for row in shown):
        known = (beginning(model, ids, one) for ids, (one,) in zip(prompts, shown, strict=True))
        begun = [one for one in known if one is not None]
    if len(begun) < len(prompts):
        ids, real = (rows.to(model.device) for rows in _padded(prompts, stop))
        sights = [one.sight for row in shown for one in row]
        return Reading(ids, {"attention_mask": real, **model.family.inputs(ids, sights)})
    ids, real = _padded([prompt[len(one.ids) :] for prompt, one in zip(prompts, begun, strict=True)], stop)
    ids, (_, before) = ids.to(model.device), _padded([one.ids for one in begun], stop)
    positions = (real.cumsum(dim=1) - 1).clamp(min=0) + torch.tensor([[one.following] for one in begun])
    inputs = {
        "attention_mask": torch.cat([before, real], dim=1).to(model.device),
        "position_ids": batched(positions.expand(begun[0].axes, -1, -1)).to(model.device),
        "past_key_values": together(begun, beams),
    }
    return Reading(ids, {**model.family.inputs(ids, []), **inputs})


def beginning(model: RegionModel, prompt: Sequence[int], shown: Encoded) -> Begun | None:
    """What a prompt about one image begins with, read; None if with something else, or if the base cannot
    go on from there."""
    start = model.prompts.prefix(shown.sight.ids, len(shown.regions))
    follows = len(prompt) > len(start) and list(prompt[: len(start)]) == start
    return begin(model, shown, start) if follows and model.family.reads_trees else None


def _padded(rows: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """(B, T) ids with padding on the left, and (B, T) 1 where there is none."""
    longest = max(len(row) for row in rows)
    ids = [[padding] * (longest - len(row)) + list(row) for row in rows]
    real = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(real)


def together(begun: Sequence[Begun], beams: int = 1) -> DynamicCache:
    """One cache of all rows, padded on the left, each repeated for its beams."""
    if len(begun) == beams == 1:
        return begun[0].cache()
    longest = max(len(one.ids) for one in begun)

    def stacked(parts: Sequence[Tensor]) -> Tensor:  # each (1, heads, tokens, width)
        padded = [F.pad(part, (0, 0, longest - part.shape[2], 0)) for part in parts]
        rows = torch.cat(padded)
        return rows if beams == 1 else rows.repeat_interleave(beams, dim=0)

    cache = begun[0].cache()
    for number, layer in enumerate[Any](cache.layers):
        rows: list[Any] = [one.kept.layers[number] for one in begun]
        layer.keys = stacked([row.keys for row in rows])
        layer.values = stacked([row.values for row in rows])
    return cache
