"""Dialogues → rows of token ids, and where in them something is learnt.

With static region names a dialogue is a row, and every word of its answers is learnt. With dynamic ones the
regions of a label are not written but scored, where the answer would name them, so each label that is asked
for is a row that ends there, exactly as `detect` asks; other answers are rows whose words are learnt.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fo1.data.packing import Packer
from fo1.data.record import Dialogue, Record
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.parsing import named_regions
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, OBJECTS_END

_GROUNDING = re.compile(rf"{GROUND}(.*?){GROUND_END}\s*{OBJECTS}(.*?){OBJECTS_END}\s*", re.DOTALL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One sequence.

    words: places of `ids` whose next token is learnt, ascending. label: given, the regions of it are scored
    at the last place; targets: which of them are it. answer: where the first answer begins.
    """

    ids: tuple[int, ...]
    words: tuple[int, ...] = ()
    label: str | None = None
    targets: frozenset[int] = frozenset()
    answer: int = 0

    @property
    def places(self) -> tuple[int, ...]:
        """All places whose outputs are looked at."""
        return self.words if self.label is None else (len(self.ids) - 1,)


def make_rows(packer: Packer, record: Record, image: Sequence[int], dynamic: bool) -> list[Row]:
    """All that is learnt from one record.

    image: ids that stand for it. dynamic: of the region vocabulary.
    Raises `PromptError` as `Packer` does.
    """
    if not dynamic:
        return _written(packer, record, image, frozenset())
    scored: list[Row] = []
    others: list[Dialogue] = []
    for dialogue in record.dialogues:
        labels = list(_asked(dialogue))
        if labels and len(record.boxes):
            scored += _scored(packer, dialogue, labels, len(record.boxes), image)
        if not labels or _rest(dialogue[-1].text):
            others.append(dialogue)
    vocabulary = packer.prompts.vocabulary
    # Regions are the pointer's to name: no loss over words teaches them.
    regions = frozenset(range(vocabulary.first_region, vocabulary.first_region + vocabulary.capacity))
    return scored + _written(packer, replace(record, dialogues=tuple(others)), image, regions)


def _written(packer: Packer, record: Record, image: Sequence[int], never: frozenset[int]) -> list[Row]:
    prompts, rows = packer.prompts, []
    for packed in packer(record, image).trees:
        for ids, learnt in packed.rows():
            bears = [
                place
                for place in range(len(ids) - 1)
                if learnt[place + 1]
                and ids[place + 1] not in never
                # Without regions the added words are out of the question, so they cannot be learnt.
                and (len(record.boxes) or ids[place + 1] < prompts.vocabulary.first_region)
            ]
            if bears:
                rows.append(Row(tuple(ids), tuple(bears), answer=learnt.index(True)))
    return rows


def _scored(
    packer: Packer,
    dialogue: Dialogue,
    labels: Sequence[tuple[str, frozenset[int]]],
    regions: int,
    image: Sequence[int],
) -> list[Row]:
    prompts: PromptBuilder = packer.prompts
    system = dialogue[0].text if dialogue[0].role == "system" else None
    before = packer.prefix(image, regions, system) + prompts.question(dialogue[-2].text, regions)
    rows = []
    for label, targets in labels:
        ids = (*before, *prompts.naming(label, regions))
        if len(ids) > packer.limit:
            _log.warning("asking for %.40r takes more than %d tokens and is left out", label, packer.limit)
            continue
        rows.append(Row(ids, label=label, targets=targets, answer=len(before)))
    return rows


def _asked(dialogue: Dialogue) -> Iterator[tuple[str, frozenset[int]]]:
    """Labels and their regions, if one question is answered with groundings, whatever follows them."""
    talk = dialogue[1:] if dialogue[0].role == "system" else dialogue
    if len(talk) != 2:
        return
    start = 0
    while found := _GROUNDING.match(talk[1].text, start):
        if label := found.group(1).strip():
            yield label, frozenset(named_regions(found.group(2)))
        start = found.end()


def _rest(answer: str) -> str:
    """What an answer says besides groundings."""
    return _GROUNDING.sub("", answer).strip()
