"""Two recorded runs as one batch: right-padded as recorded, and left-padded as our own code generates."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from fo1 import FO1
from fo1.model import Encoded
from fo1.types import Regions
from golden.observe import observed
from golden.recordings import CASES, Case, close, picture, recorded

BATCH = recorded("batch_c1_c2_prefill")
TOGETHER = [CASES["c1_s1_od_13boxes"], CASES["c2_s2_count_5boxes"]]


def encoded(model: FO1, cases: Sequence[Case]) -> list[Encoded]:
    images = [picture(case.image) for case in cases]
    given = [Regions.of(case.boxes, image.size) for case, image in zip(cases, images, strict=True)]
    return model.model.encode(images, given)


@torch.inference_mode()
def test_right_padded_prefill(released: FO1) -> None:
    model = released.model
    shown = encoded(released, TOGETHER)
    prompts = [
        model.prompts.prefix(one.sight.ids, len(one.regions))
        + model.prompts.question(case.question, len(one.regions))
        for case, one in zip(TOGETHER, shown, strict=True)
    ]
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([prompt + [model.prompts.stop_id] * (longest - len(prompt)) for prompt in prompts])
    real = torch.tensor([[1] * len(prompt) + [0] * (longest - len(prompt)) for prompt in prompts])
    with model.bound(shown), observed(model) as observer:
        inputs = model.family.inputs(ids, [one.sight for one in shown])
        logits = model.base(input_ids=ids, attention_mask=real, use_cache=False, **inputs).logits
    last = [len(prompt) - 1 for prompt in prompts]
    assert last == BATCH["last_index"].tolist()
    close(logits[range(2), last], BATCH, "last_logits", 3e-5)  # 5.7e-6 seen
    # The recorded shift counts from the padded length, that of today's transformers from a prompt's own.
    shift = model.base.model.rope_deltas - BATCH["rope_deltas.0"]
    assert shift.flatten().tolist() == [longest - 1 - end for end in last]
    for row, length in enumerate(real.sum(dim=1).tolist()):  # what stands at the padding does not matter
        read, want = observer.seen["inputs_embeds.0"][row, :length], BATCH["inputs_embeds.0"][row, :length]
        torch.testing.assert_close(read, want, atol=4e-5, rtol=0)  # 1.2e-5 seen
        positions = observer.seen["position_ids.0"][:, row, :length]
        assert torch.equal(positions, BATCH["position_ids.0"][:, row, :length])


@torch.inference_mode()
def test_each_image_is_encoded_as_if_alone(released: FO1) -> None:
    for row, one in enumerate(encoded(released, TOGETHER)):
        (merged,) = one.sight.outputs.pooler_output
        close(merged, BATCH, f"vit_merged.{row}", 1e-5)  # 5.2e-6 seen
        close(one.embeddings, BATCH, f"region_tokens.{row}", 4e-5)  # 1.2e-5 seen


@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_of_very_different_prompts_gives_the_single_answers(released: FO1, beams: int) -> None:
    """13 tokens to 261, with 5 regions, none and 100; left-padded."""
    cases = [CASES[name] for name in ("c2_s2_count_5boxes", "c4_s2_no_boxes", "c5_s1_100boxes")]
    scenes = released.look_many([case.picture for case in cases], [case.boxes for case in cases])
    questions = [case.question for case in cases]
    together = released.ask_many(scenes, questions, max_new_tokens=4, beams=beams)
    alone = [
        scene.ask(question, max_new_tokens=4, beams=beams)
        for scene, question in zip(scenes, questions, strict=True)
    ]
    assert together == alone
    if beams == 1:
        decode = released.model.prompts.tokenizer.decode
        ids = [recorded(case.name)["generated_ids"][:4].tolist() for case in cases]
        assert together == [decode(row).strip() for row in ids]
