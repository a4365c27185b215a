"""Trees are read as their branches would be alone, whatever the family, in any company."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from PIL import Image

import fo1
from attachable import CASES, NAMES, attached
from fo1.errors import PromptError
from fo1.forest import Outputs, additive, read_on, read_trees
from fo1.model import Encoded, RegionModel
from fo1.prompts.tree import PromptTree
from tiny import read_as, region_model

# Of Mistral, this tiny config alone has a sliding window; that of Mistral Small 3.1 has none.
NO_TREES = {"gemma3", "paligemma", "qwen3_5", "mistral3"}
QUESTIONS = ("what?", "where is <region1>? And what else is in the picture?")


def grown(model: RegionModel, shown: Encoded, *questions: str) -> tuple[PromptTree, list[int]]:
    """An image and questions about it, each with an answer begun; the places where answers begin and end."""
    tree, count = PromptTree(), len(shown.regions)
    root = tree.add(model.prompts.prefix(shown.sight.ids, count))
    places = []
    for question in questions:
        asked = tree.add(model.prompts.question(question, count), root)
        answer = tree.add(model.prompts.naming("cup", count), asked, answer=True)
        places += [tree.last(asked), tree.last(answer)]
    return tree, places


def read(
    model: RegionModel, trees: Sequence[tuple[PromptTree, list[int]]], shown: Sequence[Encoded]
) -> list[Outputs]:
    with torch.inference_mode():
        return read_trees(model, [tree for tree, _ in trees], shown, [places for _, places in trees])


def alone(model: RegionModel, tree: PromptTree, place: int, shown: Encoded) -> torch.Tensor:
    """The logits at a place, from nothing but the base's own forward on the plain prompt."""
    segment = tree.segment(place)
    ids = torch.tensor([tree.path(segment)])
    given = model.family.inputs(ids, [shown.sight])
    if model.family.reads_prompt_both_ways and tree.answers[segment]:
        given["token_type_ids"][0, tree.starts[segment] :] = 1
    with torch.inference_mode(), model.bound([shown]):
        out = model.base(input_ids=ids, attention_mask=torch.ones_like(ids), **given)
    return out.logits[0, tree.starts[segment] + place - tree.offsets[segment]]


@pytest.mark.parametrize("name", NAMES)
def test_a_branch_reads_as_its_plain_prompt(name: str) -> None:
    model = attached(CASES[name].build(), vocabulary="static").model
    assert model.family.reads_trees is (name not in NO_TREES)
    images = [Image.effect_noise((90, 70), 90).convert("RGB"), Image.new("RGB", (64, 80), (90, 0, 0))]
    boxes = [[[5, 5, 60, 60], [20, 20, 64, 64]], [[1, 2, 50, 60], [9, 9, 30, 30], [0, 0, 64, 80]]]
    given = [fo1.Regions.of(box, image.size) for box, image in zip(boxes, images, strict=True)]
    shown = model.encode(images, given)
    trees = [grown(model, shown[0], *QUESTIONS), grown(model, shown[1], QUESTIONS[0])]
    for (tree, places), one, outputs in zip(trees, shown, read(model, trees, shown), strict=True):
        for place, logits in zip(places, outputs.logits, strict=True):
            torch.testing.assert_close(logits, alone(model, tree, place, one), atol=3e-4, rtol=1e-4)


@pytest.mark.parametrize("dynamic", [True, False])
def test_no_tree_depends_on_its_company(dynamic: bool) -> None:
    model = region_model(dynamic=dynamic)
    shown = [read_as(count, seed) for seed, count in enumerate((3, 0, 2))]
    trees = [
        grown(model, shown[0], "a", "bcd <region2>"),
        grown(model, shown[1], "a long question"),
        grown(model, shown[2], "<region0>?"),
    ]
    for tree, one, outputs in zip(trees, shown, read(model, trees, shown), strict=True):
        (single,) = read(model, [tree], [one])
        assert outputs.states.shape == (len(tree[1]), 32)
        torch.testing.assert_close(outputs.states, single.states, atol=2e-5, rtol=0)
        torch.testing.assert_close(outputs.logits, single.logits, atol=2e-4, rtol=1e-5)


def test_a_region_that_is_not_there_is_refused() -> None:
    model, one = region_model(), read_as(2, 0)
    tree = PromptTree()
    tree.add(model.prompts.prefix(one.sight.ids, 3))
    with pytest.raises(PromptError, match="names <region2>, but there are 2 regions"):
        read(model, [(tree, [0])], [one])


def test_additive_mask() -> None:
    mask = additive(torch.tensor([[[True, False], [True, True]]]), torch.bfloat16)
    assert mask.shape == (1, 1, 2, 2) and mask.dtype == torch.bfloat16
    assert mask[0, 0].tolist() == [[0, torch.finfo(torch.bfloat16).min], [0, 0]]


@pytest.mark.parametrize("name", NAMES)
def test_the_root_is_read_once_for_all_questions(name: str) -> None:
    model = attached(CASES[name].build(), vocabulary="static").model
    image = Image.effect_noise((90, 70), 90).convert("RGB")
    (shown,) = model.encode([image], [fo1.Regions.of([[5, 5, 60, 60], [20, 20, 64, 64]], image.size)])
    for questions in (QUESTIONS, QUESTIONS[::-1], QUESTIONS):
        tree, places = grown(model, shown, *questions)
        with torch.inference_mode():
            (states, again) = read_on(model, [tree, tree], shown, [places, places[:1]])
            torch.testing.assert_close(again, states[:1], atol=2e-5, rtol=0)
            with model.bound([shown]):
                found = model.base.get_output_embeddings()(states[None])[0]
        for place, logits in zip(places, found, strict=True):
            torch.testing.assert_close(logits, alone(model, tree, place, shown), atol=3e-4, rtol=1e-4)
    assert len(shown.begun) == int(model.family.reads_trees)
    assert all(one.kept.get_seq_length() == len(one.ids) for one in shown.begun.values())
    assert not shown.take([0]).begun
