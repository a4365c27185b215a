"""Which regions are what: scored by the pointer, or read off a written answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from fo1.decoding import Written, generate_text
from fo1.forest import read_on
from fo1.grammar import Grammar
from fo1.model import Encoded, RegionModel
from fo1.prompts.parsing import named_regions
from fo1.prompts.tasks import TaskSpec
from fo1.prompts.tree import PromptTree
from fo1.rating import Rating, read_freely, read_lists, watched_ids
from fo1.views import View, views

LABELS_PER_QUESTION = 10  # as many as training asks at once
QUESTIONS_PER_PASS = 4
VIEWS_PER_BATCH = 4  # of a model that writes, so that memory does not grow with the regions
WORDS_TO_SPARE = 32  # for what an answer says beside labels and regions


@torch.inference_mode()
def region_scores(
    model: RegionModel, encoded: Encoded, task: TaskSpec, labels: Sequence[str], temperature: float = 1.0
) -> Tensor:
    """The chance that each region belongs to each label, (L, N) float32, without generating a token.

    The answer to a grounding task opens with `<ground>label</ground><objects>`; what is open is only which
    regions follow, and the pointer scores them all at that position. Regions beyond the model's capacity are
    asked about in groups, which do not see each other, only the regions that labels name.
    """
    if model.splice.pointer is None:
        raise ValueError("region_scores needs a dynamic region vocabulary")
    scores = torch.zeros(len(labels), len(encoded.regions))
    if not scores.numel():
        return scores
    phrases = model.phrase_embeddings(labels)
    for view in label_views(model, encoded, labels):
        group = view.of(encoded)
        states = _label_states(model, group, task, [view.inward(label) for label in labels])
        scores[:, list(view.rows)] = state_scores(model, group, states, phrases, temperature)
    return scores


def state_scores(
    model: RegionModel, encoded: Encoded, states: Tensor, phrases: Tensor, temperature: float = 1.0
) -> Tensor:
    """The chance that each region belongs to each label, (L, N) float32, on the CPU.

    states: (L, D), where each label's regions are named (see `label_paths`). phrases: `phrase_embeddings`.
    """
    named = _names(model, encoded)
    logits = model.region_logits(states, encoded.embeddings, encoded.evidence, phrases, named)
    if model.lexicon is not None and len(phrases) > 1:
        logits = logits - model.lexicon.contest(logits, phrases)
    return (logits / temperature).sigmoid().float().cpu()


@torch.inference_mode()
def name_chances(
    model: RegionModel, encoded: Encoded, names: Sequence[str], temperature: float = 1.0
) -> Tensor:
    """The chance of each name among all of them for each region, (L, N) on the CPU, before any question."""
    phrases = model.phrase_embeddings(names)
    logits = model.own_logits(None, encoded.embeddings, encoded.evidence, phrases)
    return (logits / temperature).softmax(dim=0).float().cpu()


def label_paths(
    model: RegionModel, encoded: Encoded, task: TaskSpec, labels: Sequence[str]
) -> list[list[int]]:
    """For each label the prompt up to where its regions are named, as it reads alone."""
    questions = [labels[i : i + LABELS_PER_QUESTION] for i in range(0, len(labels), LABELS_PER_QUESTION)]
    asked = (_question(model, encoded, task, names) for names in questions)
    return [tree.path(tree.segment(place)) for tree, places in asked for place in places]


def named_scores(
    model: RegionModel,
    encoded: Encoded,
    task: TaskSpec,
    labels: Sequence[str],
    constrained: bool = True,
    temperature: float = 1.0,
) -> Rating:
    """Asks a model with a static region vocabulary, which answers in text, for regions of labels.

    Regions beyond the model's capacity are asked about in groups, as in `region_scores`.
    constrained: the answer keeps to the task's grammar, and every region gets a score. Otherwise the model
    says what it likes, and only regions that it names have one.
    temperature: divides the log-odds of a constrained answer's scores.
    """
    total, vocabulary = len(encoded.regions), model.prompts.vocabulary
    read = partial(read_lists, temperature=temperature) if constrained else read_freely
    if not (labels and total):
        return read(vocabulary, labels, total, [])
    words = WORDS_TO_SPARE + sum(len(model.prompts.phrase(label)) + 8 for label in labels)
    shown = label_views(model, encoded, labels)
    said: list[Written] = []
    for start in range(0, len(shown), VIEWS_PER_BATCH):
        batch = shown[start : start + VIEWS_PER_BATCH]
        asked = [[view.inward(label) for label in labels] for view in batch]
        grammars = [
            Grammar(model.prompts, model.stop_ids, len(view.rows), task.answer, names)
            for view, names in zip(batch, asked, strict=True)
        ]
        said += generate_text(
            model,
            [view.of(encoded) for view in batch],
            [task.fill(*names) for names in asked],
            words + min(model.capacity, total),
            grammars=grammars if constrained else (),
            watched=watched_ids(vocabulary, grammars[0].none[0]) if constrained else (),
        )
    return read(vocabulary, labels, total, list(zip(shown, said, strict=True)))


def _names(model: RegionModel, encoded: Encoded) -> Tensor | None:
    """How well known names suit the regions, which is the same for every question; None without a lexicon."""
    if model.lexicon is not None and not encoded.named:
        encoded.named.append(model.name_logits(encoded.embeddings, encoded.evidence))
    return encoded.named[0] if encoded.named else None


def label_views(model: RegionModel, encoded: Encoded, labels: Sequence[str]) -> list[View]:
    """Which regions are asked about together; those that labels name, always."""
    named = [number for label in labels for number in named_regions(label)]
    return views(len(encoded.regions), model.capacity, named)


def _label_states(model: RegionModel, encoded: Encoded, task: TaskSpec, labels: Sequence[str]) -> Tensor:
    """The hidden state at which each label's regions are named, (L, D).

    Labels are branches of their question: they share the image, the regions and the question, and do not see
    each other's answers. Questions go on from the image and its regions as rows of a batch.
    """
    questions = [labels[i : i + LABELS_PER_QUESTION] for i in range(0, len(labels), LABELS_PER_QUESTION)]
    asked = [_question(model, encoded, task, names) for names in questions]
    states: dict[int, Tensor] = {}
    # Questions of like length share a pass, so that little of it is padding.
    order = sorted(range(len(asked)), key=lambda number: len(asked[number][0]))
    for start in range(0, len(order), QUESTIONS_PER_PASS):
        numbers = order[start : start + QUESTIONS_PER_PASS]
        trees, places = zip(*(asked[number] for number in numbers), strict=True)
        states |= zip(numbers, read_on(model, trees, encoded, places), strict=True)
    return torch.cat([states[number] for number in range(len(asked))])


def _question(
    model: RegionModel, encoded: Encoded, task: TaskSpec, labels: Sequence[str]
) -> tuple[PromptTree, list[int]]:
    """One question about labels, and where in it each label's regions are named.

    What is the same for all labels is the root, which is read once.
    """
    prompts, count, tree = model.prompts, len(encoded.regions), PromptTree()
    shown, asked = prompts.prefix(encoded.sight.ids, count), prompts.pointing(task.fill(*labels), count)
    question = tree.add(shown + asked) if prompts.chat.pointing else tree.add(asked, tree.add(shown))
    named = [prompts.naming(label, count) for label in labels]
    opened = tree.add(named[0][:1], question, answer=True)  # the tag that opens every label
    return tree, [tree.last(tree.add(ids[1:], opened, answer=True)) for ids in named]
