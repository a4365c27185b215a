"""Answer text → which regions it names, and for what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fo1.prompts.vocabulary import REGION_NAME, region_name

_TAG = re.compile(rf"<\s*(/?)\s*(ground|objects)\s*>|{REGION_NAME.pattern}")
# What stands after `<objects>`: regions or `None`. Anything else there, say in an unterminated list, is text.
_LIST = re.compile(rf"<\s*objects\s*>(?:[\s,]*(?:{REGION_NAME.pattern}|None\b))*")


@dataclass(frozen=True)
class Grounding:
    """One phrase of an answer and the regions named for it, in the order named, each once."""

    phrase: str
    regions: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """A model's answer.

    text: as generated. groundings: in order. unknown_regions: numbers it named that do not exist, in order.
    """

    text: str
    groundings: tuple[Grounding, ...] = ()
    unknown_regions: tuple[int, ...] = ()

    @property
    def plain(self) -> str:
        """The text without tags and region names, white space collapsed."""
        return " ".join(_TAG.sub("", _LIST.sub("", self.text)).split())


def named_regions(text: str) -> list[int]:
    """Numbers of all `<regionN>` in a text, in order, repeats included."""
    return [int(number) for number in REGION_NAME.findall(text)]


def renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """The text with every `<regionN>` in `numbers` replaced by what it says; others stay."""

    def other(match: re.Match[str]) -> str:
        index = int(match.group(1))
        return region_name(numbers[index]) if index in numbers else match.group(0)

    return REGION_NAME.sub(other, text)


def parse_answer(text: str, region_count: int) -> Answer:
    """Reads `<ground>label</ground><objects><region3>…</objects>`, however untidy.

    White space between tags, unterminated tags, `None`, regions outside any tag, repeats and unknown regions
    are all accepted; nothing raises. A region outside `<objects>` belongs to the last phrase, or to an empty
    one.
    """
    phrases: list[tuple[str, list[int]]] = []
    unknown: dict[int, None] = {}
    for match in _TAG.finditer(text):
        closing, tag, number = match.groups()
        if tag == "ground":
            if not closing:
                phrases.append((_until_tag(text, match.end()), []))
            continue
        if number is None:
            continue
        index = int(number)
        if index >= region_count:
            unknown[index] = None
            continue
        if not phrases:
            phrases.append(("", []))
        if index not in phrases[-1][1]:
            phrases[-1][1].append(index)
    groundings = tuple(Grounding(phrase, tuple(regions)) for phrase, regions in phrases)
    return Answer(text, groundings, tuple(unknown))


def _until_tag(text: str, start: int) -> str:
    following = _TAG.search(text, start)
    return " ".join(text[start : following.start() if following else len(text)].split())
