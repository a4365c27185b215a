"""The splice: puts region embeddings where the language model reads, and region scores where it writes.

It hooks one model *instance's* input embedding and output head. No class is patched, no weight of the base is
touched, and the base's own `forward` and `generate` (positions, cache, batches, beams) do the rest. While
nothing is bound, the base is exactly itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fo1.errors import PromptError
from fo1.prompts.vocabulary import RegionVocabulary
from fo1.vlm.pointer import RegionPointer


@dataclass(frozen=True)
class Bound:
    """What one batch refers to. regions[b]: (N_b, D) embeddings. images[b]: (M_b, D) image tokens."""

    regions: Sequence[Tensor]
    images: Sequence[Tensor]


class RegionSplice(nn.Module):
    """The added tokens' rows and what stands for them in a bound batch.

    width: of the language model.
    pointer: given, the region vocabulary is *dynamic*: wherever `<regionN>` stands, read or written, it means
    its region: its input is its row plus the region's embedding, its output logit is the pointer's. Without
    it, it is *static*, as released: fixed rows, and the region's embedding only at `<regionfeat>` slots.
    """

    def __init__(
        self, vocabulary: RegionVocabulary, width: int, pointer: RegionPointer | None = None
    ) -> None:
        super().__init__()
        self.vocabulary, self.pointer = vocabulary, pointer
        self.first_own = vocabulary.added.start
        self.input_rows = nn.Parameter(torch.zeros(len(vocabulary.added), width))
        self.output_rows = nn.Parameter(torch.zeros(vocabulary.size - self.first_own, width))
        self._bound: Bound | None = None
        self._ids: Tensor | None = None

    def install(self, embedding: nn.Module, head: nn.Module) -> None:
        """Hooks the input embedding and the output head of one base model."""
        embedding.register_forward_pre_hook(self._before_embedding)
        embedding.register_forward_hook(self._after_embedding)
        head.register_forward_pre_hook(self._before_head)
        head.register_forward_hook(self._after_head)

    @contextmanager
    def bound(self, regions: Sequence[Tensor], images: Sequence[Tensor]) -> Iterator[None]:
        """Within this context the base reads and writes about these regions (one entry per batch row)."""
        before, self._bound = self._bound, Bound(regions, images)
        try:
            yield
        finally:
            self._bound = before

    def _before_embedding(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor] | None:
        if self._bound is None:
            return None
        (self._ids,) = args
        return (torch.where(self._ids < self.first_own, self._ids, 0),)

    def _after_embedding(self, _: nn.Module, __: tuple[Any, ...], embedded: Tensor) -> Tensor | None:
        ids, self._ids = self._ids, None
        return None if self._bound is None or ids is None else self.splice(ids, embedded, self._bound)

    def _before_head(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor] | None:
        """The last row of a prompt's states, cut out by the base, keeps the prompt's strides; for such a
        tensor torch would copy the head's whole weight, which takes longer than reading the question."""
        if self._bound is None:
            return None
        (hidden,) = args
        return (hidden.flatten(0, -2).contiguous().unflatten(0, hidden.shape[:-1]),)

    def _after_head(self, _: nn.Module, args: tuple[Tensor], logits: Tensor) -> Tensor | None:
        if self._bound is None or not len(self.output_rows):
            return None
        (hidden,) = args
        lowest = torch.finfo(logits.dtype).min
        added = (hidden @ self.output_rows.to(hidden.dtype).T).to(logits.dtype)
        if self.pointer is not None:
            pointed = self.region_logits(hidden, self._bound).to(logits.dtype)
            added = torch.cat([pointed, added[..., self.vocabulary.capacity :]], dim=-1)
        # Who has no regions says what the base says: added words are out of the question.
        alone = [len(regions) == 0 for regions in _repeat(self._bound.regions, len(hidden))]
        if any(alone):
            rows = torch.tensor(alone, device=added.device)
            added = added.masked_fill(rows[:, None, None], lowest)
        return torch.cat([logits[..., : self.first_own], added], dim=-1)

    def region_logits(self, hidden: Tensor, bound: Bound) -> Tensor:
        """Pointer logits (B, T, capacity); regions that do not exist get the dtype's lowest value."""
        if self.pointer is None:
            raise ValueError("a static region vocabulary has no pointer")
        regions = _repeat(bound.regions, len(hidden))
        counts = torch.tensor([len(r) for r in regions], device=hidden.device)
        padded = pad_sequence(list(regions), batch_first=True).to(hidden.device)
        logits = self.pointer(hidden, padded)
        missing = torch.arange(padded.shape[1], device=hidden.device) >= counts[:, None, None]
        lowest = torch.finfo(logits.dtype).min
        full = logits.new_full((*logits.shape[:-1], self.vocabulary.capacity), lowest)
        full[..., : padded.shape[1]] = logits.masked_fill(missing, lowest)
        return full

    def splice(self, ids: Tensor, embedded: Tensor, bound: Bound) -> Tensor:
        """Replaces the embeddings of added tokens. ids: (B, T); embedded: (B, T, D) of the base's own tokens.

        Raises `PromptError` where slots and embeddings, or a region's number and the regions there are,
        disagree.
        """
        vocabulary = self.vocabulary
        own = ids >= self.first_own
        if not (own | (ids == vocabulary.region_slot)).any():
            return embedded
        out = embedded
        if own.any():
            rows = self.input_rows[(ids - self.first_own).clamp(min=0)].to(embedded.dtype)
            out = torch.where(own[..., None], rows, embedded)
        regions, images = _repeat(bound.regions, len(ids)), _repeat(bound.images, len(ids))
        pieces = [
            self._splice_row(row_ids, row, regions[b], images[b])
            for b, (row_ids, row) in enumerate(zip(ids, out, strict=True))
        ]
        return torch.stack(pieces)

    def _splice_row(self, ids: Tensor, row: Tensor, regions: Tensor, images: Tensor) -> Tensor:
        vocabulary = self.vocabulary
        if vocabulary.image_slot is not None:
            row = _fill(row, ids == vocabulary.image_slot, images, "image tokens")
        row = _fill(row, ids == vocabulary.region_slot, regions, "regions")
        if self.pointer is None:
            return row
        index = ids - vocabulary.first_region
        named = (index >= 0) & (index < vocabulary.capacity)
        wanted = index[named]
        if not wanted.numel():
            return row
        if int(wanted.max()) >= len(regions):
            raise PromptError(
                f"the prompt names <region{int(wanted.max())}>, but there are {len(regions)} regions"
            )
        return row.index_add(0, named.nonzero()[:, 0], regions[wanted].to(row.dtype))


def _fill(row: Tensor, slots: Tensor, values: Tensor, what: str) -> Tensor:
    """`row` with its marked positions replaced by `values`, in order; no slot at all is a decoding step."""
    count = int(slots.sum())
    if count == 0:
        return row
    if count != len(values):
        raise PromptError(f"the prompt has {count} slots for {what}, but {len(values)} were given")
    return row.masked_scatter(slots[:, None], values.to(row.dtype))


def _repeat(items: Sequence[Tensor], rows: int) -> list[Tensor]:
    """One entry per row of a batch in which every item may have been expanded to several beams."""
    beams, rest = divmod(rows, len(items))
    if rest:
        raise PromptError(f"a batch of {rows} rows cannot share {len(items)} sets of regions")
    return [item for item in items for _ in range(beams)]
