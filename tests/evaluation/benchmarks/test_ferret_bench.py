from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.benchmarks.scripted_scene import draw, write_json
from evaluation.benchmarks.talking_scene import TalkingScene
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.ferret_bench import FerretBench, with_regions, write_answers

TEXT = "Why is [0.100, 0.20, 0.5, 1.000] beside [0.5, 0, .75, 0.5]?"
ASKED = "Why is <region0> beside <region1>?"
QUESTIONS = [
    {"question_id": 0, "image": "a.jpg", "category": "refer_reason", "text": TEXT},
    {"question_id": 7, "image": "a.jpg", "category": "refer_reason", "text": "And [0, 0, 1, 1]?"},
]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / "rule.json", {"refer_reason": {"role": "Assistant", "prompt": "Rate both."}})
    write_lines(tmp_path / "refer_reason" / "question.jsonl", QUESTIONS)
    write_lines(tmp_path / "refer_reason" / "context.jsonl", [{"image": "a.jpg", "text": "Two cups."}])
    answers = [{"question_id": number, "text": f"reference {number}"} for number in (7, 0)]
    write_lines(tmp_path / "refer_reason" / "answer.jsonl", answers)
    draw(tmp_path / "val2017" / "a.jpg")  # 200 × 100
    return tmp_path


def test_the_official_layout(folder: Path) -> None:
    first, second = FerretBench().open(folder, "refer_reason")
    assert first.image == folder / "val2017" / "a.jpg" and first.boxes is not None
    np.testing.assert_allclose(first.boxes, [[20, 20, 100, 100], [100, 0, 150, 50]])  # pixels
    assert first.truth.asked == ASKED and first.truth.question == TEXT
    assert (first.truth.reference, second.truth.reference) == ("reference 0", "reference 7")


def test_a_text_without_boxes_stays() -> None:
    text, boxes = with_regions("What is [this], 1 or 2?")
    assert text == "What is [this], 1 or 2?" and boxes.shape == (0, 4)


def test_answers_are_what_ferrets_scripts_read(folder: Path, tmp_path: Path) -> None:
    benchmark = FerretBench()
    first, _ = benchmark.open(folder, "refer_reason")
    said = benchmark.ask(TalkingScene([[0, 0, 9, 9]] * 2, {ASKED: "They match."}), first)
    write_answers([said], tmp_path / "answers.jsonl")
    line = json.loads((tmp_path / "answers.jsonl").read_text(encoding="utf-8"))
    assert line == {"question_id": 0, "category": "refer_reason", "prompt": TEXT, "text": "They match."}


def test_without_a_judge_answers_are_counted(folder: Path) -> None:
    benchmark = FerretBench()
    first, second = benchmark.open(folder, "refer_reason")
    metric = benchmark.metric()
    metric.update(first, {"text": "Yes."})
    metric.update(second, None)
    assert metric.compute() == {"answered": 1 / 2}
    assert metric.score(first, {"text": "Yes."}) == 1 and metric.score(first, {"text": " "}) == 0


def test_a_judge_by_hand(folder: Path) -> None:
    asked: list[str] = []

    def judge(content: str) -> str:
        asked.append(content)
        return "8 6\nThe first is better." if "They match." in content else "9, 3"

    benchmark = FerretBench(judge)
    first, second = benchmark.open(folder, "refer_reason")
    metric = benchmark.metric()
    metric.update(first, {"text": "They match."})
    metric.update(second, None)  # rated 0, whatever the judge says of an empty answer
    assert metric.compute() == pytest.approx({"answered": 1 / 2, "relative score": (6 + 0) / (8 + 9)})
    assert metric.score(first, {"text": "They match."}) == pytest.approx(0.6)
    assert len(asked) == 2, "what was said of an answer is kept"
    assert asked[0] == (
        f"[Context]\nTwo cups.\n\n[Question]\n{TEXT}\n\n"
        "[Assistant 1]\nreference 0\n\n[End of Assistant 1]\n\n"
        "[Assistant 2]\nThey match.\n\n[End of Assistant 2]\n\n"
        "[System]\nRate both.\n\n"
    )


def test_a_judge_that_does_not_rate(folder: Path) -> None:
    benchmark = FerretBench(lambda content: "I cannot say.")
    first, _ = benchmark.open(folder, "refer_reason")
    with pytest.raises(BenchmarkError, match="must begin with two ratings, it said 'I cannot say.'"):
        benchmark.metric().update(first, {"text": "x"})


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("answer.jsonl", [{"question_id": 0, "text": "x"}], "question 7: expected a rule"),
        ("context.jsonl", [{"image": "b.jpg", "text": "x"}], "question 0: expected a rule"),
        ("question.jsonl", [{"question_id": 0}], "entry 0 of lines has no category, image, text"),
        ("question.jsonl", [{**QUESTIONS[0], "category": "other"}], "a rule for 'other'"),
        ("question.jsonl", [{**QUESTIONS[0], "image": "b.jpg"}], "none of its 1 images"),
    ],
)
def test_files_that_do_not_belong_together(folder: Path, name: str, rows: Any, message: str) -> None:
    write_lines(folder / "refer_reason" / name, rows)
    with pytest.raises(BenchmarkError, match=f"question.jsonl.*{message}"):
        FerretBench().open(folder, "refer_reason")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="question.jsonl does not exist; expected Ferret-Bench"):
        FerretBench().open(tmp_path, "refer_caption")
