"""What a model computes on the way to an answer, by the names of the recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fo1 import FO1, Message
from fo1.encoders.feature_maps import FeatureMaps
from fo1.model import RegionModel
from fo1.trace import marked, trace
from golden.recordings import UNUSED_BOX, Case

Before = Callable[[tuple[Any, ...], dict[str, Any]], None]
After = Callable[[Any], None]


class Observer:
    """Collects the first value of each name, and the logits of every step."""

    def __init__(self) -> None:
        self.seen: dict[str, Tensor] = {}
        self.steps: list[Tensor] = []

    def keep(self, name: str, value: Tensor) -> None:
        self.seen.setdefault(name, value.detach().clone())

    def keep_branch(self, maps: str, boxes: str, features: FeatureMaps, given: Tensor) -> None:
        for level, one in enumerate(features.maps):
            self.keep(f"{maps}{level}.0", one)
        self.keep(boxes, given)


@contextmanager
def observed(model: RegionModel) -> Iterator[Observer]:
    """Within this context an observer sees what passes between the model's parts. Nothing is changed."""
    observer = Observer()
    keep = observer.keep
    base: Any = model.base
    auxiliary: Any = model.auxiliary
    encoder: Any = model.encoder
    visual, first = base.model.visual, auxiliary.backbone.convs[0]
    before: list[tuple[nn.Module, Before]] = [
        (visual, lambda args, kwargs: keep("primary_pixel_values", args[0])),
        (visual, lambda args, kwargs: keep("image_grid_thw", kwargs["grid_thw"])),
        (first, lambda args, kwargs: keep("aux_pixel_values", args[0])),
        (encoder.auxiliary, lambda args, _: observer.keep_branch("davit_l", "aux_boxes_in.0", *args)),
        (encoder.primary, lambda args, _: observer.keep_branch("vit_level", "vt_boxes_in.0", *args)),
        (encoder.connector, lambda args, kwargs: keep("hfre_out.0", args[0])),
        (base, lambda args, kwargs: keep("prompt", kwargs["input_ids"])),
        (base.get_decoder(), lambda args, kwargs: keep("inputs_embeds.0", kwargs["inputs_embeds"])),
        # Of the four rows, the first are plain positions, for the causal mask.
        (base.get_decoder(), lambda args, kwargs: keep("position_ids.0", kwargs["position_ids"][-3:])),
    ]
    after: list[tuple[nn.Module, After]] = [
        (visual, lambda out: keep("vit_merged.0", out.pooler_output)),
        (encoder.auxiliary, lambda out: keep("pooled_auxiliary", out)),
        (encoder.primary, lambda out: keep("pooled_primary", out)),
        (encoder.connector, lambda out: keep("region_tokens.0", out)),
        *(
            (level, lambda out, name=f"fpn_l{number}.0": keep(name, out))
            for number, level in enumerate(encoder.primary.pyramid.levels)
        ),
        (base.lm_head, lambda out: observer.steps.append(out[:, -1].clone())),
    ]
    handles = [
        module.register_forward_pre_hook(lambda _, args, kwargs, see=see: see(args, kwargs), with_kwargs=True)
        for module, see in before
    ]
    handles += [module.register_forward_hook(lambda _, args, out, see=see: see(out)) for module, see in after]
    try:
        yield observer
    finally:
        for handle in handles:
            handle.remove()


def run(fo1: FO1, case: Case, new_tokens: int) -> dict[str, Tensor | str]:
    """Asks what was asked in a case, the way a user would, and returns what was seen."""
    model = fo1.model
    base: Any = model.base
    with observed(model) as observer:
        if case.system is not None or case.before:
            answer = _chat(fo1, case, new_tokens)
        else:
            answer = _trace(fo1, case, new_tokens)
    steps = torch.cat(observer.steps)
    top = steps.topk(10)
    (prompt,) = observer.seen.pop("prompt").tolist()
    return observer.seen | {
        "answer": answer,
        "input_ids": torch.tensor(marked(model, [base.config.image_token_id], prompt)),
        "rope_deltas.0": base.model.rope_deltas,
        "first_step_logits": steps[0],
        "step_top10_values": top.values,
        "step_top10_ids": top.indices,
        "generated_ids": steps.argmax(dim=1),
    }


def _chat(fo1: FO1, case: Case, new_tokens: int) -> str:
    scene = fo1.look(case.picture, case.boxes)
    messages = [] if case.system is None else [Message("system", case.system)]
    content = [case.before, scene, case.question] if case.before else [scene, case.question]
    return fo1.chat([*messages, Message("user", content)], max_new_tokens=new_tokens)


def _trace(fo1: FO1, case: Case, new_tokens: int) -> str:
    if case.name == UNUSED_BOX:
        fo1.look(case.picture, case.boxes)
    boxes = [] if case.name == UNUSED_BOX else case.boxes
    traced = trace(fo1.model, case.picture, boxes, case.question, new_tokens)
    return fo1.model.prompts.tokenizer.decode(traced["generated_ids"].tolist()).strip()
