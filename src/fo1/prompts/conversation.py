"""`Turn`: who says what in a conversation, and which images and regions stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fo1.errors import PromptError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Shown:
    """An image in a prompt. ids: what stands for it. regions: how many of its regions are listed after it."""

    ids: Sequence[int]
    regions: int


@dataclass(frozen=True)
class Turn:
    """What one side says: texts, and, from the user, images, in the order in which they are read."""

    role: Role
    parts: Sequence[str | Shown]


def check_turns(turns: Sequence[Turn]) -> None:
    """Raises `PromptError` unless user and assistant take turns, and the user has the last word.

    A system message may come first.
    """
    roles = [turn.role for turn in turns]
    talk = roles[1:] if roles[:1] == ["system"] else roles
    expected = ["user" if i % 2 == 0 else "assistant" for i in range(len(talk))]
    if talk != expected or not len(talk) % 2:
        raise PromptError(
            f"turns are {', '.join(roles) or 'none'}; user and assistant take turns and the user ends, "
            "after a system message if there is one"
        )
    for turn in turns:
        if turn.role != "user" and any(isinstance(part, Shown) for part in turn.parts):
            raise PromptError(f"an image in a turn of the {turn.role}; only the user shows images")
    if not any(isinstance(part, Shown) or part.strip() for part in turns[-1].parts):
        raise PromptError("the last turn is empty")
