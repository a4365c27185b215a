from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from fo1.forest import additive
from fo1.prompts.tree import PromptTree
from fo1.vlm.llama import Llama
from tiny import llama


@pytest.fixture(scope="module")
def language_model() -> Llama:
    return llama()


def hidden(base: Llama, tree: PromptTree) -> Tensor:
    with torch.inference_mode():
        return base.model(
            input_ids=tree.tokens()[None],
            position_ids=tree.positions()[None],
            attention_mask=additive(tree.mask()[None], torch.float32),
        ).last_hidden_state[0]


def random_tree(seed: int) -> PromptTree:
    """One or two roots, segments of 1 to 5 tokens, each below any earlier one."""
    rng, tree = random.Random(seed), PromptTree()
    for i in range(rng.randint(1, 9)):
        parent = rng.randint(-1 if i in (0, 4) else 0, i - 1) if i else -1
        tree.add([rng.randrange(250) for _ in range(rng.randint(1, 5))], parent)
    return tree


def path(tree: PromptTree, segment: int) -> list[int]:
    return [segment] if tree.parents[segment] < 0 else [*path(tree, tree.parents[segment]), segment]


@pytest.mark.parametrize("seed", range(12))
def test_every_path_reads_as_if_it_stood_alone(language_model: Llama, seed: int) -> None:
    tree = random_tree(seed)
    states = hidden(language_model, tree)
    for segment in range(len(tree.ids)):
        line = path(tree, segment)
        ids = torch.tensor([token for s in line for token in tree.ids[s]])
        where = [tree.offsets[s] + i for s in line for i in range(len(tree.ids[s]))]
        assert tree.positions()[where].tolist() == list(range(len(ids)))
        with torch.inference_mode():
            alone = language_model.model(input_ids=ids[None]).last_hidden_state[0]
        torch.testing.assert_close(states[where], alone, atol=2e-5, rtol=0)
        assert where[-1] == tree.last(segment)


def test_positions_and_mask() -> None:
    tree = PromptTree()
    root = tree.add([1, 2])
    left, right = tree.add([3], root), tree.add([4, 5], root)
    below = tree.add([6], left)
    assert (root, left, right, below) == (0, 1, 2, 3)
    assert tree.tokens().tolist() == [1, 2, 3, 4, 5, 6]
    assert tree.positions().tolist() == [0, 1, 2, 2, 3, 3]
    assert len(tree) == 6
    assert tree.mask().int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [1, 1, 0, 1, 1, 0],
        [1, 1, 1, 0, 0, 1],
    ]


def test_a_tree_of_nothing() -> None:
    tree = PromptTree()
    assert (len(tree), tree.tokens().tolist(), tree.positions().tolist()) == (0, [], [])
    assert tree.mask().shape == (0, 0)


def test_the_callers_list_is_copied() -> None:
    ids, tree = [1, 2], PromptTree()
    tree.add(ids)
    ids.append(3)
    assert tree.tokens().tolist() == [1, 2]


@pytest.mark.parametrize("parent", [-2, 1, 5])
def test_unknown_parent(parent: int) -> None:
    tree = PromptTree()
    tree.add([1])
    with pytest.raises(ValueError, match=f"parent {parent} is not a segment"):
        tree.add([2], parent)


def test_an_empty_segment_has_no_last_token() -> None:
    with pytest.raises(ValueError, match="without tokens"):
        PromptTree().add([])


def test_a_child_is_added_once() -> None:
    tree = PromptTree()
    root = tree.add([1, 2])
    first = tree.child([3], root)
    assert tree.child([3], root) == first
    below = tree.child([3], first)
    assert below != first and tree.path(below) == [1, 2, 3, 3]
