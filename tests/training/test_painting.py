"""Painted scenes: the same at every painting, with things, boxes of nothing, and labels to deny."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fo1.boxes import iou
from fo1.data.presence import Presence
from fo1.prompts.parsing import parse_answer
from fo1.training.painting import KINDS, paint


def test_a_number_is_a_scene(tmp_path: Path) -> None:
    here, there = tmp_path / "a", tmp_path / "b"
    here.mkdir()
    there.mkdir()
    one, again, other = paint(here, 3), paint(there, 3), paint(there, 4)
    assert one.to_json() == again.to_json() != other.to_json()
    assert (here / "scene-3.png").read_bytes() == (there / "scene-3.png").read_bytes()


def test_boxes_without_a_label_are_none_of_the_things(tmp_path: Path) -> None:
    for number in range(12):
        record = paint(tmp_path, number)
        named = np.array([label is not None for label in record.labels or ()])
        assert named.any() and not named.all()
        assert iou(record.boxes[~named], record.boxes[named]).max() < 0.3
        assert (record.boxes >= 0).all() and (record.boxes[:, 2:] <= record.image.size).all()


def test_the_answer_names_every_thing_and_all_other_kinds_may_be_denied(tmp_path: Path) -> None:
    record = paint(tmp_path, 5)
    labels = record.labels or ()
    answer = parse_answer(record.dialogues[0][1].text, len(labels))
    assert {(one.phrase, i) for one in answer.groundings for i in one.regions} == {
        (label, i) for i, label in enumerate(labels) if label is not None
    }
    presence = Presence.of(record)
    assert {kind for kind in KINDS if presence.deniable(kind)} == set(KINDS) - set(labels)
