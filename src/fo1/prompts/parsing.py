"""Answer text → which regions it names, and for what."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fo1.prompts.tasks import TASKS
from fo1.prompts.vocabulary import REGION_NAME, region_name

TAG = re.compile(rf"<\s*(/?)\s*(ground|objects)\s*>|{REGION_NAME.pattern}")
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
        return " ".join(TAG.sub("", _LIST.sub("", self.text)).split())


def named_regions(text: str) -> list[int]:
    """Numbers of all `<regionN>` in a text, in order, repeats included."""
    return [int(number) for number in REGION_NAME.findall(text)]


def regions_to_read(text: str) -> list[int]:
    """Numbers of the regions that the task of reading, word for word, asks for; none for any other text."""
    return named_regions(TASKS["read"].match(text) or "")


def renumbered(text: str, number: Callable[[int], int]) -> str:
    """The text with every `<regionN>` as `<region{number(N)}>`."""
    return REGION_NAME.sub(lambda match: region_name(number(int(match.group(1)))), text)


def mentions(text: str) -> list[tuple[str, list[int]]]:
    """The phrases of an answer, each with the region numbers that follow it, as often as they are named.

    White space between tags, unterminated tags, `None` and regions outside any tag are all accepted; nothing
    raises. A region outside `<objects>` belongs to the last phrase, or to an empty one.
    """
    phrases: list[tuple[str, list[int]]] = []
    for match in TAG.finditer(text):
        closing, tag, number = match.groups()
        if tag == "ground" and not closing:
            phrases.append((_until_tag(text, match.end()), []))
        elif number is not None:
            if not phrases:
                phrases.append(("", []))
            phrases[-1][1].append(int(number))
    return phrases


def parse_answer(text: str, region_count: int) -> Answer:
    """Reads `<ground>label</ground><objects><region3>…</objects>`, however untidy (see `mentions`).

    Regions are kept in the order named, each once for a phrase; unknown ones are set apart.
    """
    groundings, unknown = [], []
    for phrase, numbers in mentions(text):
        known = tuple(dict.fromkeys(number for number in numbers if number < region_count))
        unknown += [number for number in numbers if number >= region_count]
        if phrase or known:
            groundings.append(Grounding(phrase, known))
    return Answer(text, tuple(groundings), tuple(dict.fromkeys(unknown)))


def _until_tag(text: str, start: int) -> str:
    following = TAG.search(text, start)
    return " ".join(text[start : following.start() if following else len(text)].split())
