from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fo1.regions.lexicon import CONTEST, MOST, Lexicon

HEN, COW, CUP, COFFEE_CUP = torch.eye(4, 8)
NAMES = ("hen", "cow", "cup", "coffee cup")


def lexicon(rivalry: float = 1.0) -> Lexicon:
    words = torch.stack([HEN, COW, CUP, 0.9 * CUP + 0.4 * COFFEE_CUP])
    built = Lexicon(NAMES, words, torch.zeros(4, 0))
    built.rivalry.data.fill_(rivalry)
    return built


def names(**logits: float) -> Tensor:
    """(4, 1) logits of one region."""
    return torch.tensor([[logits.get(name.replace(" ", "_"), -9.0)] for name in NAMES])


def test_a_better_name_takes_from_the_asked_one() -> None:
    taken = lexicon(0.5).penalty(torch.tensor([[1.0]]), names(hen=3.0), COW[None])
    assert taken.tolist() == [[1.0]]


def test_a_worse_name_takes_nothing() -> None:
    assert lexicon().penalty(torch.tensor([[4.0]]), names(hen=3.0), COW[None]).item() == 0


def test_no_more_than_so_much_is_taken() -> None:
    assert lexicon().penalty(torch.tensor([[-20.0]]), names(hen=9.0), COW[None]).item() == MOST


def test_a_name_much_like_the_asked_one_is_no_rival() -> None:
    own = torch.tensor([[0.0]])
    assert lexicon().penalty(own, names(coffee_cup=2.0), CUP[None]).item() == 0
    assert lexicon().penalty(own, names(coffee_cup=2.0, hen=1.0), CUP[None]).item() == 1.0


def test_each_phrase_and_region_for_itself() -> None:
    scores = torch.cat([names(hen=3.0, cow=1.0), names(cow=2.0)], dim=1)
    own = torch.stack([scores[0], scores[1]])  # the phrases are "hen" and "cow"
    taken = lexicon().penalty(own, scores, torch.stack([HEN, COW]))
    torch.testing.assert_close(taken, torch.tensor([[0.0, MOST], [2.0, 0.0]]))


def test_rivalry_is_learnt_and_never_helps() -> None:
    built = lexicon(-1.0)
    own, scores = torch.tensor([[1.0]]), names(hen=3.0)
    assert built.penalty(own, scores, COW[None]).item() == 0
    built.rivalry.data.fill_(0.5)
    built.penalty(own, scores, COW[None]).sum().backward()
    assert built.rivalry.grad is not None and built.rivalry.grad.item() == pytest.approx(2.0)


def test_only_rivalry_is_stored() -> None:
    assert list(lexicon().state_dict()) == ["rivalry"]


def test_no_regions_and_no_phrases() -> None:
    assert lexicon().penalty(torch.zeros(1, 0), torch.zeros(4, 0), HEN[None]).shape == (1, 0)
    assert lexicon().penalty(torch.zeros(0, 2), torch.zeros(4, 2), torch.zeros(0, 8)).shape == (0, 2)


def test_what_is_asked_for_together_competes() -> None:
    """A hen is less of a cow; a coffee cup may be a cup; a label alone has no rival."""
    built, words = lexicon(), torch.stack([HEN, COW, CUP, 0.9 * CUP + 0.4 * COFFEE_CUP])
    logits = names(hen=3.0, cow=1.0, cup=-1.0, coffee_cup=2.0)
    taken = built.contest(logits, words)[:, 0].tolist()
    assert taken == pytest.approx([0, CONTEST * 2, CONTEST * 4, CONTEST * 1])
    assert built.contest(logits[:1], words[:1]).item() == 0
    assert built.contest(100 * logits, words).max() == MOST
    near = built.contest(names(cup=0.0, coffee_cup=2.0)[2:], words[2:])
    assert near.tolist() == [[0.0], [0.0]]
