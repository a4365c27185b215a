"""`read`, `RecordFile` and `write`."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fo1.data.reading import RecordFile, lines, read, write
from fo1.data.record import ImageRef, Record, RecordError

GOOD = [{"image": f"{number}.jpg", "id": f"№{number}", "boxes": [], "dialogues": []} for number in range(5)]


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


# A file with a blank line, and every way in which a line can be wrong.
MIXED = [
    b"\xef\xbb\xbf" + encoded(GOOD[0]),
    b"",
    b'{"image": "\xff.jpg"}',
    encoded(GOOD[1]),
    b'{"image": "a.jpg"',
    b'{"image": "a.jpg", "boxes": [[NaN, 1, 2, 3]]}',
    b"[" * 100_000,
    encoded({"image": "a.jpg", "boxes": [[1, 1, 1, 5]]}),
    encoded({"image": "a.jpg", "dialogues": [[{"role": "user", "text": "<region0>?"}]]}),
    encoded(GOOD[2]),
]
WRONG = {
    3: "not UTF-8 (byte 11)",
    5: "not JSON: Expecting ',' delimiter, character 17",
    6: "NaN is no number in JSON",
    7: "not JSON: ",
    8: "boxes[0] has no area",
    9: "dialogues[0]: turns are user; expected [system,] user, assistant, user, assistant, … (and 1 more)",
}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(b"\r\n".join(MIXED))
    return path


def plain(records: Iterator[Record]) -> list[dict[str, Any]]:
    return [record.to_json() for record in records]


def test_skipping_says_what_and_counts(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    reading = read(mixed, on_error="skip")
    assert plain(reading) == GOOD[:3]
    assert (reading.good, reading.skipped) == (3, 6)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 7
    for message, (number, why) in zip(caplog.messages, WRONG.items(), strict=False):
        assert message.startswith(f"skipped {mixed}:{number}: {why}")
    assert caplog.messages[-1] == f"{mixed}: skipped 6 of 9 records"


def test_the_first_wrong_line_is_fatal_by_default(mixed: Path) -> None:
    reading = read(str(mixed))
    assert next(reading).to_json() == GOOD[0]
    with pytest.raises(RecordError, match=r"mixed\.jsonl:3: not UTF-8"):
        next(reading)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_what_was_written_is_read(name: str, tmp_path: Path) -> None:
    records = [Record.from_json(data, tmp_path) for data in GOOD]
    assert write(iter(records), tmp_path / name) == 5
    assert plain(read(tmp_path / name)) == GOOD
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert next(read(tmp_path / name)).image.file == tmp_path / "0.jpg"


def test_images_are_found_from_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    record = Record(ImageRef("photos/\udcff.jpg", (2, 3), tmp_path), np.zeros((0, 4)))
    write([record], tmp_path / "out" / "a.jsonl")
    (again,) = read(tmp_path / "out" / "a.jsonl")
    assert again.image == ImageRef("../photos/\udcff.jpg", (2, 3))
    assert again.image.file.resolve() == record.image.file.resolve()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("before")
    good = Record.from_json(GOOD[0])

    def records() -> Iterator[Record]:
        yield good
        raise KeyError("stop")

    with pytest.raises(KeyError):
        write(records(), path)
    with pytest.raises(RecordError, match="record 1: key 'meta' cannot be written"):
        write([good, Record(good.image, good.boxes, meta={"x": object()})], path)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(RecordError, match="cannot be written"):
        write([good], tmp_path / "no" / "a.jsonl")


def test_a_file_that_cannot_be_read_is_always_fatal(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such file"):
        next(read(tmp_path / "no.jsonl", on_error="skip"))
    with pytest.raises(RecordError, match="cannot be read"):
        next(read(tmp_path, on_error="skip"))
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b"\n".join(map(encoded, GOOD * 100)))[:-20])
    with pytest.raises(RecordError, match="cut.jsonl.gz cannot be read"):
        list(read(cut, on_error="skip"))
    cut.write_bytes(encoded(GOOD[0]))
    with pytest.raises(RecordError, match="cut.jsonl.gz cannot be read"):
        list(read(cut))


def test_any_record_in_any_order(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = RecordFile(mixed)
    assert (len(file), file.skipped) == (9, 0)
    copy = pickle.loads(pickle.dumps(file))
    assert [copy[index].to_json() for index in (8, 0, 2, -1)] == [GOOD[2], GOOD[0], GOOD[1], GOOD[2]]
    assert file[0].image.file == mixed.parent / "0.jpg"
    with pytest.raises(RecordError, match=r"mixed\.jsonl:8: boxes\[0\] has no area"):
        file[6]
    with pytest.raises(IndexError):
        file[9]
    assert not caplog.messages

    clean = RecordFile(mixed, on_error="skip")
    assert (plain(iter(clean)), len(clean), clean.skipped) == (GOOD[:3], 3, 6)
    assert len(caplog.messages) == 7 and "skipped 6 of 9 records" in caplog.messages[-1]


def test_random_access_needs_a_plain_file_that_stays(mixed: Path) -> None:
    with pytest.raises(RecordError, match="gunzip"):
        RecordFile("a.jsonl.gz")
    file = RecordFile(mixed)
    mixed.write_bytes(b"\n" + mixed.read_bytes())
    with pytest.raises(RecordError, match="has changed"):
        file[0]
    mixed.unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        file[0]
    mixed.write_bytes(b"\n\n")
    assert len(RecordFile(mixed)) == 0 and list(lines(mixed)) == []
