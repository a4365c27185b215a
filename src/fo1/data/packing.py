"""Records → prompt trees: all dialogues about one image share what shows the image and its regions.

The image and its regions are most of a prompt. Each dialogue is a branch below them that sees them and
itself, never another dialogue, at the positions it would have alone. So a record costs one long prefix
and many short branches, and every branch learns what it would learn from the plain conversation.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fo1.data.record import Dialogue, Record
from fo1.data.settings import SettingError
from fo1.errors import PromptError
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.conversation import Turn as PromptTurn
from fo1.prompts.conversation import check_turns
from fo1.prompts.tree import PromptTree

UNLEARNT = -100
"""Label of a token without loss, as transformers and torch have it."""

_log = logging.getLogger(__name__)


@dataclass
class Packed:
    """One tree: segment 0 is the shared prefix, every other segment a whole dialogue.

    learnt: for each segment, which of its tokens bear loss. dialogues: number in the record of each branch.
    """

    tree: PromptTree
    learnt: list[list[bool]]
    dialogues: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        """Tokens in all."""
        return len(self.tree)

    def loss_mask(self) -> Tensor:
        """(T,) bool: the tokens that the model has to write, each answer's stop included."""
        return torch.tensor([bears for segment in self.learnt for bears in segment], dtype=torch.bool)

    def labels(self) -> Tensor:
        """(T,) token ids where there is loss, else `UNLEARNT`.

        Each belongs to the output at the place before it, as in plain sequences: a branch begins with the
        user's words, so no label follows another branch.
        """
        return self.tree.tokens().masked_fill(~self.loss_mask(), UNLEARNT)

    def rows(self) -> list[tuple[list[int], list[bool]]]:
        """The dialogues as plain sequences, for bases that cannot read trees: ids, and which bear loss."""
        return [
            (self.tree.path(segment), self.learnt[0] + self.learnt[segment])
            for segment in range(1, len(self.learnt))
        ]


@dataclass(frozen=True)
class Packing:
    """trees: of one record. too_long: numbers of the dialogues that do not fit into any."""

    trees: tuple[Packed, ...]
    too_long: tuple[int, ...] = ()


class Packer:
    """Writes records for one model. limit: tokens of a tree at most; what finds no room goes into another.

    Raises `SettingError` for a limit below 1.
    """

    def __init__(self, prompts: PromptBuilder, limit: int) -> None:
        if limit < 1:
            raise SettingError(f"the longest tree must have at least 1 token, got {limit}")
        self.prompts, self.limit = prompts, limit

    def __call__(self, record: Record, image: Sequence[int]) -> Packing:
        """image: ids that stand for the record's image.

        A dialogue goes into the first tree with room, in order. Dialogues with a system message of their
        own share trees with those that have the same one.
        Raises `PromptError` for more regions than the model has names for, and for dialogues that are not
        user and assistant taking turns.
        """
        regions = len(record.boxes)
        if regions > self.prompts.vocabulary.capacity:
            raise PromptError(
                f"{regions} regions, but the model can name {self.prompts.vocabulary.capacity}; "
                "show fewer (`ProposalMix.cap`)"
            )
        trees: dict[str | None, list[Packed]] = {}
        prefixes: dict[str | None, list[int]] = {}
        too_long = []
        for number, dialogue in enumerate(record.dialogues):
            system, talk = _split(dialogue)
            if system not in prefixes:
                prefixes[system] = self.prefix(image, regions, system)
            ids, learnt = self.branch(talk, regions)
            if len(prefixes[system]) + len(ids) > self.limit:
                _log.warning(
                    "%s: dialogue %d is longer than %d tokens and left out",
                    record.image.path,
                    number,
                    self.limit,
                )
                too_long.append(number)
                continue
            packed = next((p for p in trees.setdefault(system, []) if len(p) + len(ids) <= self.limit), None)
            if packed is None:
                packed = _begun(prefixes[system])
                trees[system].append(packed)
            packed.tree.add(ids, 0)
            packed.learnt.append(learnt)
            packed.dialogues.append(number)
        return Packing(tuple(packed for alike in trees.values() for packed in alike), tuple(too_long))

    def prefix(self, image: Sequence[int], regions: int, system: str | None) -> list[int]:
        """Ids of all that dialogues share: the system message, the user's turn begun, image and regions."""
        prompts = self.prompts
        return (
            prompts.opening(system)
            + prompts.template(prompts.chat.before_image)
            + prompts.shown(image, regions)
        )

    def branch(self, talk: Dialogue, regions: int) -> tuple[list[int], list[bool]]:
        """Ids of a dialogue from behind the regions, and which bear loss: answers with their stops."""
        prompts, chat = self.prompts, self.prompts.chat
        ids: list[int] = []
        learnt: list[bool] = []

        def write(more: Sequence[int], bears: bool = False) -> None:
            ids.extend(more)
            learnt.extend([bears] * len(more))

        for number, turn in enumerate(talk):
            if turn.role == "user":
                write(prompts.template(chat.before_image) if number else [])
                write(prompts.question(turn.text, regions))
                continue
            write(prompts.answer_text(turn.text, regions), True)
            if number == len(talk) - 1:
                write([prompts.stop_id], True)
            else:
                after = prompts.template(chat.after_answer)
                write(after)
                if prompts.stop_id in after:
                    learnt[after.index(prompts.stop_id) - len(after)] = True
        return ids, learnt


def _begun(prefix: Sequence[int]) -> Packed:
    tree = PromptTree()
    tree.add(prefix)
    return Packed(tree, [[False] * len(prefix)])


def _split(dialogue: Dialogue) -> tuple[str | None, Dialogue]:
    """System message and the rest, which ends with an answer. Raises `PromptError` if it does not."""
    if not dialogue or dialogue[-1].role != "assistant":
        raise PromptError("a dialogue to learn from ends with the assistant's answer")
    check_turns([PromptTurn(turn.role, [turn.text]) for turn in dialogue[:-1]])
    told = dialogue[0].role == "system"
    return (dialogue[0].text, dialogue[1:]) if told else (None, dialogue)
