"""What a mixture shows, and what becomes of records that cannot be used."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from fo1.data.record import ImageRef
from fo1.errors import ImageError
from training.scenes import lessons, records, talk


def test_bad_images_are_counted_named_and_left_out(tmp_path: Path, caplog) -> None:
    good, bad = records(tmp_path, 2)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no")
    known = [good, replace(bad, image=ImageRef("broken.png", root=tmp_path))]
    with caplog.at_level(logging.WARNING):
        made = lessons(known)
        assert len(made.take(4)) == 2 and made.skipped == 2
    assert "broken.png" in caplog.text and "record 1 of painted" in caplog.text
    with pytest.raises(ImageError):
        lessons(known, skip_bad=False).take(4)


def test_it_resumes_at_the_exact_sample(tmp_path: Path) -> None:
    known = records(tmp_path, 5)
    whole, first, second = (lessons(known) for _ in range(3))
    expected = [one.regions.xyxy.tolist() for one in whole.take(7)]
    shown = [one.regions.xyxy.tolist() for one in first.take(3)]
    second.load_state_dict(first.state_dict())
    assert shown + [one.regions.xyxy.tolist() for one in second.take(4)] == expected


def test_at_most_so_many_questions(tmp_path: Path) -> None:
    (record,) = records(tmp_path, 1)
    many = replace(record, dialogues=tuple(talk(f"What {i}?", "That.") for i in range(9)))
    (one,) = lessons([many], questions=3).take(1)
    asked = [talk[0].text for talk in one.record.dialogues]
    assert len(asked) == 3 and asked == sorted(asked)
