"""From prompts to answers: every region scored at once, and greedy text in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from fo1.errors import PromptError
from fo1.model import Encoded, RegionModel
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
    regions follow, and the pointer scores them all at that position. Labels are branches of one prompt tree:
    they share the image and the regions and do not see each other's answers.
    """
    if model.splice.pointer is None:
        raise ValueError("region_scores needs a dynamic region vocabulary")
    if not labels or not len(encoded.regions):
        return torch.zeros(len(labels), len(encoded.regions))
    parts = []
    for start in range(0, len(labels), LABELS_PER_PASS):
        tree, positions = _label_tree(
            model, len(encoded.regions), task, labels[start : start + LABELS_PER_PASS]
        )
        hidden = model.hidden_states([tree], [encoded.embeddings], [encoded.image_tokens])[0]
        phrases = model.phrase_embeddings(labels[start : start + LABELS_PER_PASS])
        logits = model.region_logits(hidden[positions], encoded.embeddings, encoded.evidence, phrases)
        parts.append((logits / temperature).sigmoid().float().cpu())
    return torch.cat(parts)


def _label_tree(
    model: RegionModel, count: int, task: TaskSpec, labels: Sequence[str]
) -> tuple[PromptTree, list[int]]:
    """The tree that asks for all labels, and the position at which each is answered."""
    tree, positions = PromptTree(), []
    root = tree.add(model.prompts.prefix(1, count))
    for start in range(0, len(labels), LABELS_PER_QUESTION):
        asked = labels[start : start + LABELS_PER_QUESTION]
        question = tree.add(model.prompts.question(task.fill(*asked), count), root)
        positions += [tree.last(tree.add(model.prompts.naming(label, count), question)) for label in asked]
    return tree, positions


class WordsOnly(LogitsProcessor):
    """Keeps added tokens out of free text."""

    def __init__(self, first_added: int) -> None:
        self.first_added = first_added

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores[:, self.first_added :] = torch.finfo(scores.dtype).min
        return scores


@torch.inference_mode()
def generate_text(
    model: RegionModel, encoded: Sequence[Encoded], questions: Sequence[str], max_new_tokens: int = 48
) -> list[str]:
    """Greedy answers to one question per image, as one batch, on the rest of which no answer depends.

    Raises `PromptError` for an empty question, and if there is not one for each image.
    """
    if len(questions) != len(encoded):
        raise PromptError(f"{len(questions)} questions for {len(encoded)} images")
    if not questions:
        return []
    if any(not question.strip() for question in questions):
        raise PromptError("the question is empty")
    prompts = [
        model.prompts.prefix(1, len(one.regions)) + model.prompts.question(question, len(one.regions))
        for one, question in zip(encoded, questions, strict=True)
    ]
    longest = max(len(ids) for ids in prompts)
    stop = model.prompts.stop_id
    ids = torch.tensor([[stop] * (longest - len(p)) + p for p in prompts], device=model.device)
    attended = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    config = GenerationConfig(
        max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=stop, pad_token_id=stop
    )
    generate = cast(Callable[..., Tensor], model.base.generate)
    with model.splice.bound([one.embeddings for one in encoded], [one.image_tokens for one in encoded]):
        output = generate(
            ids,
            attention_mask=attended,
            generation_config=config,
            logits_processor=LogitsProcessorList([WordsOnly(model.prompts.vocabulary.first_region)]),
        )
    texts = model.prompts.tokenizer.batch_decode(output[:, longest:], skip_special_tokens=True)
    return [text.strip() for text in texts]
