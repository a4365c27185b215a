from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fo1.errors import Fo1Error
from fo1.labeling.ledger import Ledger, Row

FILE = "votes-00000.jsonl"


def rows(*names: str, **rest: object) -> list[Row]:
    return [{"image": name, "found": name.upper(), **rest} for name in names]


@contextmanager
def ledger(folder: Path, **settings: object) -> Iterator[Ledger]:
    with Ledger.writing(folder, "votes", settings, {}) as opened:
        yield opened


def begun(folder: Path) -> Path:
    """Two batches of two."""
    with ledger(folder) as one:
        one.append(rows("a", "b"))
        one.append(rows("c", "ü\udce9"))
    return folder


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    again = Ledger.read(begun(tmp_path), "votes")
    assert [row["image"] for row in again] == ["a", "b", "c", "ü\udce9"]
    assert [row["found"] for row in again][:3] == ["A", "B", "C"]
    assert len(again) == 4 and "c" in again and "d" not in again


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_batch_that_is_not_whole_is_dropped(tmp_path: Path, cut: int) -> None:
    path = begun(tmp_path) / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with ledger(tmp_path) as one:
        assert [row["image"] for row in one] == ["a", "b"]
        one.append(rows("c", "ü\udce9"))
    assert path.read_bytes() == whole


def test_reading_does_not_touch_what_a_run_is_writing(tmp_path: Path) -> None:
    path = begun(tmp_path) / FILE
    path.write_bytes(path.read_bytes()[:-1])
    assert len(Ledger.read(tmp_path, "votes")) == 2
    assert not path.read_bytes().endswith(b"\n")


def test_a_full_disk_leaves_nothing_torn(tmp_path: Path) -> None:
    path = begun(tmp_path) / FILE
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ledger(tmp_path) as one:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, limits[1]))
        try:
            with pytest.raises(
                Fo1Error, match=r"votes-00000.jsonl cannot be written: .*start the same command"
            ):
                one.append(rows("d", "e", "f"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == before and "d" not in one
        one.append(rows("d", "e", "f"))
    assert len(Ledger.read(tmp_path, "votes")) == 7


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with ledger(tmp_path):
        with pytest.raises(Fo1Error, match="another run is writing"), ledger(tmp_path):
            pass
    with ledger(tmp_path):
        pass


def test_settings_must_agree_also_those_known_later(tmp_path: Path) -> None:
    with ledger(tmp_path, labels=["a"], batch=2) as one:
        one.settle({"weights": "12"})
        one.append(rows("a"))
    with pytest.raises(Fo1Error, match=r'labels was \["a"\], is \["b"\]'), ledger(tmp_path, labels=["b"]):
        pass
    with ledger(tmp_path, labels=["a"]) as one, pytest.raises(Fo1Error, match='weights was "12", is "13"'):
        one.settle({"weights": "13"})


def test_a_start_without_an_answer_settles_nothing(tmp_path: Path) -> None:
    with pytest.raises(Fo1Error, match="no model"), ledger(tmp_path, model="misspelt"):
        raise Fo1Error("no model")
    with ledger(tmp_path, model="right") as one:
        one.append([{"image": "a", "error": "no proposer"}])
    with ledger(tmp_path, proposer="right") as one:
        one.append(rows("a"))
    assert Ledger.read(tmp_path, "votes").settings == {"proposer": "right"}


def test_a_failed_image_asked_again_counts_as_its_later_line(tmp_path: Path) -> None:
    with ledger(tmp_path) as one:
        one.append([{"image": "a", "error": "damaged"}, *rows("b")])
        assert list(one.failed) == ["a"]
    with ledger(tmp_path) as one:
        assert list(one.failed) == ["a"]
        one.append(rows("a"))
        assert not one.failed and len(one) == 2
    assert [row.get("found") for row in Ledger.read(tmp_path, "votes")] == ["A", "B"]


def test_several_files_are_one_ledger(tmp_path: Path) -> None:
    """As engines with several writers leave them."""
    begun(tmp_path)
    (tmp_path / "votes-00001.jsonl").write_text('{"image": "z", "found": "Z", "last": true}\n')
    assert [row["found"] for row in Ledger.read(tmp_path, "votes")][-1] == "Z"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (FILE, "nonsense\n", r"votes-00000.jsonl:1 is damaged; remove that line"),
        ("run.json", "{}", "run.json is not what fo1 wrote"),
        (
            "run.json",
            json.dumps({"lines": "verdicts", "settings": {}, "origin": {}}),
            "holds verdicts, not votes",
        ),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (begun(tmp_path) / name).write_text(text)
    with pytest.raises(Fo1Error, match=message):
        Ledger.read(tmp_path, "votes")


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(Fo1Error, match=r"holds no votes"):
        Ledger.read(tmp_path, "votes")
