"""From prompts to answers: every region scored at once, and generated text in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from fo1.errors import PromptError
from fo1.model import Encoded, RegionModel
from fo1.prompts.parsing import Answer, Grounding, parse_answer, renumbered
from fo1.prompts.tasks import TaskSpec
from fo1.prompts.tree import PromptTree

LABELS_PER_QUESTION = 10  # as many as training asks at once
LABELS_PER_PASS = 80


@torch.inference_mode()
def region_scores(
    model: RegionModel, encoded: Encoded, task: TaskSpec, labels: Sequence[str], temperature: float = 1.0
) -> Tensor:
    """The chance that each region belongs to each label, (L, N) float32, without generating a token.

    The answer to a grounding task opens with `<ground>label</ground><objects>`; what is open is only which
    regions follow, and the pointer scores them all at that position. Regions beyond the model's capacity are
    asked about in groups, each of which does not see the others.
    """
    if model.splice.pointer is None:
        raise ValueError("region_scores needs a dynamic region vocabulary")
    if not labels or not len(encoded.regions):
        return torch.zeros(len(labels), len(encoded.regions))
    phrases = model.phrase_embeddings(labels)
    groups = []
    for group in encoded.groups(model.capacity):
        states = _label_states(model, group, task, labels)
        logits = model.region_logits(states, group.embeddings, group.evidence, phrases)
        groups.append((logits / temperature).sigmoid().float().cpu())
    return torch.cat(groups, dim=1)


def _label_states(model: RegionModel, encoded: Encoded, task: TaskSpec, labels: Sequence[str]) -> Tensor:
    """The hidden state at which each label's regions are named, (L, D).

    For a base without eyes labels are branches of one prompt tree: they share the image and the regions and
    do not see each other's answers. Other bases number their positions their own way: there each is a row.
    """
    prompts, count = model.prompts, len(encoded.regions)
    states = []
    for start in range(0, len(labels), LABELS_PER_PASS):
        tree, leaves = PromptTree(), []
        root = tree.add(prompts.prefix(encoded.sight.ids, count))
        for first in range(start, min(start + LABELS_PER_PASS, len(labels)), LABELS_PER_QUESTION):
            asked = labels[first : min(first + LABELS_PER_QUESTION, start + LABELS_PER_PASS)]
            question = tree.add(prompts.question(task.fill(*asked), count), root)
            leaves += [tree.add(prompts.naming(label, count), question) for label in asked]
        if model.family.blind:
            (hidden,) = model.hidden_states([tree], [encoded.embeddings], [encoded.image_tokens])
            states.append(hidden[[tree.last(leaf) for leaf in leaves]])
        else:
            paths = [tree.path(leaf) for leaf in leaves]
            states += [
                model.last_states(paths[i : i + LABELS_PER_QUESTION], encoded)
                for i in range(0, len(paths), LABELS_PER_QUESTION)
            ]
    return torch.cat(states)


class WordsOnly(LogitsProcessor):
    """Keeps added tokens out of free text."""

    def __init__(self, first_added: int) -> None:
        self.first_added = first_added

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores[:, self.first_added :] = torch.finfo(scores.dtype).min
        return scores


@dataclass(frozen=True)
class Written:
    """One generated answer. ids: without the end. text: tags and region names included.

    chances: how likely each token was when it was written.
    """

    ids: tuple[int, ...]
    text: str
    chances: tuple[float, ...]


@torch.inference_mode()
def generate(
    model: RegionModel,
    prompts: Sequence[Sequence[int]],
    shown: Sequence[Sequence[Encoded]],
    max_new_tokens: int = 48,
    beams: int = 1,
) -> list[Written]:
    """The likeliest continuation of each prompt, as one batch, on the rest of which no answer depends.

    shown: for each prompt, the images in it, in order.
    """
    if not prompts:
        return []
    longest = max(len(ids) for ids in prompts)
    stop = model.prompts.stop_id
    ids = torch.tensor([[stop] * (longest - len(p)) + list(p) for p in prompts], device=model.device)
    real = [[0] * (longest - len(p)) + [1] * len(p) for p in prompts]
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=beams,
        repetition_penalty=1.0,
        eos_token_id=list(model.stop_ids),
        pad_token_id=stop,
        return_dict_in_generate=True,
        output_logits=beams == 1,
    )
    silent = [] if model.splice.pointer is None else [WordsOnly(model.prompts.vocabulary.first_region)]
    run = cast(Callable[..., object], model.base.generate)
    with model.splice.bound(
        [torch.cat([one.embeddings for one in row]) if row else _nothing(model) for row in shown],
        [torch.cat([one.image_tokens for one in row]) if row else _nothing(model) for row in shown],
    ):
        output = run(
            ids,
            attention_mask=torch.tensor(real, device=model.device),
            generation_config=config,
            logits_processor=LogitsProcessorList(silent),
            **model.family.inputs(ids, [one.sight for row in shown for one in row]),
        )
    return _written(model, output, longest)


def _nothing(model: RegionModel) -> Tensor:
    table = model.base.get_input_embeddings().get_parameter("weight")
    return table.new_zeros(0, table.shape[1])


def _written(model: RegionModel, output: object, prompt: int) -> list[Written]:
    """Cuts each row at its end, and looks up how likely its tokens were."""
    rows = output.sequences[:, prompt:].tolist()  # type: ignore[attr-defined]
    logits = output.logits  # type: ignore[attr-defined]
    answers = []
    for number, row in enumerate(rows):
        ends = [i for i, token in enumerate(row) if token in model.stop_ids]
        ids = tuple(row[: ends[0]] if ends else row)
        steps = logits[: len(ids)] if logits is not None else ()
        chances = [
            step[number].float().softmax(0)[token].item() for step, token in zip(steps, ids, strict=False)
        ]
        text = cast(str, model.prompts.tokenizer.decode(list(ids)))
        answers.append(Written(ids, text.strip(), tuple(chances)))
    return answers


def generate_text(
    model: RegionModel,
    encoded: Sequence[Encoded],
    questions: Sequence[str],
    max_new_tokens: int = 48,
    beams: int = 1,
) -> list[Written]:
    """Answers to one question per image.

    Raises `PromptError` for an empty question, and if there is not one for each image.
    """
    if len(questions) != len(encoded):
        raise PromptError(f"{len(questions)} questions for {len(encoded)} images")
    if any(not question.strip() for question in questions):
        raise PromptError("the question is empty")
    prompts = [
        model.prompts.prefix(one.sight.ids, len(one.regions))
        + model.prompts.question(question, len(one.regions))
        for one, question in zip(encoded, questions, strict=True)
    ]
    return generate(model, prompts, [[one] for one in encoded], max_new_tokens, beams)


def named_scores(
    model: RegionModel, encoded: Encoded, task: TaskSpec, labels: Sequence[str]
) -> tuple[Answer, NDArray[np.float32]]:
    """Asks a model with a static region vocabulary, which answers in text, for regions of labels.

    Returns the answer, and for each label and region (L, N) how likely the region's name was when it was
    written, 0 for regions not named. Regions beyond the model's capacity are asked about in groups.
    """
    scores = np.zeros((len(labels), len(encoded.regions)), np.float32)
    if not len(encoded.regions):
        return Answer(""), scores
    groups = encoded.groups(model.capacity)
    words = sum(len(model.prompts.phrase(label)) + 8 for label in labels)
    answers = generate_text(
        model, groups, [task.fill(*labels)] * len(groups), words + min(model.capacity, len(encoded.regions))
    )
    texts: list[str] = []
    groundings: list[Grounding] = []
    unknown: list[int] = []
    for number, (group, written) in enumerate(zip(groups, answers, strict=True)):
        first = number * model.capacity
        answer = parse_answer(written.text, len(group.regions))
        for grounding in answer.groundings:
            regions = tuple(first + index for index in grounding.regions)
            groundings.append(Grounding(grounding.phrase, regions))
            row = _asked(grounding.phrase, labels)
            for index in grounding.regions if row is not None else ():
                token = model.prompts.vocabulary.region(index)
                chance = max(c for t, c in zip(written.ids, written.chances, strict=True) if t == token)
                scores[row, first + index] = chance
        moved = {i: first + i for i in range(len(group.regions))}
        texts.append(renumbered(written.text, moved))
        unknown += [first + index for index in answer.unknown_regions]
    return Answer("\n".join(texts), tuple(groundings), tuple(unknown)), scores


def _asked(phrase: str, labels: Sequence[str]) -> int | None:
    """Which label an answer's phrase repeats; a single label is meant whatever the answer calls it."""
    if len(labels) == 1:
        return 0
    folded = [label.casefold() for label in labels]
    return folded.index(phrase.casefold()) if phrase.casefold() in folded else None
