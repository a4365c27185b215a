"""How each task is asked: the released model's instruction, and paraphrases of ours."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from fo1.prompts.tasks import TASKS

# `{}` stands for labels, a phrase, a `<regionN>` or a question, as in `TASKS`.
_PARAPHRASES: dict[str, tuple[str, ...]] = {
    "detect": (
        "Find {} in this image. Reply with the object indexes.",
        "Locate every instance of {} and answer with object indexes.",
        "Which objects in this image match: {}? Give their indexes.",
        "Point out {} in the picture by object index.",
    ),
    "count": (
        "Count the {} in this image: list their object indexes first, then say the number.",
        "What is the number of {} in this image? Name each by its object index before you give the number.",
        "Locate all {} by object index, then tell how many there are.",
        "How many {} can you see? Point at each with its object index and finish with the total.",
    ),
    "read": (
        "What does the text in {} say?",
        "Read the text in {}.",
        "Transcribe what is written in {}.",
        "Which words can be read in {}?",
    ),
    "describe": (
        "Describe {} briefly.",
        "What does {} show? Answer in a few words.",
        "Give a short caption for {}.",
        "In one phrase, what can be seen in {}?",
    ),
    "describe-detailed": (
        "Describe {} in detail.",
        "Give a detailed account of what {} shows.",
        "What can be seen in {}? Mention all the details.",
    ),
    "caption": (
        "Describe this image in a sentence and ground every object you mention with its indexes.",
        "Write a short caption of the picture; after each thing you mention, give its object indexes.",
        "What is shown here? Answer briefly, with grounded object indexes for all mentioned objects.",
    ),
    "visual-prompt": (
        "{} is an example. Find all other objects of its category in this image. Answer with object indexes.",
        "Which other objects in this image are of the same kind as {}? Reply with object indexes.",
        "Look at {} and list the object indexes of everything else of that category.",
    ),
    "reason": (
        "Think first, then answer: put the reasoning between <think> and </think> and the answer between "
        "<answer> and </answer>, and name the regions of the image that support it. {}",
        "{} Reason step by step within <think> </think>, pointing at the regions you rely on, and give the "
        "result within <answer> </answer>.",
        "Explain in <think> </think> which regions matter and why; then answer in <answer> </answer>. {}",
    ),
}

# The released model has no wording for the plain name of a region, so all of these are ours.
_NAME = (
    "What is {}? Answer with its category only.",
    "Name the object in {}.",
    "Which category does {} belong to?",
    "Give the class name of {}.",
)

WORDINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: (TASKS[name].instruction, *others) for name, others in _PARAPHRASES.items()} | {"name": _NAME}
)
"""By task, the released wording first; "name" has none. "ask" is free and not here."""


def worded(task: str, about: str, rng: np.random.Generator, paraphrases: float = 0.5) -> str:
    """An instruction for a task. paraphrases: chance that it is not the released wording."""
    first, *others = WORDINGS[task]
    wording = others[int(rng.integers(len(others)))] if rng.random() < paraphrases else first
    return wording.replace("{}", about)
