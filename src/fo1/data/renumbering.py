"""Records in other regions: every `<regionN>` of their texts follows the object it stood for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fo1.data.matching import Matching, ProposalMix, match
from fo1.data.record import Dialogue, Record, RecordError, Turn
from fo1.prompts.parsing import named_regions, parse_answer, renumbered
from fo1.prompts.vocabulary import OBJECTS, OBJECTS_END, REGION_NAME, region_name
from fo1.types import Regions

NOTHING = "None"
# A list as answers have it. Anything else between the tags is text, whose regions are renumbered one by one.
_LIST = re.compile(rf"{OBJECTS}((?:[\s,]|{NOTHING}|{REGION_NAME.pattern})*){OBJECTS_END}")
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_NUMBER = re.compile(rf"\d|\b(?:{'|'.join(_NUMBERS)})\b", re.IGNORECASE)

Lost = Literal["shorten", "drop"]


class _Untellable(Exception):
    """A dialogue names an object that no shown region is."""


@dataclass(frozen=True)
class Renumbered:
    """record: with the shown regions. dropped: numbers of the dialogues it lost."""

    record: Record
    dropped: tuple[int, ...]


def counts(dialogue: Dialogue) -> bool:
    """Does an answer name regions and say a number? Then it is wrong once a region is missing or doubled.

    The number may be part of a phrase ("two dogs are running"), but not of the labels of a plain list
    ("7-up bottle").
    """
    return any(_says_number(turn.text) for turn in dialogue if turn.role == "assistant")


def _says_number(answer: str) -> bool:
    words = parse_answer(_LIST.sub("", answer), 0)
    labels = "".join(grounding.phrase for grounding in words.groundings)
    is_list = "".join(words.plain.split()) == "".join(labels.split())
    return not is_list and named_regions(answer) != [] and bool(_NUMBER.search(words.plain))


def renumber(
    record: Record,
    matching: Matching,
    lost: Lost = "shorten",
    whole: Callable[[Dialogue], bool] = counts,
) -> Renumbered:
    """The record about `matching.shown` instead of its own boxes, which are the matching's true objects.

    A list in an answer names all shown regions of its objects, each once, ascending; `None` if there are
    none. Elsewhere (in questions, in running text) an object is called by its best region.

    lost: what becomes of a dialogue if a list of its answers loses an object that no shown region is:
    "shorten" the list, or "drop" the dialogue. Where running text names such an object, or `whole` says that
    every object must be there once and no more (by default counting), the dialogue is always dropped.
    Raises `RecordError` if record and matching are of different numbers of objects.
    """
    if len(record.boxes) != len(matching.own):
        raise RecordError(f"{len(record.boxes)} boxes, but {len(matching.own)} objects were matched")
    kept: list[Dialogue] = []
    dropped: list[int] = []
    for number, dialogue in enumerate(record.dialogues):
        try:
            strict = whole(dialogue)
            kept.append(_dialogue(dialogue, matching, strict, strict or lost == "drop"))
        except _Untellable:
            dropped.append(number)
    shown = matching.shown
    firsts = [next(iter(matching.objects(region)), None) for region in range(len(shown))]
    labels = record.labels
    changed = replace(
        record,
        boxes=shown.xyxy,
        scores=tuple(shown.scores.tolist()),
        labels=None if labels is None else tuple(None if i is None else labels[i] for i in firsts),
        dialogues=tuple(kept),
    )
    return Renumbered(changed, tuple(dropped))


def reshown(
    record: Record,
    proposals: Regions | None,
    mix: ProposalMix,
    rng: np.random.Generator,
    lost: Lost = "shorten",
) -> tuple[Renumbered, Matching]:
    """A record whose boxes are the truth, as training shows it: `match`, then `renumber`.

    proposals: a detector's boxes of its image. None: there are none, the truth is shown.
    Boxes that `meta` lists as "ignored" (crowds and the like) are given to `match` as such.
    Raises `RecordError` if there are no proposals and the record does not say how large its image is.
    """
    if proposals is None:
        if record.image.size is None:
            raise RecordError(f"{record.image.path}: key 'size' is needed to show true boxes")
        proposals = Regions.empty(record.image.size)
        mix = replace(mix, share_truth=1.0)
    matching = match(record.boxes, proposals, mix, rng, _ignored(record))
    return renumber(record, matching, lost), matching


def _ignored(record: Record) -> NDArray[np.float32]:
    try:
        boxes = [thing["box"] for thing in record.meta.get("ignored", ())]
        return np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    except (TypeError, KeyError, ValueError) as error:
        raise RecordError(
            f"{record.image.path}: key 'ignored' in 'meta' must be a list of {{\"label\", \"box\"}}"
        ) from error


def _dialogue(dialogue: Dialogue, matching: Matching, strict: bool, complete: bool) -> Dialogue:
    asked: set[int] = set()
    turns = []
    for turn in dialogue:
        if turn.role == "assistant":
            text = _answer(turn.text, matching, strict, complete, asked)
        else:
            text = _text(turn.text, matching)
            asked |= set(named_regions(turn.text))
        turns.append(Turn(turn.role, text))
    return tuple(turns)


def _text(text: str, matching: Matching) -> str:
    return renumbered(text, lambda number: _present(matching.best, number, matching))


def _answer(text: str, matching: Matching, strict: bool, complete: bool, asked: Iterable[int]) -> str:
    """asked: objects that questions named; their regions join a list only if the list names them too."""
    pieces, start = [], 0
    for found in _LIST.finditer(text):
        pieces.append(_text(text[start : found.start()], matching))
        objects = named_regions(found.group(1))
        regions = _regions(objects, matching, strict, complete)
        regions -= {matching.best(i) for i in asked if i not in objects}
        pieces.append(OBJECTS + ("".join(map(region_name, sorted(regions))) or NOTHING) + OBJECTS_END)
        start = found.end()
    return "".join(pieces) + _text(text[start:], matching)


def _regions(objects: Iterable[int], matching: Matching, strict: bool, complete: bool) -> set[int]:
    if strict:
        return {_present(lambda i: matching.own[i], i, matching) for i in objects}
    if complete:
        for number in objects:
            _present(matching.best, number, matching)
    return {region for number in objects if number < len(matching.own) for region in matching.regions(number)}


def _present(find: Callable[[int], int | None], number: int, matching: Matching) -> int:
    region = find(number) if number < len(matching.own) else None
    if region is None:
        raise _Untellable
    return region
