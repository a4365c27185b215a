"""From prompts to text, in batches on which no answer depends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
)

from fo1.errors import PromptError
from fo1.grammar import Grammar
from fo1.model import Encoded, RegionModel
from fo1.prefixes import reading
from fo1.processors import Chances, Watch, WellFormed, WordsOnly


@dataclass(frozen=True)
class Written:
    """One generated answer. ids: without the end. text: tags and region names included.

    chances: how likely each token was, of those that could be written; not known of beams.
    watched: (T, W) scores of the watched tokens at each step, before any rule; None if there are none.
    """

    ids: tuple[int, ...]
    text: str
    chances: tuple[float, ...]
    watched: Tensor | None = field(default=None, compare=False, repr=False)


@torch.inference_mode()
def generate(
    model: RegionModel,
    prompts: Sequence[Sequence[int]],
    shown: Sequence[Sequence[Encoded]],
    max_new_tokens: int = 48,
    beams: int = 1,
    repetition_penalty: float = 1.0,
    grammars: Sequence[Grammar] = (),
    watched: Sequence[int] = (),
) -> list[Written]:
    """The likeliest continuation of each prompt, as one batch.

    Of prompts that begin with one image each, what was read for an earlier question is not read again.
    shown: for each prompt, the images in it, in order. beams: continuations followed at once; with one, the
    likeliest token is taken at every step. repetition_penalty: above 1, makes what the answer has said
    already less likely; the prompt does not count, or asking about regions would keep them from being named.
    grammars: one per prompt, which its answer keeps to; none: anything goes. watched: tokens whose scores are
    noted at every step.
    Raises `PromptError` for settings that make no sense, and if no answer that a grammar allows is so short.
    """
    check(max_new_tokens, beams, repetition_penalty)
    needed = max((grammar.needed(grammar.start) for grammar in grammars), default=0)
    if needed > max_new_tokens:
        raise PromptError(f"max_new_tokens is {max_new_tokens}; the answer to these labels takes {needed}")
    if not prompts:
        return []
    batch = reading(model, prompts, shown, beams)
    longest = batch.ids.shape[1]
    watch, chances = Watch(watched), Chances()
    processors = LogitsProcessorList([watch] if watched and beams == 1 else [])
    processors += rules(model, grammars, longest, max_new_tokens, repetition_penalty)
    if beams == 1:
        processors.append(chances)
    run = cast(Callable[..., Any], model.base.generate)
    with model.splice.bound(
        [torch.cat([one.embeddings for one in row]) if row else _nothing(model) for row in shown],
        [torch.cat([one.image_tokens for one in row]) if row else _nothing(model) for row in shown],
    ):
        sequences: Tensor = run(
            batch.ids,
            generation_config=greedy(model, max_new_tokens, beams),
            logits_processor=processors,
            **batch.inputs,
        )
    likely = chances.rows() if beams == 1 else [[]] * len(sequences)
    seen = watch.rows() if watch.steps else [None] * len(sequences)
    return [
        _written(model, row, *notes)
        for row, *notes in zip(sequences[:, longest:].tolist(), likely, seen, strict=True)
    ]


def rules(
    model: RegionModel,
    grammars: Sequence[Grammar],
    start: int,
    max_new_tokens: int,
    repetition_penalty: float,
) -> LogitsProcessorList:
    """What answers to a batch of prompts, `start` tokens long with their padding, are bound by."""
    bound = LogitsProcessorList()
    if repetition_penalty != 1:
        bound.append(RepetitionPenaltyLogitsProcessor(repetition_penalty, start))
    if model.splice.pointer is not None:
        bound.append(WordsOnly(model.prompts.vocabulary.first_region))
    if grammars:
        bound.append(WellFormed(grammars, start, max_new_tokens))
    return bound


def generate_text(
    model: RegionModel,
    encoded: Sequence[Encoded],
    questions: Sequence[str],
    max_new_tokens: int = 48,
    beams: int = 1,
    repetition_penalty: float = 1.0,
    grammars: Sequence[Grammar] = (),
    watched: Sequence[int] = (),
) -> list[Written]:
    """Answers to one question per image; see `generate`.

    Raises `PromptError` for an empty question, and if there is not one for each image.
    """
    if len(questions) != len(encoded):
        raise PromptError(f"{len(questions)} questions for {len(encoded)} images")
    prompts = [prompt(model, one, question) for one, question in zip(encoded, questions, strict=True)]
    shown = [[one] for one in encoded]
    return generate(model, prompts, shown, max_new_tokens, beams, repetition_penalty, grammars, watched)


def prompt(model: RegionModel, shown: Encoded, question: str) -> list[int]:
    """Token ids of one question about one image. Raises `PromptError` for an empty question."""
    if not question.strip():
        raise PromptError("the question is empty")
    count = len(shown.regions)
    return model.prompts.prefix(shown.sight.ids, count) + model.prompts.question(question, count)


def text_grammars(model: RegionModel, regions: Sequence[int]) -> list[Grammar]:
    """Of free text to prompts that show so many regions; none for a model whose text is words only."""
    if model.splice.pointer is not None:
        return []
    return [Grammar(model.prompts, model.stop_ids, count) for count in regions]


def check(max_new_tokens: int, beams: int = 1, repetition_penalty: float = 1.0) -> None:
    """Raises `PromptError` for settings that make no sense."""
    if max_new_tokens < 1 or beams < 1:
        raise PromptError(f"max_new_tokens and beams must be at least 1, got {max_new_tokens} and {beams}")
    if not repetition_penalty > 0:
        raise PromptError(f"repetition_penalty must be above 0, got {repetition_penalty}; 1 is none")


def greedy(model: RegionModel, max_new_tokens: int, beams: int = 1, **options: Any) -> GenerationConfig:
    """Settings of `generate`: all that a base's own could change; it must neither sample nor penalise."""
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        num_beams=beams,
        repetition_penalty=1.0,
        eos_token_id=list(model.stop_ids),
        pad_token_id=model.prompts.stop_id,
        **options,
    )


def _nothing(model: RegionModel) -> Tensor:
    table = model.base.get_input_embeddings().get_parameter("weight")
    return table.new_zeros(0, table.shape[1])


def _written(model: RegionModel, row: list[int], chances: Sequence[float], watched: Tensor | None) -> Written:
    """A row of new tokens, cut at its end."""
    end = next((i for i, token in enumerate(row) if token in model.stop_ids), len(row))
    return Written(tuple(row[:end]), words(model, row[:end]), tuple(chances[:end]), watched)


def words(model: RegionModel, ids: Sequence[int]) -> str:
    """The text of an answer, tags and region names included."""
    return cast(str, model.prompts.tokenizer.decode(list(ids))).strip()
