"""`check`, what it counts, and the tasks it recognises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fo1.data.check import check
from fo1.data.tasks import OTHER, task_of
from fo1.data.wordings import WORDINGS
from fo1.prompts.tasks import TASKS


def talk(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "text": question}, {"role": "assistant", "text": answer}]


DETECT = TASKS["detect"].fill("cow", "cat", "dog")
RECORD: dict[str, Any] = {
    "id": "1",
    "image": "a.png",
    "size": [100, 80],
    "boxes": [[0, 0, 20, 20], [0, 0, 40, 10], [10, 10, 60, 60]],
    "labels": ["cow", None, "cow"],
    "source": "farm",
    "dialogues": [
        talk(
            DETECT,
            "<ground>cow</ground><objects><region0></objects><ground>cat</ground><objects>None</objects>",
        ),
        talk("Why?", "Because."),
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (100, 80)).save(tmp_path / "a.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    return tmp_path


def written(folder: Path, *records: Any) -> Path:
    path = folder / "train.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def test_a_sound_file(folder: Path) -> None:
    report = check(written(folder, RECORD, {**RECORD, "id": "2", "boxes": [], "labels": [], "dialogues": []}))
    assert (report.lines, report.bad, report.errors, report.warnings) == (2, 0, 0, 1)
    assert report.to_json()["statistics"] == {
        "records": 2,
        "images": 1,
        "records_without_size": 0,
        "dialogues": 2,
        "answers": 2,
        "grounded_phrases": 2,
        "phrases_answered_none": 1,
        "regions": 3,
        "regions_per_record": {"p0": 0, "p10": 0, "p50": 0, "p90": 3, "p100": 3},
        "box_side_pixels": {"p0": 20, "p10": 20, "p50": 20, "p90": 50, "p100": 50},
        "box_share_of_image": {"p0": 0.05, "p10": 0.05, "p50": 0.05, "p90": 0.3125, "p100": 0.3125},
        "tasks": {"detect": 1, OTHER: 1},
        "labels": 1,
        "most_common_labels": {"cow": 2},
        "most_common_sources": {"farm": 2},
    }


def test_problems_are_located_and_counted_beyond_the_limit(folder: Path) -> None:
    path = written(folder, {**RECORD, "id": None}, {"image": 1}, {**RECORD, "image": "no.png"}, RECORD)
    report = check(path, limit=2)
    assert [(one.line, one.problem.kind, one.level) for one in report.found] == [
        (2, "record", "error"),
        (3, "image", "error"),
    ]
    assert report.found[0].problem.message == "key 'image' must be a path or URL, got 1"
    assert report.counts == {"record": 1, "image": 1, "duplicate id": 1}
    assert (report.bad, report.errors, report.statistics.records) == (3, 3, 3)


def test_images_are_opened_only_on_demand(folder: Path) -> None:
    path = written(
        folder, {"image": "bad.png"}, {"image": "a.png", "boxes": [[90, 0, 150, 9], [100, 0, 150, 9]]}
    )
    assert check(path).counts == {"no dialogue": 2}
    opened = check(path, open_images=True)
    assert [(one.line, one.problem.kind) for one in opened.found] == [
        (1, "image"),
        (1, "no dialogue"),
        (2, "box partly outside"),
        (2, "box outside"),
        (2, "no dialogue"),
    ]


@pytest.mark.parametrize("task", WORDINGS)
def test_tasks_are_recognised_in_all_their_wordings(task: str) -> None:
    for wording in WORDINGS[task]:
        asked = wording.replace("{}", "the {} of <region3>")
        assert task_of(asked) == task_of(f" {asked.lower()}\n") == task


def test_other_questions_are_free() -> None:
    assert task_of("Is <region1> a cow?") == OTHER
    assert task_of(f"Hello. {DETECT}") == OTHER
