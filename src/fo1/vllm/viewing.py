"""`viewed`: a conversation that shows more regions than the model has names for, with those that fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fo1.prompts.conversation import Role
from fo1.prompts.parsing import named_regions
from fo1.views import View
from fo1.vllm.asking import Look, Part, Talk


def viewed(turns: Talk, capacity: int) -> tuple[View, list[tuple[Role, list[Part]]]]:
    """As `fo1.messages.conversation`: those named are shown, then the best; texts are in their numbers.

    Raises `PromptError` if more are named than fit.
    """
    looks = [part for _, parts in turns for part in parts if isinstance(part, Look)]
    scores = np.concatenate([np.zeros(0, np.float32), *(look.regions.scores for look in looks)])
    said = [part for role, parts in turns if role != "system" for part in parts if isinstance(part, str)]
    view = View.best(scores, capacity, [number for text in said for number in named_regions(text)])
    told: list[tuple[Role, list[Part]]] = []
    known = 0
    for role, parts in turns:
        here = known + sum(len(part.regions) for part in parts if isinstance(part, Look))
        shown: list[Part] = []
        for part in parts:
            if isinstance(part, Look):
                shown.append(_visible(part, view, known))
                known += len(part.regions)
            else:
                shown.append(part if role == "system" else view.inward(part, here))
        told.append((role, shown))
    return view, told


def _visible(look: Look, view: View, first: int) -> Look:
    rows: Sequence[int] = [row - first for row in view.rows if first <= row < first + len(look.regions)]
    return look if view.complete else replace(look, regions=look.regions.take(rows))
