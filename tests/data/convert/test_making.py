"""Records made of annotated images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.making import Making
from fo1.data.dialogues import TaskConfig
from fo1.data.record import ImageRef

DETECT = TaskConfig(tasks=("detect",))


def annotated(name: str, *labels: str, id: str | None = None) -> Annotated:
    boxes = np.array([[i, 0, i + 5, 5] for i in range(len(labels))], dtype=np.float32).reshape(-1, 4)
    return Annotated(ImageRef(name, root=Path("pictures")), boxes, labels, id=id)


def test_what_has_nothing_to_ask_is_counted_and_left_out() -> None:
    making = Making("own", DETECT)
    (record,) = making.records([annotated("a.jpg", "cup"), annotated("b.jpg")])
    assert record.source == "own" and record.image.path == "a.jpg"
    assert (making.dialogues, making.silent) == (len(record.dialogues), 1)


def test_an_image_is_asked_the_same_in_any_company() -> None:
    many = [annotated(f"{i}.jpg", "cup", "dog", "cat") for i in range(6)]
    together = {record.image.path: record for record in Making("own", TaskConfig(), 3).records(many)}
    for image in many:
        (alone,) = Making("own", TaskConfig(), 3).records([image])
        assert alone.to_json() == together[image.image.path].to_json()
    others = Making("own", TaskConfig(), 4).records(many)
    assert any(one.dialogues != together[one.image.path].dialogues for one in others)


def test_ids_that_come_twice_are_numbered() -> None:
    same = [annotated(f"{i}.jpg", "cup", id="7") for i in range(3)]
    assert [record.id for record in Making("own", DETECT).records(same)] == ["7", "7#2", "7#3"]
