from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from fo1.decoding import generate_text, prompt, text_grammars
from fo1.model import Encoded, RegionModel
from fo1.prefixes import begin, beginning, reading
from fo1.prompts.tasks import TASKS
from fo1.scoring import named_scores
from readers import KINDS, QUESTIONS, reader


def said(
    model: RegionModel, images: Sequence[Encoded], questions: Sequence[str], beams: int, bound: bool
) -> list[tuple[int, ...]]:
    grammars = text_grammars(model, [len(one.regions) for one in images]) if bound else []
    answers = generate_text(model, images, questions, 8, beams, grammars=grammars)
    return [answer.ids for answer in answers]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_to_the_whole_prompt(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (one, other) = reader(kind)
    # A question alone, several about one image, and about two with prefixes of different lengths.
    batches = [([one], QUESTIONS[:1]), ([one] * 3, QUESTIONS), ([other, one, other], QUESTIONS)]
    asked = [(*batch, beams, bound) for batch in batches for beams in (1, 3) for bound in (True, False)]
    continued = [said(model, *question) for question in asked]
    assert len(one.begun) == len(other.begun) == int(model.family.reads_trees)
    monkeypatch.setattr(type(model.family), "reads_trees", False)
    assert continued == [said(model, *question) for question in asked]
    assert len({ids for answers in continued for ids in answers}) > 4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dynamic"])
def test_scores_of_regions_are_those_of_the_whole_prompt(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (one, _) = reader(kind)
    labels = ["cup", "<region0>"]
    continued = [named_scores(model, one, TASKS["detect"], labels) for _ in range(2)]
    monkeypatch.setattr(type(model.family), "reads_trees", False)
    whole = named_scores(model, one, TASKS["detect"], labels)
    for rating in continued:
        assert rating.answer == whole.answer
        torch.testing.assert_close(torch.tensor(rating.scores), torch.tensor(whole.scores), atol=1e-4, rtol=0)


def test_only_what_follows_the_regions_is_read() -> None:
    model, (one, other) = reader("qwen2_5_vl")
    prompts = [
        prompt(model, image, question) for image, question in zip((one, other), QUESTIONS[:2], strict=True)
    ]
    with torch.inference_mode():
        batch = reading(model, prompts, [[one], [other]], beams=2)
    starts = [model.prompts.prefix(image.sight.ids, len(image.regions)) for image in (one, other)]
    rests = [ids[len(start) :] for ids, start in zip(prompts, starts, strict=True)]
    assert batch.ids.shape == (2, len(rests[1]))
    mask, cache = batch.inputs["attention_mask"], batch.inputs["past_key_values"]
    assert mask.shape[1] == cache.get_seq_length() + batch.ids.shape[1] and len(cache.layers[0].keys) == 4
    assert mask.sum(1).tolist() == [len(ids) for ids in prompts]
    for row, (ids, rest, image) in enumerate(zip(prompts, rests, (one, other), strict=True)):
        assert batch.ids[row, -len(rest) :].tolist() == rest
        expected = model.family.positions(torch.tensor(ids), image.sight)[:, -len(rest) :]
        assert torch.equal(batch.inputs["position_ids"][:, row, -len(rest) :], expected)


def test_prompts_that_begin_otherwise_are_read_whole() -> None:
    model, (one, other) = reader("static")
    start = model.prompts.prefix(one.sight.ids, len(one.regions))
    told = model.prompts.opening("Be brief.") + start + [5]
    with torch.inference_mode():
        assert beginning(model, told, one) is None and beginning(model, start, one) is None
        others = (([told], [[one]]), ([start + [5], [6]], [[one], []]), ([start], [[one, other]]))
        for prompts, shown in others:
            batch = reading(model, prompts, shown)
            assert "past_key_values" not in batch.inputs and batch.ids.shape[1] == len(prompts[0])
        assert not one.begun
        assert beginning(model, [*start, 5], one) is one.begun[tuple(start)]


@pytest.mark.parametrize("first", ["longer", "shorter"])
@pytest.mark.parametrize("kind", ["dynamic", "qwen2_5_vl"])
def test_beginnings_of_each_other_are_read_once(kind: str, first: str) -> None:
    model, (one, _) = reader(kind)
    start = model.prompts.prefix(one.sight.ids, len(one.regions))
    asked = start + model.prompts.question("Where?", len(one.regions))
    order = (asked, start) if first == "longer" else (start, asked)
    with torch.inference_mode():
        alone = {len(ids): begin(model, replace(one, begun={}), ids) for ids in (start, asked)}
        for ids in order:
            begin(model, one, ids)
    short, long = (begin(model, one, ids) for ids in (start, asked))
    for read in (short, long):
        same = alone[len(read.ids)]
        assert read.ids == same.ids and read.following == same.following and read.axes == same.axes
        for some, other in zip(read.kept.layers, same.kept.layers, strict=True):
            torch.testing.assert_close(some.keys, other.keys, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(some.values, other.values, atol=1e-5, rtol=1e-5)
    assert short.kept.layers[0].keys.data_ptr() == long.kept.layers[0].keys.data_ptr()
