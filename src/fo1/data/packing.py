"""Records → exercises: all dialogues about one image share what shows the image and its regions.

The image and its regions are most of a prompt. Each dialogue is a branch below them that sees them and
itself, never another dialogue, at the positions it would have alone. So a record costs one long prefix
and many short branches, and every branch learns what it would learn from the plain conversation.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fo1.data.exercise import Exercise
from fo1.data.matching import Bools
from fo1.data.record import Dialogue, Record
from fo1.data.settings import SettingError
from fo1.errors import PromptError
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.conversation import Turn as PromptTurn
from fo1.prompts.conversation import check_turns
from fo1.prompts.parsing import named_regions
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, OBJECTS_END

_GROUNDING = re.compile(rf"{GROUND}(.*?){GROUND_END}\s*{OBJECTS}(.*?){OBJECTS_END}\s*", re.DOTALL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Packing:
    """exercises: of one record. too_long: numbers of the dialogues that do not fit into any."""

    exercises: tuple[Exercise, ...]
    too_long: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Branch:
    """One dialogue. picks: the start of an answer, its label, and the label's regions.

    pointing: the question below which regions are picked, none if it is the dialogue's own.
    """

    question: list[int]
    picks: list[tuple[list[int], str, Tensor]]
    answer: list[int]
    learnt: list[bool]
    pointing: list[int]

    def __len__(self) -> int:
        named = sum(len(ids) for ids, _, _ in self.picks)
        return len(self.pointing) + named + len(self.question) + len(self.answer)


class Packer:
    """Writes records for one model.

    limit: tokens of an exercise at most; what finds no room goes into another.
    scored: for a dynamic region vocabulary, whose regions are not written but scored where the answer would
    name them: each label asked for is then a pick, exactly as `detect` asks.
    Raises `SettingError` for a limit below 1.
    """

    def __init__(self, prompts: PromptBuilder, limit: int, scored: bool = False) -> None:
        if limit < 1:
            raise SettingError(f"an exercise must have at least 1 token, got {limit}")
        self.prompts, self.limit, self.scored = prompts, limit, scored

    def __call__(self, record: Record, image: Sequence[int], ambiguous: Bools | None = None) -> Packing:
        """image: ids that stand for the record's image. ambiguous: (N,) the regions that no label teaches.

        A dialogue goes into the first exercise with room, in order. Dialogues with a system message of their
        own share exercises with those that have the same one.
        Dialogues that teach nothing, as of regions that are not there, are left out.
        Raises `PromptError` for more regions than the model has names for, and for dialogues that are not
        user and assistant taking turns.
        """
        regions = len(record.boxes)
        if regions > self.prompts.vocabulary.capacity:
            raise PromptError(
                f"{regions} regions, but the model can name {self.prompts.vocabulary.capacity}; "
                "show fewer (`ProposalMix.cap`)"
            )
        alike: dict[str | None, list[Exercise]] = {}
        prefixes: dict[str | None, list[int]] = {}
        too_long = []
        for number, dialogue in enumerate(record.dialogues):
            system, talk = _split(dialogue)
            if system not in prefixes:
                prefixes[system] = self.prefix(image, regions, system)
            branch = self._branch(talk, regions, ambiguous)
            if not branch.picks and True not in branch.learnt:
                continue
            if len(prefixes[system]) + len(branch) > self.limit:
                _log.warning(
                    "%s: dialogue %d is longer than %d tokens and left out",
                    record.image.path,
                    number,
                    self.limit,
                )
                too_long.append(number)
                continue
            begun = alike.setdefault(system, [])
            room = next((one for one in begun if len(one) + len(branch) <= self.limit), None)
            if room is None:
                room = Exercise()
                room.tree.add(prefixes[system])
                begun.append(room)
            _grow(room, branch)
            room.dialogues.append(number)
        return Packing(tuple(one for begun in alike.values() for one in begun), tuple(too_long))

    def prefix(self, image: Sequence[int], regions: int, system: str | None) -> list[int]:
        """Ids of all that dialogues share: the system message, the user's turn begun, image and regions."""
        prompts = self.prompts
        return (
            prompts.opening(system)
            + prompts.template(prompts.chat.before_image)
            + prompts.shown(image, regions)
        )

    def _branch(self, talk: Dialogue, regions: int, ambiguous: Bools | None) -> _Branch:
        asked, prompts = talk[0].text, self.prompts
        labels = list(_asked(talk)) if self.scored else []
        picks = [
            (prompts.naming(label, regions), label, _target(targets, regions, ambiguous))
            for label, targets in labels
            if regions
        ]
        apart = prompts.pointing(asked, regions) if picks and prompts.chat.pointing else []
        if labels and not _GROUNDING.sub("", talk[1].text).strip():
            return _Branch([] if apart else prompts.question(asked, regions), picks, [], [], apart)
        return _Branch(prompts.question(asked, regions), picks, *self._answer(talk[1:], regions), apart)

    def _answer(self, talk: Dialogue, regions: int) -> tuple[list[int], list[bool]]:
        """Ids of a dialogue from its first answer on, and which of them are learnt: answers and their stops.

        With scored regions, naming them is not; without regions, no added word is, since it cannot be said.
        """
        prompts, chat = self.prompts, self.prompts.chat
        vocabulary = prompts.vocabulary
        first = vocabulary.first_region
        banned = range(first, first + (vocabulary.capacity if regions else vocabulary.size))
        ids: list[int] = []
        learnt: list[bool] = []

        def write(more: Sequence[int], bears: bool = False) -> None:
            ids.extend(more)
            never = banned if self.scored or not regions else range(0)
            learnt.extend(bears and token not in never for token in more)

        for number, turn in enumerate(talk):
            if turn.role == "user":
                write(prompts.template(chat.before_image))
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


def _grow(exercise: Exercise, branch: _Branch) -> None:
    question = exercise.tree.add(branch.question, 0) if branch.question else 0
    pointing = exercise.tree.child(branch.pointing, 0) if branch.pointing else question
    for ids, label, target in branch.picks:
        exercise.pick(pointing, ids, label, target)
    if branch.answer:
        exercise.write(question, branch.answer, branch.learnt)


def _target(targets: frozenset[int], regions: int, ambiguous: Bools | None) -> Tensor:
    target = torch.zeros(regions)
    target[sorted(targets)] = 1
    return target if ambiguous is None else target.masked_fill(torch.from_numpy(ambiguous), torch.nan)


def _asked(talk: Dialogue) -> Iterator[tuple[str, frozenset[int]]]:
    """Labels and their regions, if one question is answered with groundings, whatever follows them."""
    if len(talk) != 2:
        return
    start = 0
    while found := _GROUNDING.match(talk[1].text, start):
        if label := found.group(1).strip():
            yield label, frozenset(named_regions(found.group(2)))
        start = found.end()


def _split(dialogue: Dialogue) -> tuple[str | None, Dialogue]:
    """System message and the rest, which ends with an answer. Raises `PromptError` if it does not."""
    if not dialogue or dialogue[-1].role != "assistant":
        raise PromptError("a dialogue to learn from ends with the assistant's answer")
    check_turns([PromptTurn(turn.role, [turn.text]) for turn in dialogue[:-1]])
    told = dialogue[0].role == "system"
    return (dialogue[0].text, dialogue[1:]) if told else (None, dialogue)
