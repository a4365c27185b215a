"""Is an answer well formed? Told from its text alone, by other means than the grammar that shaped it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LIST = r"<objects>(?:None|((?:<region\d+>)*))</objects>"
_PAIR = re.compile(rf"<ground>[^<>]*</ground>|{_LIST}")
_TAG = re.compile(r"<\s*/?\s*(?:ground|objects|think)\s*>")


def lists(text: str, labels: Sequence[str], tail: bool) -> list[list[int]]:
    """The regions listed for each label. Raises `AssertionError` for an answer of any other form.

    tail: may words follow?
    """
    one = "".join(rf"<ground> ?{re.escape(label)}</ground>{_LIST}" for label in labels)
    found = re.fullmatch(f"{one}(?P<tail>.*)", text, re.DOTALL)
    assert found, text
    assert tail or not found["tail"], text
    assert "<region" not in found["tail"] and not _TAG.search(found["tail"]), text
    return [[int(n) for n in re.findall(r"\d+", named or "")] for named in found.groups()[: len(labels)]]


def text_lists(text: str) -> list[list[int]]:
    """The regions of every list in a free text. Raises `AssertionError` if a tag is open or out of place."""
    found = [[int(n) for n in re.findall(r"\d+", m[1] or "")] for m in _PAIR.finditer(text) if m[0][1] == "o"]
    rest = _PAIR.sub("", text)
    rest = re.sub(r"<ground>.*?</ground>", "", rest, flags=re.DOTALL)
    thoughts = re.sub(r"<think>.*?</think>", "", rest, flags=re.DOTALL).replace("</think>", "")
    assert not _TAG.search(thoughts), text
    return found
