"""`trace`: what a model reads and writes for one question, number by number, to compare two installations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from fo1.decoding import greedy
from fo1.errors import PromptError
from fo1.images import ImageSource, load_image
from fo1.model import RegionModel
from fo1.types import Regions

IMAGE, REGION = -200, -300
"""What stands for an image, and for a region's feature, in the traced `input_ids`."""


@torch.inference_mode()
def trace(
    model: RegionModel, image: ImageSource, boxes: ArrayLike, text: str, max_new_tokens: int = 8
) -> dict[str, Tensor]:
    """Runs one question greedily.

    boxes: (N, 4) xyxy pixels of the original image; taken as they are, inverted and empty ones included.
    text: the raw instruction.
    Returns `input_ids` (T,) with -200 for the image and -300 for a region's feature, `region_tokens` (N, D),
    `position_ids` of the whole prompt as the base's text model gets them, `first_step_logits` (V,) and
    `generated_ids`; all float32 or int64.
    Raises `PromptError` for an empty text, and for more boxes than one prompt can hold.
    """
    if not text.strip():
        raise PromptError("the text is empty")
    picture = load_image(image)
    regions = Regions.of(boxes, picture.size)
    count = len(regions)
    if count > model.capacity:
        raise PromptError(f"{count} boxes, but one prompt can hold {model.capacity}; trace fewer")
    (encoded,) = model.encode([picture], [regions])
    question = model.prompts.question(text, count)
    ids = torch.tensor([[*model.prompts.prefix(encoded.sight.ids, count), *question]], device=model.device)
    generate = cast(Callable[..., Any], model.base.generate)
    with model.lock, model.bound([encoded]), _positions(model.base.get_decoder()) as positions:
        output = generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=greedy(model, max_new_tokens, return_dict_in_generate=True, output_logits=True),
            **model.family.inputs(ids, [encoded.sight]),
        )
    return {
        "input_ids": torch.tensor(marked(model, encoded.sight.ids, ids[0].tolist())),
        "region_tokens": encoded.embeddings.float().cpu(),
        "position_ids": positions[0][-3:].cpu(),  # of M-RoPE; some bases put plain positions before them
        "first_step_logits": output.logits[0][0].float().cpu(),
        "generated_ids": output.sequences[0, ids.shape[1] :].cpu(),
    }


def marked(model: RegionModel, image: Sequence[int], ids: Sequence[int]) -> list[int]:
    """A prompt's ids with one -200 where the image's placeholders are, and -300 for each region's feature."""
    placeholder = Counter(image).most_common(1)[0][0]
    out: list[int] = []
    for token in ids:
        if token == placeholder:
            if out[-1:] != [IMAGE]:
                out.append(IMAGE)
        else:
            out.append(REGION if token == model.prompts.vocabulary.region_slot else token)
    return out


@contextmanager
def _positions(decoder: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the position ids that a text model is given, prompt first."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if kwargs.get("position_ids") is not None:
            seen.append(kwargs["position_ids"])

    handle = decoder.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()
