"""The loss of attached models: words of answers, and with a dynamic vocabulary a yes or no per region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.data.packing import Packer
from fo1.model import RegionModel
from fo1.training.attached.lessons import Lesson
from fo1.training.attached.rows import Row, make_rows
from fo1.vlm.family import Sight
from fo1.vlm.tap import heard


@dataclass(frozen=True, eq=False)
class Prepared:
    """A lesson that the base's frozen eyes have seen."""

    lesson: Lesson
    sight: Sight
    rows: tuple[Row, ...]

    @property
    def words(self) -> int:
        """Answer tokens to learn."""
        return sum(len(row.words) for row in self.rows)

    @property
    def labels(self) -> int:
        """Labels whose regions are scored."""
        return sum(row.label is not None for row in self.rows)


@dataclass(frozen=True)
class Losses:
    """Sums, float32 scalars. words: cross-entropy over answer tokens. regions: over labels, of binary
    cross-entropy summed over the regions of each."""

    words: Tensor
    regions: Tensor


@torch.no_grad()
def prepare(model: RegionModel, lessons: Sequence[Lesson], packer: Packer) -> list[Prepared]:
    """Runs the base's own vision tower, which is always frozen, and writes the prompts.

    Lessons of which nothing fits the packer's limit are left out.
    """
    if model.family.blind:
        raise ValueError("a base without eyes has a trainer of its own, fo1.training.trainer")
    dynamic = model.splice.pointer is not None
    prepared = []
    for lesson, sight in zip(lessons, model.family.see([one.image for one in lessons]), strict=True):
        rows = make_rows(packer, lesson.record, sight.ids, dynamic)
        if rows:
            prepared.append(Prepared(lesson, sight, tuple(rows)))
    return prepared


def batch_losses(model: RegionModel, batch: Sequence[Prepared]) -> Losses:
    """One forward pass over all rows of some images, each encoded once. The caller holds `model.lock`.

    Gradients reach whatever is trainable; an auxiliary encoder that is frozen keeps no graph.
    """
    embedded = [_embed(model, one) for one in batch]
    rows = [row for one in batch for row in one.rows]
    owner = [number for number, one in enumerate(batch) for _ in one.rows]
    ids, mask = _padded([row.ids for row in rows], model)
    # Only outputs that are looked at are computed: with a large vocabulary they are most of the memory.
    kept = sorted({place for row in rows for place in row.places})
    given = model.family.inputs(ids, [batch[number].sight for number in owner])
    if model.family.reads_prompt_both_ways:
        for types, row in zip(given["token_type_ids"], rows, strict=True):
            types[row.answer :] = 1
    regions = [embedded[number] for number in owner]
    bound = model.splice.bound(regions, [one[:0] for one in regions])
    with bound, heard(model.base.get_output_embeddings()) as states:
        logits = model.base(
            input_ids=ids,
            attention_mask=mask,
            logits_to_keep=torch.tensor(kept, device=ids.device),
            use_cache=False,
            **given,
        ).logits
    column = {place: number for number, place in enumerate(kept)}
    words, yes_or_no = _word_loss(model, logits, rows, column), states[0].new_zeros((), dtype=torch.float32)
    for row, number, seen in zip(rows, owner, states[0], strict=True):
        if row.label is not None:
            hidden = seen[column[len(row.ids) - 1]]
            yes_or_no = yes_or_no + _region_loss(model, hidden, row, batch[number].lesson, embedded[number])
    return Losses(words, yes_or_no)


def _embed(model: RegionModel, one: Prepared) -> Tensor:
    """(N, D) region embeddings."""
    second = None
    if model.auxiliary is not None:
        trained = any(p.requires_grad for p in model.auxiliary.parameters())  # type: ignore[attr-defined]
        with torch.set_grad_enabled(trained):
            (second,) = model.auxiliary([one.lesson.image])
    embeddings: Tensor = model.encoder(one.sight.maps, second, one.lesson.regions)
    return embeddings


def _padded(rows: Sequence[Sequence[int]], model: RegionModel) -> tuple[Tensor, Tensor]:
    """Ids and attention mask (B, T), padded on the right."""
    longest = max(map(len, rows))
    ids = [[*row, *[model.prompts.stop_id] * (longest - len(row))] for row in rows]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return torch.tensor(ids, device=model.device), torch.tensor(mask, device=model.device)


def _word_loss(model: RegionModel, logits: Tensor, rows: Sequence[Row], column: dict[int, int]) -> Tensor:
    places = [(number, place) for number, row in enumerate(rows) for place in row.words]
    if not places:
        return logits.new_zeros((), dtype=torch.float32)
    chosen = logits[[number for number, _ in places], [column[place] for _, place in places]].float()
    following = torch.tensor([rows[number].ids[place + 1] for number, place in places], device=logits.device)
    if model.splice.pointer is not None:
        # The pointer begins with a query of length zero, through whose direction no gradient may go.
        vocabulary = model.prompts.vocabulary
        first, after = vocabulary.first_region, vocabulary.first_region + vocabulary.capacity
        chosen = torch.cat([chosen[:, :first], chosen[:, after:]], dim=1)
        following = torch.where(following >= after, following - vocabulary.capacity, following)
    return F.cross_entropy(chosen, following, reduction="sum")


def _region_loss(model: RegionModel, hidden: Tensor, row: Row, lesson: Lesson, embeddings: Tensor) -> Tensor:
    """hidden: (D,) where the regions of the row's label are named. embeddings: (N, D)."""
    label = model.phrase_embeddings([row.label or ""])
    logits = model.region_logits(hidden[None], embeddings, embeddings.new_zeros(len(embeddings), 0), label)[0]
    truth = torch.zeros_like(logits)
    truth[sorted(row.targets)] = 1
    losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (losses * torch.tensor(~lesson.ambiguous, device=logits.device)).sum()
