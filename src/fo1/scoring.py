"""Which regions are what: scored by the pointer, or read off a written answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fo1.decoding import Written, generate_text
from fo1.model import Encoded, RegionModel
from fo1.prompts.parsing import Answer, mentions, named_regions, parse_answer
from fo1.prompts.tasks import TaskSpec
from fo1.prompts.tree import PromptTree
from fo1.views import View, views

LABELS_PER_QUESTION = 10  # as many as training asks at once
LABELS_PER_PASS = 80
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
    for view in _views(model, encoded, labels):
        group = view.of(encoded)
        states = _label_states(model, group, task, [view.inward(label) for label in labels])
        logits = model.region_logits(states, group.embeddings, group.evidence, phrases)
        scores[:, list(view.rows)] = (logits / temperature).sigmoid().float().cpu()
    return scores


def named_scores(
    model: RegionModel, encoded: Encoded, task: TaskSpec, labels: Sequence[str]
) -> tuple[Answer, NDArray[np.float32]]:
    """Asks a model with a static region vocabulary, which answers in text, for regions of labels.

    Returns the answer, and for each label and region (L, N) how likely the region's name was when it was
    written for that label, 0 for regions not named. Regions beyond the model's capacity are asked about in
    groups, as in `region_scores`; the answer then has a line for each.
    """
    total = len(encoded.regions)
    scores = np.zeros((len(labels), total), np.float32)
    if not scores.size:
        return Answer(""), scores
    words = WORDS_TO_SPARE + sum(len(model.prompts.phrase(label)) + 8 for label in labels)
    shown = _views(model, encoded, labels)
    texts = []
    for start in range(0, len(shown), VIEWS_PER_BATCH):
        batch = shown[start : start + VIEWS_PER_BATCH]
        said = generate_text(
            model,
            [view.of(encoded) for view in batch],
            [task.fill(*map(view.inward, labels)) for view in batch],
            words + min(model.capacity, total),
        )
        for view, one in zip(batch, said, strict=True):
            texts.append(view.outward(one.text))
            _add(scores, labels, texts[-1], _chances(model, view, one), min(one.chances, default=0.0))
    return parse_answer("\n".join(texts), total), scores


def _views(model: RegionModel, encoded: Encoded, labels: Sequence[str]) -> list[View]:
    named = [number for label in labels for number in named_regions(label)]
    return views(len(encoded.regions), model.capacity, named)


def _chances(model: RegionModel, view: View, said: Written) -> dict[int, deque[float]]:
    """How likely each region's token was, each time it was written, by the user's number."""
    chances: dict[int, deque[float]] = {row: deque() for row in view.rows}
    for token, chance in zip(said.ids, said.chances, strict=True):
        place = token - model.prompts.vocabulary.first_region
        if 0 <= place < len(view.rows):
            chances[view.rows[place]].append(chance)
    return chances


def _add(
    scores: NDArray[np.float32],
    labels: Sequence[str],
    text: str,
    chances: dict[int, deque[float]],
    spelled: float,
) -> None:
    """Enters what an answer names. spelled: the score of a name written out in letters, not by its token."""
    for phrase, numbers in mentions(text):
        row = _asked(phrase, labels)
        for number in numbers:
            waiting = chances.get(number)
            chance = waiting.popleft() if waiting else spelled
            if row is not None and number < scores.shape[1]:
                scores[row, number] = max(scores[row, number], chance)


def _asked(phrase: str, labels: Sequence[str]) -> int | None:
    """Which label an answer's phrase repeats; a single label is meant whatever the answer calls it."""
    if len(labels) == 1:
        return 0
    folded = [label.casefold() for label in labels]
    return folded.index(phrase.casefold()) if phrase.casefold() in folded else None


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
