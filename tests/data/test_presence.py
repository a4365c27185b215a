from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fo1.data.presence import Corpus, Presence
from fo1.data.record import ImageRef, Record, Turn


def record(labels: tuple[str | None, ...] | None, answer: str = "", **meta: Any) -> Record:
    count = 2 if labels is None else len(labels)
    dialogues = ((Turn("user", "?"), Turn("assistant", answer)),) if answer else ()
    return Record(ImageRef("a.jpg"), np.zeros((count, 4)), dialogues, labels=labels, meta=meta)


@pytest.mark.parametrize(
    ("labels", "meta", "expected"),
    [
        (("cup", "dog", "cup"), {}, Presence(("cup", "dog"), (), None)),
        ((), {}, Presence((), (), None)),
        (("cup",), {"absent": ["car"]}, Presence(("cup",), (), ("car",))),
        (("cup",), {"absent": ["car"], "partial": ["dog"]}, Presence(("cup",), ("dog",), ("car",))),
        (("cup",), {"partial": ["dog"]}, Presence(("cup",), ("dog",), None)),
        (("cup",), {"exhaustive": False}, Presence(("cup",), (), ())),
        (("cup",), {"exhaustive": False, "absent": ["car"]}, Presence(("cup",), (), ("car",))),
        (("cup", None), {}, Presence(("cup",), (), ())),
        (None, {}, Presence((), (), ())),
        (None, {"absent": ["car"]}, Presence((), (), ("car",))),
    ],
)
def test_what_a_record_says(
    labels: tuple[str | None, ...] | None, meta: dict[str, Any], expected: Presence
) -> None:
    assert Presence.of(record(labels, **meta)) == expected


def test_what_answers_point_at_is_present() -> None:
    said = "<ground>mug</ground><objects><region0></objects><ground>car</ground><objects>None</objects>"
    assert Presence.of(record(("cup", "dog"), said)).present == ("cup", "dog", "mug")


def test_what_may_be_denied() -> None:
    open_world = Presence(("cup",), ("Dog",))
    assert [open_world.deniable(label) for label in ("cup", "CUP", "dog", "car")] == [
        False,
        False,
        False,
        True,
    ]
    federated = Presence(("cup",), ("dog",), ("car", "dog"))
    assert [federated.deniable(label) for label in ("car", "dog", "bus")] == [True, False, False]
    assert not open_world.deniable("tableware", lambda a, b: {a, b} == {"cup", "tableware"})


def test_a_corpus_counts_images_and_pairs() -> None:
    corpus = Corpus.of([record(("cup", "cup", "dog")), record(("cup", None)), record(None), record(("car",))])
    assert corpus.images == {"cup": 2, "dog": 1, "car": 1}
    assert corpus.together == {"cup": {"dog": 1}, "dog": {"cup": 1}, "car": {}}
