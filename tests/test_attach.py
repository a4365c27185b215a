"""`attach` on a tiny random base of every family."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import fo1
from attachable import CASES, NAMES, attached
from fo1 import FO1, Regions, Scene
from fo1.decoding import generate_text
from fo1.prompts.tasks import TASKS
from fo1.vlm.family import VLMFamily
from fo1.vlm.tap import heard
from tiny import picture
from vlm.families.harness import SIZES, padded, prompt

QUESTION = "What is it?"
BOXES = [[[10.0, 10, 80, 60], [50, 30, 120, 100]], [[5, 20, 60, 180]], []]
"""Of pictures of `SIZES`: two regions, one, none."""


@dataclass
class Attached:
    """family: of the base that `model` is attached to. before: the same base, to which nothing is."""

    before: VLMFamily
    family: VLMFamily
    model: FO1

    def scenes(self) -> list[Scene]:
        images = [picture(seed, size) for seed, size in enumerate(SIZES)]
        return self.model.look_many(images, [np.reshape(boxes, (-1, 4)) for boxes in BOXES])


@pytest.fixture(scope="module", params=NAMES)
def one(request: pytest.FixtureRequest) -> Iterator[Attached]:
    """Shared by the tests of a family, which leave it as it is."""
    case = CASES[request.param]
    family = case.build()
    yield Attached(case.build(), family, attached(family))


def logits(model: FO1, scene: Scene, question: str = QUESTION) -> Tensor:
    """(T, V) of the prompt about a scene."""
    inner, encoded = model.model, scene.encoded
    ids = read(model, scene, question)[None]
    with inner.bound([encoded]), torch.inference_mode():
        given = inner.family.inputs(ids, [encoded.sight])
        return inner.base(input_ids=ids, attention_mask=torch.ones_like(ids), **given).logits[0]


def read(model: FO1, scene: Scene, question: str = QUESTION) -> Tensor:
    """Ids (T,) of the prompt about a scene."""
    prompts, count = model.model.prompts, len(scene.regions)
    return torch.tensor(prompts.prefix(scene.encoded.sight.ids, count) + prompts.question(question, count))


def test_the_base_and_the_processor_stay_as_they_are(one: Attached) -> None:
    base, before = one.family.base, one.before.base
    assert type(base) is type(before) and "forward" not in vars(base) and "generate" not in vars(base)
    assert [type(m) for m in base.modules()] == [type(m) for m in before.modules()]
    assert [m.training for m in base.modules()] == [m.training for m in before.modules()]
    ours, own = dict(base.named_parameters()), dict(before.named_parameters())
    assert ours.keys() == own.keys() and base.state_dict().keys() == before.state_dict().keys()
    assert all(torch.equal(ours[k], own[k]) and ours[k].requires_grad == own[k].requires_grad for k in own)
    tokenizer, untouched = one.family.processor.tokenizer, one.before.processor.tokenizer
    assert tokenizer.get_vocab() == untouched.get_vocab()
    assert tokenizer.added_tokens_decoder == untouched.added_tokens_decoder
    assert one.model.model.prompts.tokenizer is not tokenizer
    images = one.family.processor.image_processor
    assert images.to_dict() == one.before.processor.image_processor.to_dict()
    assert one.model.model.prompts.vocabulary.capacity == 100


@torch.no_grad()
def test_unbound_the_base_is_itself(one: Attached) -> None:
    for count in (0, 1):
        sights = one.before.see([picture(1, SIZES[0])] * count)
        ids, mask = padded([prompt(one.before, sights)])
        ours, own = (
            f.base(input_ids=ids, attention_mask=mask, **f.inputs(ids, f.see([picture(1, SIZES[0])] * count)))
            for f in (one.family, one.before)
        )
        assert torch.equal(ours.logits, own.logits)


@torch.no_grad()
def test_without_regions_the_base_speaks(one: Attached) -> None:
    scene = one.model.look(picture(1, SIZES[0]), np.zeros((0, 4)))
    ids, own = read(one.model, scene)[None], one.before
    assert ids.max() < one.model.model.splice.first_own
    sights = own.see([picture(1, SIZES[0])])
    mask = torch.ones_like(ids)
    known = one.model.model.splice.first_own
    plain = own.base(input_ids=ids, attention_mask=mask, **own.inputs(ids, sights)).logits[0]
    ours = logits(one.model, scene)
    assert torch.equal(ours[:, :known], plain[:, :known])
    assert (ours[:, known:] == torch.finfo(ours.dtype).min).all()
    said = own.base.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=6,
        do_sample=False,
        eos_token_id=list(one.model.model.stop_ids),
        # Rows of the table that belong to no token.
        suppress_tokens=list(range(known, plain.shape[-1])),
        **own.inputs(ids, sights),
    )[0, ids.shape[1] :]
    text = own.processor.tokenizer.decode(said.tolist()).removesuffix(one.model.model.prompts.chat.stop)
    assert scene.ask(QUESTION, max_new_tokens=6) == text.strip()


def test_regions_are_read_at_their_slots_alone(one: Attached) -> None:
    image = picture(1, SIZES[0])
    here, there = (one.model.look(image, [box, BOXES[0][1]]) for box in (BOXES[0][0], [90, 60, 160, 120]))
    ids = read(one.model, here)
    slots = (ids == one.model.model.prompts.vocabulary.region_slot).nonzero()[:, 0].tolist()
    assert len(slots) == 2
    embedding, read_in = one.model.model.base.get_input_embeddings(), []
    for scene in (here, there):
        with one.model.model.bound([scene.encoded]), torch.inference_mode():
            read_in.append(embedding(ids[None])[0])
    assert (read_in[0] != read_in[1]).any(dim=1).nonzero()[:, 0].tolist() == slots[:1]
    assert torch.equal(read_in[0][slots], here.encoded.embeddings)
    one_way, other = logits(one.model, here), logits(one.model, there)
    changed = (one_way != other).any(dim=1)
    assert changed[slots[0] :].all()
    if one.family.base.config.model_type != "paligemma":  # which reads its prompt in both directions
        assert not changed[: slots[0]].any()


def test_added_tokens_are_written_and_read_back(one: Attached) -> None:
    scene = one.scenes()[0]
    (said,) = generate_text(one.model.model, [scene.encoded], [QUESTION], 6)
    vocabulary = one.model.model.prompts.vocabulary
    assert all(token < vocabulary.size for token in said.ids)
    assert any(token >= vocabulary.first_region for token in said.ids)
    line = read(one.model, scene).tolist()
    asked = len(line)
    inner, sight = one.model.model, scene.encoded.sight
    with inner.bound([scene.encoded]), torch.inference_mode():
        for token in said.ids:  # the whole sequence anew for every token: no cache
            ids = torch.tensor([line])
            given = inner.family.inputs(ids, [sight])
            if inner.base.config.model_type == "paligemma":  # whose prompt does not see the answer
                given["token_type_ids"][0, asked:] = 1
            answer = inner.base(input_ids=ids, attention_mask=torch.ones_like(ids), **given)
            assert int(answer.logits[0, -1].argmax()) == token
            line.append(token)


@pytest.mark.parametrize("beams", [1, 2])
def test_a_batch_equals_single_runs(one: Attached, beams: int) -> None:
    scenes = [*one.scenes(), one.scenes()[0]]
    questions = [QUESTION, "And what is this here?", "No regions, a longer question.", "Where is <region1>?"]
    together = one.model.ask_many(scenes, questions, max_new_tokens=6, beams=beams, constrained=False)
    assert together == [s.ask(q, 6, beams, constrained=False) for s, q in zip(scenes, questions, strict=True)]
    assert len(set(together)) > 1


def weights(model: FO1) -> dict[str, Tensor]:
    """Of everything that was attached."""
    inner = model.model
    parts = {"encoder": inner.encoder, "splice": inner.splice}
    if isinstance(inner.auxiliary, torch.nn.Module):
        parts["auxiliary"] = inner.auxiliary
    return {
        f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()
    }


def test_saved_and_loaded_it_answers_the_same(one: Attached, tmp_path: Path) -> None:
    model = attached(one.family, seed=2)
    with torch.no_grad():
        for value in weights(model).values():
            value.add_(torch.randn_like(value) * 0.05)  # as training would
    fo1.save(model, tmp_path / "saved")
    loaded = fo1.load(tmp_path / "saved", device="cpu", dtype="float32")
    assert loaded.name == "attached"
    before, after = weights(model), weights(loaded)
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    own = one.before.base.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in loaded.model.base.state_dict().items())
    boxes = BOXES[0]
    scenes = [m.look(picture(0, SIZES[0]), boxes) for m in (model, loaded)]
    assert torch.equal(*(scene.encoded.embeddings for scene in scenes))
    # Qwen3.5's tokenizer class adds a padding token of its own when it is loaded, which shifts the added ids.
    splices, known = (model.model.splice, loaded.model.splice), model.model.splice.first_own
    said = [logits(m, s) for m, s in zip((model, loaded), scenes, strict=True)]
    assert torch.equal(*(one[:, :known] for one in said))
    assert torch.equal(*(one[:, s.first_own :] for one, s in zip(said, splices, strict=True)))
    assert scenes[0].ask(QUESTION, 6) == scenes[1].ask(QUESTION, 6)


def step(model: FO1, image: Any, boxes: Any, answer: str) -> Tensor:
    """The loss of one answer, as training computes it: towers without gradients, all else with them."""
    inner, regions = model.model, Regions.of(boxes, image.size)
    with torch.no_grad():
        (sight,) = inner.family.see([image])
        second = None if inner.auxiliary is None else inner.auxiliary([image])[0]
    embeddings = inner.encoder(sight.maps, second, regions)
    asked = inner.prompts.prefix(sight.ids, len(regions)) + inner.prompts.question(QUESTION, len(regions))
    said = [*inner.prompts.answer_text(answer, len(regions)), inner.prompts.stop_id]
    ids = torch.tensor([asked + said])
    with inner.splice.bound([embeddings], [embeddings[:0]]):
        output = inner.base(
            input_ids=ids, attention_mask=torch.ones_like(ids), **inner.family.inputs(ids, [sight])
        )
    return F.cross_entropy(output.logits[0, len(asked) - 1 : -1], torch.tensor(said))


ANSWER = "<ground>cup</ground><objects><region1></objects>"


def test_in_stage_one_gradients_reach_what_was_attached(one: Attached) -> None:
    inner = one.model.model
    trained = {"encoder": inner.encoder, "splice": inner.splice}
    assert not any(p.requires_grad for p in inner.parameters())
    for part in trained.values():
        part.requires_grad_(True)
    try:
        step(one.model, picture(0, SIZES[0]), BOXES[0], ANSWER).backward()
        for name, parameter in inner.named_parameters():
            if name.split(".")[0] in trained:
                assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
            else:
                assert parameter.grad is None, name
        rows, vocabulary = inner.splice.input_rows.grad, inner.prompts.vocabulary
        read_in = [vocabulary.region(0), vocabulary.region(1), *vocabulary.tags.values()]
        expected = sorted(token - inner.splice.first_own for token in read_in[:6])
        assert rows.abs().sum(dim=1).nonzero()[:, 0].tolist() == expected
        assert (inner.splice.output_rows.grad.abs().sum(dim=1) > 0).all()
    finally:
        for part in trained.values():
            part.zero_grad(set_to_none=True)
            part.requires_grad_(False)
    assert all(p.grad is None for p in one.family.base.parameters())


def test_new_rows_are_as_large_as_the_words_around_them(one: Attached) -> None:
    torch.manual_seed(3)
    splice = fo1.attach(one.family.base, one.family.processor).model.splice
    known = torch.arange(splice.first_own)[None]
    words = one.before.base.get_input_embeddings()(known)[0]
    size = words.square().mean().sqrt()
    assert 0.8 < splice.input_rows.square().mean(dim=1).sqrt().min() / size
    assert splice.input_rows.square().mean(dim=1).sqrt().max() / size < 1.25
    pairs = F.cosine_similarity(splice.input_rows[:, None], splice.input_rows[None], dim=-1)
    assert (pairs - torch.eye(len(pairs))).max() < 0.7


@torch.inference_mode()
def test_a_dynamic_vocabulary_scores_every_region(one: Attached) -> None:
    model = attached(one.family, vocabulary="dynamic", capacity=2)
    inner, boxes, labels = model.model, [*BOXES[0], [0, 0, 30, 30]], ["cup", "a brown dog"]
    assert inner.splice.pointer is not None
    inner.splice.pointer.query.weight.normal_(0, 0.3)  # or the hidden state would have no say at first
    scene = model.look(picture(0, SIZES[0]), boxes)
    found = scene.detect(labels, threshold=0)
    assert list(found.confidence) == labels and all(len(v) == 3 for v in found.confidence.values())
    assert not scene.detect(labels, threshold=1)
    phrases = inner.phrase_embeddings(labels)
    for label, phrase in zip(labels, phrases, strict=True):
        for rows in ([0, 1], [2]):  # two of them are as many as the model can name at once
            group = scene.encoded.take(rows)
            ids = inner.prompts.prefix(group.sight.ids, len(rows))
            ids += inner.prompts.question(TASKS["detect"].fill(*labels), len(rows))
            answer = inner.prompts.naming(label, len(rows))
            line = torch.tensor([ids + answer])
            given = inner.family.inputs(line, [group.sight])
            if inner.family.reads_prompt_both_ways:
                given["token_type_ids"][0, -len(answer) :] = 1
            with inner.bound([group]), heard(inner.base.get_output_embeddings()) as states:
                inner.base(input_ids=line, attention_mask=torch.ones_like(line), **given)
            scores = inner.splice.pointer(states[0][0, -1:], group.embeddings, phrase[None])[0].sigmoid()
            asked = torch.tensor(found.confidence[label][rows])
            torch.testing.assert_close(asked, scores, atol=1e-5, rtol=1e-4)
    assert len({float(score) for row in found.confidence.values() for score in row}) == 6
    assert "<region" not in scene.ask(QUESTION, 6)


def test_a_copy_is_independent(one: Attached) -> None:
    model = copy.deepcopy(one.model)
    scene = one.scenes()[0]
    before = logits(one.model, scene)
    model.model.splice.input_rows.data.zero_()
    assert torch.equal(logits(one.model, scene), before)
    assert not torch.equal(logits(model, scene), before)
