"""The command line with a model that writes its answers: the tiny one in the released format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fo1 import FO1
from fo1.cli import common
from fo1.cli.main import app
from scripted import prompts_read, saying
from tiny import picture

Words = Callable[..., Result]


@pytest.fixture
def run(released: FO1, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Words:
    """Runs a command line in a folder that holds a.png, 84×56, and boxes.json with 120 boxes."""
    monkeypatch.setattr(common, "load_model", lambda settings: released)
    monkeypatch.chdir(tmp_path)
    picture(0, (84, 56)).save("a.png")
    boxes = [[i % 10 * 8, i // 10 * 4, i % 10 * 8 + 7, i // 10 * 4 + 3] for i in range(120)]
    Path("boxes.json").write_text(json.dumps(boxes))
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


def line(label: str, *regions: int) -> str:
    return f"<ground>{label}</ground><objects>{''.join(f'<region{i}>' for i in regions)}</objects>"


def test_a_folder_is_a_model(released_folder: Path, tmp_path: Path) -> None:
    picture(0, (84, 56)).save(tmp_path / "a.png")
    (tmp_path / "boxes.json").write_text("[]")
    words = ["ask", str(tmp_path / "a.png"), "What?", "--boxes", str(tmp_path / "boxes.json")]
    done = CliRunner().invoke(app, [*words, "--model", str(released_folder), "--dtype", "float32"])
    assert done.exit_code == 0 and done.stdout.strip() and done.stderr == ""


def test_detect_asks_in_groups(run: Words, released: FO1) -> None:
    none = "<ground>dog</ground><objects>None</objects>"
    with saying(released.model, line("cup", 99) + line("dog"), line("cup", 19) + none):
        done = run("detect", "a.png", "cup, dog", "--boxes", "boxes.json", "--json", "-")
    record = json.loads(done.stdout)
    assert sorted(one["region"] for one in record["detections"]) == [99, 119]
    assert all(one["score"] > 0.9 for one in record["detections"])
    assert record["absent"] == ["dog"] and record["unknown_regions"] == []
    assert record["text"] == line("cup", 99) + line("dog") + "\n" + line("cup", 119) + none
    assert (done.exit_code, done.stderr) == (0, "")


def test_find_and_count(run: Words, released: FO1) -> None:
    with saying(released.model, line("a cup", 5, 7), line("a cup")):
        done = run("find", "a.png", "a cup", "--boxes", "boxes.json", "--json", "-")
    assert [one["region"] for one in json.loads(done.stdout)["detections"]] == [7]
    with saying(released.model, line("cup", 5, 7) + " There are 2 cups.", line("cup")):
        assert run("count", "a.png", "cup", "--boxes", "boxes.json").stdout.startswith("2 cup\n")


def test_only_the_first_boxes(run: Words, released: FO1) -> None:
    words = ("detect", "a.png", "cup", "--boxes", "boxes.json", "--top-k", "3", "--json", "-")
    with saying(released.model, line("cup", 2)), prompts_read(released.model) as prompts:
        assert [one["region"] for one in json.loads(run(*words).stdout)["detections"]] == [2]
    assert [prompt.count("{f}") for prompt in prompts] == [3]


def test_ask_about_one_of_many(run: Words, released: FO1) -> None:
    with saying(released.model, "It is <region99>."), prompts_read(released.model) as prompts:
        done = run("ask", "a.png", "What is <region119>?", "--boxes", "boxes.json")
    assert done.stdout == "It is <region119>.\n" and "What is <region99>?" in prompts[0]


def test_describe(run: Words, released: FO1) -> None:
    with saying(released.model, "A cup."), prompts_read(released.model) as prompts:
        assert run("describe", "a.png", "--box", "1,2,30,40").stdout == "A cup.\n"
    assert "Provide a brief description for <region0>." in prompts[0]


def test_without_boxes_nothing_is_found(run: Words) -> None:
    Path("boxes.json").write_text("[]")
    done = run("detect", "a.png", "cup", "--boxes", "boxes.json", "--json", "-")
    assert json.loads(done.stdout)["absent"] == ["cup"] and done.exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ask", "a.png", "".join(f"<region{i}>" for i in range(101))], "101 regions are named"),
        (["describe", "a.png", "--box", "9,9,1,1"], "ends before it starts"),
        (["detect", "a.png", "caf\udce9"], "not valid UTF-8"),
    ],
)
def test_errors_are_one_line(run: Words, words: list[str], message: str) -> None:
    given = ["--boxes", "boxes.json"] if words[0] != "describe" else []
    done = run(*words, *given)
    assert done.exit_code == 2 and message in done.stderr
    assert done.stderr.startswith("fo1: error: ") and done.stderr.count("\n") == 1
