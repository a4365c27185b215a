"""The tasks and the instructions the released model was trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fo1.errors import PromptError

AnswerKind = Literal["grounding", "grounding then text", "text"]
"""What answers look like: the regions of each asked label, these and then words, or free text."""


@dataclass(frozen=True)
class TaskSpec:
    """One task. A new task is one entry in `TASKS`.

    instruction: what the user's turn says; `{}` is filled with labels, a phrase, `<regionN>` or a question.
    answer: what the answer looks like, and by which grammar it is decoded.
    regions: does it make sense without any region?
    """

    name: str
    instruction: str
    answer: AnswerKind
    needs_regions: bool = True

    def fill(self, *parts: str) -> str:
        """The instruction about `parts`, joined by commas."""
        return self.instruction.replace("{}", ", ".join(parts))

    def match(self, text: str) -> str | None:
        """What a text that is this instruction, word for word, was filled with; None for any other text."""
        before, after = self.instruction.split("{}")
        found = re.fullmatch(f"{re.escape(before)}(.+?){re.escape(after)}", text.strip(), re.S)
        return found[1].strip() if found else None


TASKS = {
    task.name: task
    for task in (
        TaskSpec(
            "detect", "Please detect {} in this image. Answer the question with object indexes.", "grounding"
        ),
        TaskSpec(
            "count",
            "How many {} are there in this image? Count each instance of the target object. Locate them with "
            "object indexes and then answer the question with the number of objects.",
            "grounding then text",
        ),
        TaskSpec("read", "Please provide the ocr results of {} in the image.", "text"),
        TaskSpec("describe", "Provide a brief description for {}.", "text"),
        TaskSpec("describe-detailed", "Provide a detailed description for {}.", "text"),
        TaskSpec(
            "caption",
            "Briefly describe this image and detect all mentioned objects. "
            "Answer with grounded object indexes.",
            "text",
        ),
        TaskSpec(
            "visual-prompt",
            "Using the provided object {} as a reference, identify all other objects of the same category in "
            "this image. Respond with object indexes.",
            "text",
        ),
        TaskSpec(
            "reason",
            "First thinks about the reasoning process in the mind and then provides the user with the "
            "answer. The reasoning process and answer are enclosed within <think> </think> and <answer> "
            "</answer> tags, respectively, i.e., <think> reasoning process here </think><answer> answer here "
            "</answer>. "
            "Please give a detailed reasoning process process and provide image regions that can help you "
            "answer the question better. {}",
            "text",
        ),
        TaskSpec("ask", "{}", "text", needs_regions=False),
    )
}

MAX_LABEL = 500
_COMMA = re.compile("[,，、]")  # the Chinese ones too


def clean_labels(labels: str | Sequence[str]) -> list[str]:
    """Labels as asked, stripped, in order, without repeats. A string may list several, separated by commas.

    Raises `PromptError` if nothing is left to ask for.
    """
    if isinstance(labels, str):
        items = _COMMA.split(labels)
    else:
        items = list(labels) if isinstance(labels, Iterable) else [labels]
    wrong = [item for item in items if not isinstance(item, str)]
    if wrong:
        raise PromptError(f"labels must be strings, got {wrong[0]!r}")
    kept = dict.fromkeys(" ".join(item.split()) for item in items)
    kept.pop("", None)
    if not kept:
        raise PromptError('no label given; name what to look for, for example "orange, apple"')
    too_long = next((label for label in kept if len(label) > MAX_LABEL), None)
    if too_long is not None:
        raise PromptError(f"label {too_long[:30]!r}… has {len(too_long)} characters; at most {MAX_LABEL}")
    return list(kept)
