from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fo1.errors import RegionError
from fo1.proposals.cached import CachedProposals, read_cache
from fo1.proposals.proposal_file import ProposalFile
from fo1.types import Regions
from tiny import picture

MANY = Regions.of([[0, 0, 9, 9], [20.1, 20, 30, 30.3]], (80, 60), np.float32([1 / 3, 0.9]), ["a", "橙子"])
NONE = Regions.empty((80, 60))


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    file = ProposalFile(path, "nanodet 1")
    file.add("one.jpg", picture(0), MANY, ("x", "y"))
    file.add("沙发.png", picture(1), NONE)
    assert len(file) == 2 and picture(0) in file and picture(2) not in file
    proposer = CachedProposals(path)
    none, many = proposer.propose([picture(1), picture(0)])
    assert len(none) == 0 and many.labels == ("橙子", "a")
    assert np.array_equal(many.xyxy, MANY.xyxy[::-1]) and np.array_equal(many.scores, MANY.scores[::-1])
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"made_by": "nanodet 1"}
    assert lines[1]["sources"] == ["x", "y"] and lines[1]["size"] == [80, 60]


def test_a_file_goes_on_and_a_torn_line_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    file = ProposalFile(path, "nanodet 1")
    file.add("one.jpg", picture(0), MANY)
    whole = path.read_bytes()
    file.add("two.jpg", picture(1), NONE)
    all_of_it = path.read_bytes()
    for cut in (len(whole), len(whole) + 1, len(all_of_it) - 1):
        path.write_bytes(all_of_it[:cut])
        assert [name for name, _ in read_cache(path)] == ["one.jpg"]
        again = ProposalFile(path, "nanodet 1")
        assert picture(0) in again and picture(1) not in again
        again.add("two.jpg", picture(1), NONE)
        assert path.read_bytes() == all_of_it


def test_a_run_killed_at_the_first_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    path.write_bytes(b"")
    assert len(ProposalFile(path, "a")) == 0
    assert path.read_text() == '{"made_by": "a"}\n'
    assert len(CachedProposals(path)) == 0


def test_names_may_hold_other_ends_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    ProposalFile(path, "a\u2028b").add("one\u2028two\x85.jpg", picture(0), MANY)
    assert picture(0) in ProposalFile(path, "a\u2028b")


def test_an_image_that_was_changed_on_disk_has_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    file = ProposalFile(path, "a")
    file.add("one.jpg", picture(0), MANY)
    file.add("one.jpg", picture(1), NONE)
    assert len(CachedProposals(path).named("one.jpg", (80, 60))) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"made_by": "b"}\n', 'was made by {"made_by": "b"}, not by a'),
        ('{"image": "a.jpg", "boxes": []}\n', "not by a"),
        ("[1]\n", "holds no proposals"),
        ("my notes", "holds no proposals"),
        ("my\nnotes\n", "holds no proposals"),
    ],
)
def test_files_that_are_not_ours_stay_as_they_are(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "boxes.jsonl"
    path.write_text(text)
    with pytest.raises(RegionError, match=message):
        ProposalFile(path, "a")
    assert path.read_text() == text


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RegionError, match="cannot be written"):
        ProposalFile(tmp_path / "no" / "boxes.jsonl", "a")
    with pytest.raises(RegionError, match="cannot be written"):
        ProposalFile(tmp_path, "a")
