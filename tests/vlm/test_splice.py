"""The splice on a real (tiny, random) Llama: what is read, what is written, and what stays untouched."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaForCausalLM

from fo1.errors import PromptError
from fo1.prompts.vocabulary import TAGS, RegionVocabulary
from fo1.vlm.pointer import RegionPointer
from fo1.vlm.splice import RegionSplice
from tiny import WIDTH, embeddings, random_rows, transformers_llama

WORDS = 258
CAPACITY = 10
VOCABULARY = RegionVocabulary(
    first_region=WORDS,
    capacity=CAPACITY,
    tags={tag: WORDS + CAPACITY + i for i, tag in enumerate(TAGS)},
    image_slot=WORDS + CAPACITY + len(TAGS),
    region_slot=WORDS + CAPACITY + len(TAGS) + 1,
    size=WORDS + CAPACITY + len(TAGS),
)
R0, R1, R2 = (VOCABULARY.region(i) for i in range(3))
GROUND = VOCABULARY.tags["<ground>"]
IMAGE, SLOT = VOCABULARY.image_slot, VOCABULARY.region_slot
NOTHING = torch.zeros(0, WIDTH)


@dataclass
class Spliced:
    base: LlamaForCausalLM
    splice: RegionSplice

    def logits(
        self, ids: list[list[int]], regions: list[Tensor], images: list[Tensor] | None = None
    ) -> Tensor:
        with self.splice.bound(regions, images or [NOTHING] * len(regions)):
            return self.base(torch.tensor(ids)).logits

    def embedded(
        self, ids: list[list[int]], regions: list[Tensor], images: list[Tensor] | None = None
    ) -> Tensor:
        """What the first layer reads."""
        with self.splice.bound(regions, images or [NOTHING] * len(regions)):
            return self.base.get_input_embeddings()(torch.tensor(ids))

    def row(self, token: int) -> Tensor:
        return self.splice.input_rows[token - WORDS]

    def word(self, token: int) -> Tensor:
        return self.base.get_input_embeddings().weight[token]


def spliced(dynamic: bool, base: LlamaForCausalLM | None = None) -> Spliced:
    torch.manual_seed(5)
    pointer = RegionPointer(WIDTH, rank=16) if dynamic else None
    splice = random_rows(RegionSplice(VOCABULARY, WIDTH, pointer))
    base = base or transformers_llama()
    splice.install(base.get_input_embeddings(), base.get_output_embeddings())
    return Spliced(base, splice)


@pytest.fixture
def static() -> Spliced:
    return spliced(dynamic=False)


@pytest.fixture
def dynamic() -> Spliced:
    return spliced(dynamic=True)


@pytest.fixture(params=[False, True], ids=["static", "dynamic"])
def either(request: pytest.FixtureRequest) -> Spliced:
    return spliced(dynamic=request.param)


# The base itself


def test_unbound_the_base_is_bit_for_bit_itself(either: Spliced) -> None:
    ids = torch.tensor([[1, 2, 3, 4], [9, 8, 7, 6]])
    untouched = transformers_llama()(ids).logits
    assert torch.equal(either.base(ids).logits, untouched)
    either.logits([[1, R0]], [embeddings(1, 0)])
    assert torch.equal(either.base(ids).logits, untouched)


def test_bound_without_added_tokens_the_words_keep_their_logits(either: Spliced) -> None:
    ids = [[1, 2, 3, 4]]
    bound = either.logits(ids, [embeddings(2, 0)])
    assert torch.equal(bound[..., :WORDS], transformers_llama()(torch.tensor(ids)).logits)


def test_only_this_instance_is_hooked(either: Spliced) -> None:
    other = transformers_llama()
    with either.splice.bound([embeddings(1, 0)], [NOTHING]):
        assert other(torch.tensor([[1, 2]])).logits.shape[-1] == WORDS


def test_the_head_reads_a_cut_row_without_its_prompts_strides(either: Spliced) -> None:
    """Or torch copies the whole weight for it."""
    seen: list[Tensor] = []
    head = either.base.get_output_embeddings()
    head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    for rows in (1, 2):
        cut = torch.randn(rows, 5, WIDTH)[:, -1:]
        with either.splice.bound([embeddings(1, 0)] * rows, [NOTHING] * rows):
            head(cut)
        assert seen[-1].stride() == (WIDTH, WIDTH, 1) and torch.equal(seen[-1], cut)


def test_a_base_with_spare_rows_does_not_predict_them() -> None:
    padded = spliced(dynamic=False, base=transformers_llama(vocab_size=300))
    logits = padded.logits([[1, 2]], [NOTHING])
    assert logits.shape[-1] == VOCABULARY.size
    assert torch.equal(
        logits[..., :WORDS], transformers_llama(vocab_size=300)(torch.tensor([[1, 2]])).logits[..., :WORDS]
    )


# Static vocabulary


def test_slots_are_replaced_in_order(static: Spliced) -> None:
    regions, images = embeddings(2, 0), embeddings(3, 1)
    read = static.embedded([[7, IMAGE, IMAGE, IMAGE, R0, SLOT, R1, SLOT, GROUND]], [regions], [images])[0]
    expected = [
        static.word(7),
        *images,
        static.row(R0),
        regions[0],
        static.row(R1),
        regions[1],
        static.row(GROUND),
    ]
    assert torch.equal(read, torch.stack(expected))


@pytest.mark.parametrize(
    ("ids", "regions", "images", "message"),
    [
        ([R0, SLOT, R1, SLOT], 3, 0, "2 slots for regions, but 3 were given"),
        ([R0, SLOT, R1, SLOT], 1, 0, "2 slots for regions, but 1 were given"),
        ([R0, SLOT], 0, 0, "1 slots for regions, but 0 were given"),
        ([IMAGE, IMAGE, R0, SLOT], 1, 3, "2 slots for image tokens, but 3 were given"),
        ([IMAGE], 0, 0, "1 slots for image tokens, but 0 were given"),
    ],
)
def test_counts_that_disagree(
    static: Spliced, ids: list[int], regions: int, images: int, message: str
) -> None:
    with pytest.raises(PromptError, match=message):
        static.logits([[5, *ids]], [embeddings(regions, 0)], [embeddings(images, 1)])


def test_the_static_head_appends_fixed_rows(static: Spliced) -> None:
    with static.splice.bound([embeddings(2, 0)], [NOTHING]):
        output = static.base(torch.tensor([[7, R0, SLOT, R1, SLOT]]), output_hidden_states=True)
    hidden = output.hidden_states[-1]
    assert output.logits.shape[-1] == VOCABULARY.size
    torch.testing.assert_close(output.logits[..., WORDS:], hidden @ static.splice.output_rows.T)


# Dynamic vocabulary


def test_a_region_name_is_its_row_plus_its_region(dynamic: Spliced) -> None:
    regions = embeddings(3, 0)
    read = dynamic.embedded([[7, R0, R1, R2, GROUND, R1]], [regions])[0]
    expected = [
        dynamic.word(7),
        dynamic.row(R0) + regions[0],
        dynamic.row(R1) + regions[1],
        dynamic.row(R2) + regions[2],
        dynamic.row(GROUND),
        dynamic.row(R1) + regions[1],
    ]
    torch.testing.assert_close(read, torch.stack(expected))


def test_a_region_that_does_not_exist(dynamic: Spliced) -> None:
    with pytest.raises(PromptError, match="names <region2>, but there are 2 regions"):
        dynamic.logits([[7, R0, R2]], [embeddings(2, 0)])
    with pytest.raises(PromptError, match="names <region0>, but there are 0 regions"):
        dynamic.logits([[7, R0]], [NOTHING])


def test_the_dynamic_head_points(dynamic: Spliced) -> None:
    regions = [embeddings(3, 0), embeddings(1, 1), NOTHING]
    with dynamic.splice.bound(regions, [NOTHING] * 3):
        output = dynamic.base(torch.tensor([[7, 8], [7, 9], [1, 2]]), output_hidden_states=True)
    hidden, logits = output.hidden_states[-1], output.logits
    assert logits.shape == (3, 2, VOCABULARY.size)
    for b, own in enumerate(regions):
        written = logits[b, :, WORDS : WORDS + len(own)]
        torch.testing.assert_close(written, dynamic.splice.pointer(hidden[b], own))
        assert (logits[b, :, WORDS + len(own) : WORDS + CAPACITY] < -1e30).all()
    tags = logits[:2, :, WORDS + CAPACITY :]
    torch.testing.assert_close(tags, hidden[:2] @ dynamic.splice.output_rows[CAPACITY:].T)


def test_without_regions_added_tokens_are_out_of_the_question(either: Spliced) -> None:
    logits = either.logits([[7, 8], [7, 8]], [NOTHING, embeddings(1, 0)])
    untouched = transformers_llama()(torch.tensor([[7, 8], [7, 8]])).logits[0]
    assert torch.equal(logits[0, :, :WORDS], untouched)
    torch.testing.assert_close(logits[0].softmax(dim=-1)[:, :WORDS], untouched.softmax(dim=-1))
    assert torch.equal(logits[0, :, :WORDS], logits[1, :, :WORDS])
    assert (logits[0, :, WORDS:] < -1e30).all() and (logits[1, :, GROUND] > -1e30).all()


def test_what_a_region_looks_like_changes_only_its_own_score(dynamic: Spliced) -> None:
    regions = embeddings(3, 0)
    other = regions.clone()
    other[1] += 1.0
    before, after = (dynamic.logits([[7, 8]], [r])[0, -1] for r in (regions, other))
    assert (before != after).nonzero()[:, 0].tolist() == [R1]


def test_a_static_vocabulary_does_not_point(static: Spliced) -> None:
    with pytest.raises(ValueError, match="no pointer"):
        static.splice.region_logits(torch.zeros(1, 1, WIDTH), None)  # type: ignore[arg-type]


# Batches, gradients, errors


def prompts(splice: Spliced) -> tuple[list[list[int]], list[Tensor], list[Tensor]]:
    """Three prompts with 2, 1 and no regions."""
    slot = [] if splice.splice.pointer else [SLOT]
    ids = [
        [7, IMAGE, R0, *slot, R1, *slot, 8, 9],
        [7, IMAGE, R0, *slot, 30, 31],
        [7, IMAGE, 40, 41, 42],
    ]
    return ids, [embeddings(2, 0), embeddings(1, 1), NOTHING], [embeddings(1, s) for s in (2, 3, 4)]


def test_rows_of_a_batch_read_their_own_regions(either: Spliced) -> None:
    ids, regions, images = prompts(either)
    longest = max(map(len, ids))
    together = either.logits([row + [0] * (longest - len(row)) for row in ids], regions, images)
    for b, row in enumerate(ids):
        alone = either.logits([row], [regions[b]], [images[b]])[0]
        torch.testing.assert_close(together[b, : len(row)], alone, atol=1e-5, rtol=0)


def test_rows_that_do_not_divide(either: Spliced) -> None:
    with pytest.raises(PromptError, match="3 rows cannot share 2 sets"):
        either.logits([[R0], [R0], [R0]], [embeddings(1, 0)] * 2)


def test_gradients_flow_to_regions_and_rows_only(either: Spliced) -> None:
    ids, regions, images = prompts(either)
    for tensor in (*regions[:2], *images):
        tensor.requires_grad_()
    longest = max(map(len, ids))
    logits = either.logits([row + [0] * (longest - len(row)) for row in ids], regions, images)
    logits.clamp(min=-1e4).square().sum().backward()
    parameters = dict(either.splice.named_parameters())
    phrase = [parameters.pop(name) for name in list(parameters) if name.startswith("pointer.phrase.")]
    assert all(p.grad is None for p in phrase)  # in free text no phrase is given
    for tensor in (*regions[:2], *images, *parameters.values()):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0
    used = either.splice.input_rows.grad.abs().sum(dim=1).nonzero()[:, 0].tolist()
    assert used == [R0 - WORDS, R1 - WORDS]  # slots are replaced whole
    assert all(p.grad is None for p in either.base.parameters())


def test_an_exception_inside_leaves_nothing_bound(either: Spliced) -> None:
    with pytest.raises(RuntimeError, match="stop"), either.splice.bound([embeddings(1, 0)], [NOTHING]):
        raise RuntimeError("stop")
    with pytest.raises(PromptError):
        either.logits([[SLOT, SLOT]], [embeddings(1, 0)])
    ids = torch.tensor([[1, 2]])
    assert torch.equal(either.base(ids).logits, transformers_llama()(ids).logits)


def test_binding_nests(either: Spliced) -> None:
    outer, inner = embeddings(2, 0), embeddings(1, 1)
    with either.splice.bound([outer], [NOTHING]):
        ids = torch.tensor([[1, R1 if either.splice.pointer else 2]])
        before = either.base(ids).logits
        with either.splice.bound([inner], [NOTHING]):
            either.base(torch.tensor([[1, R0 if either.splice.pointer else 2]]))
        assert torch.equal(either.base(ids).logits, before)


def test_inputs_are_not_changed(either: Spliced) -> None:
    ids, regions, images = prompts(either)
    tokens, kept = torch.tensor([ids[0]]), [t.clone() for t in (regions[0], images[0])]
    copy = tokens.clone()
    with either.splice.bound(regions[:1], images[:1]):
        either.base(tokens)
    assert torch.equal(tokens, copy)
    assert torch.equal(regions[0], kept[0]) and torch.equal(images[0], kept[1])


def test_a_base_in_half_precision(either: Spliced) -> None:
    ids, regions, images = prompts(either)
    exact = either.logits(ids[:1], regions[:1], images[:1])
    either.base.bfloat16()
    rounded = either.logits(ids[:1], regions[:1], images[:1])
    assert rounded.dtype == torch.bfloat16 and not rounded.isnan().any()
    real = exact > -1e30
    assert torch.cosine_similarity(rounded.float()[real], exact[real], dim=0) > 0.99


# Generation


def generated(
    splice: Spliced, ids: list[list[int]], regions: list[Tensor], images: list[Tensor], **options
) -> Tensor:
    longest = max(map(len, ids))
    padded = torch.tensor([[0] * (longest - len(row)) + row for row in ids])
    attended = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
    config = GenerationConfig(max_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=None, **options)
    with splice.splice.bound(regions, images), torch.inference_mode():
        return splice.base.generate(padded, attention_mask=attended, generation_config=config)[:, longest:]


def greedy(splice: Spliced, ids: list[int], regions: Tensor, images: Tensor, steps: int = 6) -> list[int]:
    """The whole sequence anew for every token: no cache, no padding."""
    line = list(ids)
    for _ in range(steps):
        line.append(int(splice.logits([line], [regions], [images])[0, -1].argmax()))
    return line[len(ids) :]


def favour_regions(splice: Spliced) -> None:
    """Makes added tokens likely, so that they are generated and read back."""
    if splice.splice.pointer is not None:
        splice.splice.pointer.gain.data.fill_(4.0)
        splice.splice.pointer.bias.data.fill_(3.0)
    else:
        splice.splice.output_rows.data.mul_(4)


def test_left_padded_batch_generates_as_single_runs(either: Spliced) -> None:
    favour_regions(either)
    ids, regions, images = prompts(either)
    together = generated(either, ids, regions, images).tolist()
    assert together == [greedy(either, *one) for one in zip(ids, regions, images, strict=True)]
    assert (
        max(max(row) for row in together) >= WORDS
    )  # the case is real: added tokens were written and read back
    assert max(max(row) for row in together) < VOCABULARY.size


def beam_search(splice: Spliced, ids: list[int], regions: Tensor, images: Tensor, beams: int) -> list[int]:
    """Sums of log probabilities, all beams of one length: no token ends the answer."""
    lines: list[tuple[float, list[int]]] = [(0.0, [])]
    for _ in range(6):
        longer = []
        for total, line in lines:
            chance = splice.logits([ids + line], [regions], [images])[0, -1].log_softmax(dim=-1)
            values, tokens = chance.topk(beams)
            longer += [(total + float(v), [*line, int(t)]) for v, t in zip(values, tokens, strict=True)]
        lines = sorted(longer, key=lambda pair: -pair[0])[:beams]
    return lines[0][1]


def test_beams(either: Spliced) -> None:
    favour_regions(either)
    ids, regions, images = prompts(either)
    found = generated(either, ids, regions, images, num_beams=2).tolist()
    with torch.inference_mode():
        expected = [beam_search(either, *one, beams=2) for one in zip(ids, regions, images, strict=True)]
    assert found == expected


def test_repetition_penalty(either: Spliced) -> None:
    favour_regions(either)
    ids, regions, images = prompts(either)
    out = generated(either, ids, regions, images, repetition_penalty=1.5)
    assert out.shape == (3, 6) and int(out.max()) < VOCABULARY.size
