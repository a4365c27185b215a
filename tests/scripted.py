"""Models whose weights are random, made to say what a test wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from fo1.model import RegionModel
from fo1.prefixes import Reading, reading
from fo1.trace import marked


@contextmanager
def saying(
    model: RegionModel,
    *texts: str | Sequence[int],
    chances: Mapping[str, float] | None = None,
    usual: float = 0.9,
) -> Iterator[None]:
    """Within this context the n-th answer is the n-th text, special tokens and all, or those token ids.

    Answers of a batch count one by one, batches one after another.
    chances: how likely tokens are, by their text, when they are written; `usual` for others.
    """
    words = {model.prompts.template(text)[0]: chance for text, chance in (chances or {}).items()}
    ids = [model.prompts.template(text) if isinstance(text, str) else text for text in texts]
    waiting = [[*answer, model.prompts.stop_id] for answer in ids]
    batch: list[list[int]] = []

    def write(_: nn.Module, __: tuple[Any, ...], logits: Tensor) -> Tensor:
        nonlocal batch
        if not any(batch):
            batch = [waiting.pop(0) for _ in range(len(logits))]
        out = torch.zeros_like(logits)
        for row, script in enumerate(batch):
            token = script.pop(0) if script else model.prompts.stop_id
            chance = torch.tensor(words.get(token, usual))
            out[row, -1, token] = chance.logit() + torch.tensor(logits.shape[-1] - 1.0).log()
        return out

    handle = model.base.get_output_embeddings().register_forward_hook(write)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def ids_given(model: RegionModel) -> Iterator[list[list[int]]]:
    """Collects the prompts a model answers, whole, as token ids."""
    seen: list[list[int]] = []

    def read(by: RegionModel, prompts: Sequence[Sequence[int]], *rest: Any) -> Reading:
        seen.extend(list(prompt) for prompt in prompts if by is model)
        return reading(by, prompts, *rest)

    # Not by a hook: the base is given of a prompt only what it has not read before.
    with patch("fo1.decoding.reading", read):
        yield seen


@contextmanager
def prompts_read(model: RegionModel) -> Iterator[list[str]]:
    """As `ids_given`, as text, there at the end; `{f}` stands for a feature, `{image}` for an image."""
    texts: list[str] = []
    with ids_given(model) as seen:
        yield texts
        texts += [readable(model, prompt) for prompt in seen]


def readable(model: RegionModel, ids: Sequence[int]) -> str:
    """Token ids as text."""
    image, region = "{image}", "{f}"
    placeholder: Any = model.base.config.image_token_id
    text, run = "", []
    for token in marked(model, [placeholder], ids):
        if token >= 0:
            run.append(token)
            continue
        text += model.prompts.tokenizer.decode(run) + (image if token == -200 else region)
        run = []
    return text + model.prompts.tokenizer.decode(run)
