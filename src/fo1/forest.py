"""Prompt trees → what the base makes of some tokens: the one forward pass of scoring and training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fo1.model import Encoded, RegionModel
from fo1.prefixes import batched, begin, together
from fo1.prompts.tree import PromptTree
from fo1.vlm.tap import heard


@dataclass(frozen=True)
class Outputs:
    """Of one tree, at the K places asked for.

    states: (K, D), what the head reads. logits: (K, V), added words included.
    """

    states: Tensor
    logits: Tensor


@dataclass(frozen=True)
class _Batch:
    """Sequences right-padded to the longest, and where each place asked for stands.

    owner: the tree of each row. found: for each tree, the (row, column) of its places.
    """

    ids: Tensor
    owner: list[int]
    found: list[list[tuple[int, int]]]
    inputs: dict[str, Any]


def read_on(
    model: RegionModel, trees: Sequence[PromptTree], shown: Encoded, places: Sequence[Sequence[int]]
) -> list[Tensor]:
    """As `read_trees` of trees about one image with the same root, which is read for the first of them only.

    What was read stays with `shown`. Only the states are returned, (K, D) for each tree. A family that cannot
    read trees reads every branch from its start.
    """
    if not model.family.reads_trees:
        return [one.states for one in read_trees(model, trees, [shown] * len(trees), places)]
    begun = begin(model, shown, trees[0].ids[0])
    read = len(begun.ids)
    ids = pad_sequence([tree.tokens()[read:] for tree in trees], batch_first=True).to(model.device)
    after = pad_sequence([tree.positions()[read:] - read for tree in trees], batch_first=True)
    positions = (after + begun.following).expand(begun.axes, -1, -1).to(model.device)
    with model.bound([shown] * len(trees)):
        # Without the head, which would look at every place of one tree in all of them.
        states: Tensor = model.base.base_model(
            input_ids=ids,
            position_ids=batched(positions),
            attention_mask=additive(_masks(trees)[:, read:], model.base.dtype).to(model.device),
            past_key_values=together([begun] * len(trees)),
            use_cache=True,
            **model.family.inputs(ids, []),
        ).last_hidden_state
    return [
        row[torch.tensor(wanted, device=model.device) - read]
        for row, wanted in zip(states, places, strict=True)
    ]


def read_trees(
    model: RegionModel,
    trees: Sequence[PromptTree],
    shown: Sequence[Encoded],
    places: Sequence[Sequence[int]],
) -> list[Outputs]:
    """Runs the base once over a batch of trees, one image below each root. The caller holds `model.lock`.

    places: of each tree's flat sequence, those to look at; nothing is computed of the others' outputs.
    A family that reads trees runs each as one sequence; for any other every branch looked at is a row of its
    own, with the same result. Gradients flow if they are enabled.
    """
    family = model.family
    batch = (_as_trees if family.reads_trees else _as_rows)(model, trees, shown, places)
    columns = sorted({column for pairs in batch.found for _, column in pairs})
    seen = [shown[tree] for tree in batch.owner]
    # What the head reads is the last layer's state, in every base, and no other layer's need be kept.
    with model.bound(seen), heard(model.base.get_output_embeddings()) as states:
        logits: Tensor = model.base(
            input_ids=batch.ids,
            logits_to_keep=torch.tensor(columns, device=model.device),
            use_cache=False,
            **family.inputs(batch.ids, [one.sight for one in seen]) | batch.inputs,
        ).logits
    number = {column: index for index, column in enumerate(columns)}
    outputs = []
    for pairs in batch.found:
        rows, kept = [row for row, _ in pairs], [number[column] for _, column in pairs]
        outputs.append(Outputs(states[0][rows, kept], logits[rows, kept]))
    return outputs


def _as_trees(
    model: RegionModel,
    trees: Sequence[PromptTree],
    shown: Sequence[Encoded],
    places: Sequence[Sequence[int]],
) -> _Batch:
    ids = pad_sequence([tree.tokens() for tree in trees], batch_first=True).to(model.device)
    positions = [
        _positions(model, tree, one).T for tree, one in zip(trees, shown, strict=True)
    ]  # (T, A) each
    padded = pad_sequence(positions, batch_first=True).permute(2, 0, 1)
    inputs = {
        "attention_mask": additive(_masks(trees), model.base.dtype).to(model.device),
        "position_ids": batched(padded),
    }
    found = [[(row, place) for place in wanted] for row, wanted in enumerate(places)]
    return _Batch(ids, list(range(len(trees))), found, inputs)


def _masks(trees: Sequence[PromptTree]) -> Tensor:
    """(B, T, T) bool of trees padded to the longest; padding attends to itself."""
    allowed = torch.eye(max(map(len, trees)), dtype=torch.bool).repeat(len(trees), 1, 1)
    for row, tree in zip(allowed, trees, strict=True):
        row[: len(tree), : len(tree)] = tree.mask()
    return allowed


def _positions(model: RegionModel, tree: PromptTree, shown: Encoded) -> Tensor:
    """(A, T): the root's as its family counts them, with the image in it; branches go on from there."""
    root = torch.tensor(tree.ids[0], device=model.device)
    counted = model.family.positions(root, shown.sight)
    after = tree.positions()[len(root) :].to(model.device) - len(root)
    return torch.cat([counted, (counted.max() + 1 + after).expand(len(counted), -1)], dim=1)


def _as_rows(
    model: RegionModel,
    trees: Sequence[PromptTree],
    shown: Sequence[Encoded],
    places: Sequence[Sequence[int]],
) -> _Batch:
    paths: list[list[int]] = []
    answers: list[int] = []
    owner: list[int] = []
    found: list[list[tuple[int, int]]] = []
    for number, (tree, wanted) in enumerate(zip(trees, places, strict=True)):
        row_of: dict[int, int] = {}
        found.append([])
        for place in wanted:
            segment = tree.segment(place)
            if segment not in row_of:
                row_of[segment] = len(paths)
                paths.append(tree.path(segment))
                answers.append(_answer_start(tree, segment))
                owner.append(number)
            column = tree.starts[segment] + place - tree.offsets[segment]
            found[-1].append((row_of[segment], column))
    ids = pad_sequence([torch.tensor(path) for path in paths], batch_first=True).to(model.device)
    real = [[1] * len(path) + [0] * (ids.shape[1] - len(path)) for path in paths]
    inputs: dict[str, Any] = {"attention_mask": torch.tensor(real, device=model.device)}
    if model.family.reads_prompt_both_ways:
        kinds = model.family.inputs(ids, [shown[tree].sight for tree in owner])["token_type_ids"]
        for row, start in zip(kinds, answers, strict=True):
            row[start:] = 1
        inputs["token_type_ids"] = kinds
    return _Batch(ids, owner, found, inputs)


def _answer_start(tree: PromptTree, segment: int) -> int:
    """Where, on the path to a segment, the first word is that the model writes."""
    line = tree.line(segment)
    first = next((number for number in line if tree.answers[number]), None)
    return len(tree.path(segment)) if first is None else tree.starts[first]


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, T, S) bool → (B, 1, T, S) mask to add to attention logits; on CPU faster than a boolean one."""
    mask = torch.zeros(allowed.shape, dtype=dtype)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]
