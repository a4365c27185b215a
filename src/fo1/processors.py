"""What is done with the scores of the next token at each step of `generate`: rules, and notes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LogitsProcessor

from fo1.grammar import Grammar, State


class WordsOnly(LogitsProcessor):
    """Keeps added tokens out of free text."""

    def __init__(self, first_added: int) -> None:
        self.first_added = first_added

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores[:, self.first_added :] = torch.finfo(scores.dtype).min
        return scores


class WellFormed(LogitsProcessor):
    """Keeps every answer to its prompt's grammar, and lets it end in time.

    What a row may say next follows from what it has said, so rows may be batched and beams may change places.
    start: length of the prompts, padding included. most: tokens that may be written.
    """

    def __init__(self, grammars: Sequence[Grammar], start: int, most: int) -> None:
        self.grammars, self.start, self.most = grammars, start, most
        self._states: dict[tuple[int, tuple[int, ...]], State] = {}  # what the rows had said one step ago

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        beams, width = len(scores) // len(self.grammars), scores.shape[1]
        left = self.start + self.most - input_ids.shape[1]
        states, bound = {}, []
        allowed: list[NDArray[np.int64]] = []  # of all scores in one line
        banned: list[NDArray[np.int64]] = []
        for row, said in enumerate(input_ids[:, self.start :].tolist()):
            key = row // beams, tuple(said)
            state = states[key] = self._state(*key)
            choice = self.grammars[key[0]].choice(state, left)
            (allowed if choice.only else banned).append(choice.ids + row * width)
            if len(choice.never):
                banned.append(choice.never + row * width)
            if choice.only:
                bound.append(row)
        self._states = states
        line = scores.reshape(-1)
        if bound:
            places = _places(allowed, line.device)
            # Words that a model without regions never says must not add up to minus infinity over a beam.
            kept = line[places].clamp_(min=-1e4)
            line.view_as(scores)[bound] = -torch.inf
            line[places] = kept
        if banned:
            line[_places(banned, line.device)] = -torch.inf
        return line.view_as(scores)

    def _state(self, number: int, ids: tuple[int, ...]) -> State:
        grammar = self.grammars[number]
        before = self._states.get((number, ids[:-1])) if ids else None
        if before is not None:
            return grammar.after(before, ids[-1])
        return reduce(grammar.after, ids, grammar.start)


def _places(parts: Sequence[NDArray[np.int64]], device: torch.device) -> Tensor:
    return torch.from_numpy(np.concatenate(parts)).to(device)


class Watch(LogitsProcessor):
    """Notes the scores of some tokens at each step, as the model gives them."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = list(ids)
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.steps.append(scores[:, self.ids])
        return scores

    def rows(self) -> Tensor:
        """(B, T, W) for W tokens watched at T steps."""
        return torch.stack(self.steps, dim=1).float().cpu()


class Chances(LogitsProcessor):
    """Notes how likely the likeliest token of each step is, which is the one that greedy search takes."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        best, rest = scores.float().amax(-1), scores.float().logsumexp(-1)
        self.steps.append((best - rest).exp())
        return scores

    def rows(self) -> list[list[float]]:
        """The chances of each row of the batch, step by step."""
        return torch.stack(self.steps, dim=1).tolist()
