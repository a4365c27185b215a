"""`Record`: what it takes, what it says of everything else, and the schema that says the same."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from fo1.data.record import ImageRef, Record, RecordError, Turn

FULL: dict[str, Any] = {
    "id": "a1",
    "image": "shards/0.tar#b/c.jpg",
    "size": [640, 480],
    "boxes": [[1.0, 2.5, 30.1, 40.0], [-3.0, 0.0, 0.0, 700.0]],
    "scores": [0.9, 0.25],
    "labels": ["cow", None],
    "source": "coco",
    "meta": {"split": ["train", 1]},
    "dialogues": [
        [{"role": "user", "text": "Was ist <region1>?"}, {"role": "assistant", "text": "Käse 🧀"}],
        [{"role": "system", "text": "be brief"}, {"role": "user", "text": ""}],
    ],
}
GOOD = [
    FULL,
    {"image": "a.jpg"},
    {"image": "https://example.org/a.jpg", "boxes": [], "dialogues": []},
    {"image": "a.jpg", "id": None, "size": None, "scores": None, "labels": None, "source": None},
    {"image": "a.jpg", "size": [3, 2], "boxes": [[5, 5, 1, 1]], "scores": [-1]},
]
SAY = [{"role": "user", "text": "hi"}]
BAD = [
    ([], "the record must be an object"),
    ({}, "key 'image' is missing in the record"),
    ({"image": ""}, "key 'image' must be a path or URL"),
    ({"image": 3}, "key 'image' must be a path or URL, got 3"),
    ({"image": "a", "box": []}, "unknown key 'box' in the record"),
    ({"image": "a", "size": [3]}, "key 'size' must be [width, height]"),
    ({"image": "a", "size": [3, 0]}, "key 'size'"),
    ({"image": "a", "size": [3, 2.5]}, "key 'size'"),
    ({"image": "a", "size": [3, True]}, "key 'size'"),
    ({"image": "a", "boxes": None}, "key 'boxes' must be a list of [x1, y1, x2, y2]"),
    ({"image": "a", "boxes": [[1, 2, 3, 4], [1, 2, 3]]}, "boxes[1] must be four finite numbers"),
    ({"image": "a", "boxes": [[1, 2, 3, "4"]]}, "boxes[0] must be four finite numbers"),
    ({"image": "a", "boxes": [[1, 2, 3, True]]}, "boxes[0] must be four finite numbers"),
    ({"image": "a", "scores": ["1"]}, "key 'scores' must be a list of finite numbers"),
    ({"image": "a", "labels": "cow"}, "key 'labels' must be a list of strings or null"),
    ({"image": "a", "labels": [1]}, "key 'labels' must be a list of strings or null"),
    ({"image": "a", "source": 1}, "key 'source' must be a string"),
    ({"image": "a", "id": 1}, "key 'id' must be a string"),
    ({"image": "a", "meta": []}, "key 'meta' must be an object"),
    ({"image": "a", "meta": None}, "key 'meta' must be an object"),
    ({"image": "a", "dialogues": SAY}, "dialogues[0] must be a list of at least one turn"),
    ({"image": "a", "dialogues": None}, "key 'dialogues' must be a list"),
    ({"image": "a", "dialogues": [SAY, []]}, "dialogues[1] must be a list of at least one turn"),
    ({"image": "a", "dialogues": [[{"role": "user"}]]}, "key 'text' is missing in dialogues[0][0]"),
    ({"image": "a", "dialogues": [[{"from": "human"}]]}, "unknown key 'from' in dialogues[0][0]"),
    ({"image": "a", "dialogues": [[*SAY, {"role": "gpt", "text": ""}]]}, "dialogues[0][1]: key 'role'"),
    ({"image": "a", "dialogues": [[{"role": "user", "text": 1}]]}, "dialogues[0][0]: key 'text'"),
]
# What JSON Schema cannot say.
WORSE = [
    ({"image": "a", "boxes": [[1, 2, 3, float("nan")]]}, "boxes[0] must be four finite numbers"),
    ({"image": "a", "boxes": [[1, 2, 3, 10**400]]}, "boxes[0] must be four finite numbers"),
    ({"image": "a", "boxes": [[1, 2, 3, 1e39]]}, "boxes[0] must be four finite numbers"),
    ({"image": "a", "scores": [1]}, "key 'scores' has 1 entries for 0 boxes"),
    ({"image": "a", "boxes": [[1, 2, 3, 4]], "labels": []}, "key 'labels' has 0 entries for 1 boxes"),
    ({"image": "a", "dialogues": [[{"role": "user", "text": "\ud83d"}]]}, "whole characters"),
]


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    data = json.loads((files("fo1.data") / "schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(data)
    return Draft202012Validator(data)


@pytest.mark.parametrize("data", GOOD)
def test_what_is_taken(data: dict[str, Any], schema: Draft202012Validator) -> None:
    schema.validate(data)
    again = Record.from_json(data).to_json()
    schema.validate(again)
    assert Record.from_json(json.loads(json.dumps(again))).to_json() == again
    known = {key: value for key, value in data.items() if value is not None}
    assert again == {"boxes": [], "dialogues": [], **known}


@pytest.mark.parametrize(("data", "message"), BAD)
def test_what_is_refused(data: Any, message: str, schema: Draft202012Validator) -> None:
    assert not schema.is_valid(data)
    with pytest.raises(RecordError) as caught:
        Record.from_json(data)
    assert message in str(caught.value)


@pytest.mark.parametrize(("data", "message"), WORSE)
def test_what_is_refused_beyond_the_schema(data: Any, message: str) -> None:
    with pytest.raises(RecordError) as caught:
        Record.from_json(data)
    assert message in str(caught.value)


def test_parts_are_typed_and_cannot_change() -> None:
    boxes = np.array([[1, 2, 3, 4.4]])
    record = Record(ImageRef("a.jpg", (4, 5)), boxes, [[Turn("user", "hi")]], scores=[1])
    boxes[0] = 0
    assert record.boxes.dtype == np.float32 and record.boxes.tolist()[0][:3] == [1, 2, 3]
    assert (record.dialogues, record.scores) == (((Turn("user", "hi"),),), (1.0,))
    with pytest.raises(ValueError, match="read-only"):
        record.boxes[0] = 0
    assert record.to_json()["boxes"] == [[1.0, 2.0, 3.0, 4.4]]
    assert Record(ImageRef("a.jpg"), np.zeros((0, 4))).boxes.shape == (0, 4)


def test_where_an_image_is() -> None:
    root = Path("set")
    file, member = ImageRef("x/a#b.jpg", root=root), ImageRef("x/0.tar#y/a.jpg", root=root)
    assert (file.file, file.member, file.is_url) == (root / "x/a#b.jpg", None, False)
    assert (member.file, member.member, member.is_url) == (root / "x/0.tar", "y/a.jpg", False)
    url = ImageRef("HTTPS://example.org/0.tar#a.jpg", root=root)
    assert url.is_url and url.member is None


def test_an_image_seen_from_another_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert ImageRef("i/a.jpg", root=here).seen_from(here).path == "i/a.jpg"
    moved = ImageRef("i/0.tar#a.jpg", (1, 2), here).seen_from(there)
    assert (moved.path, moved.size, moved.root) == ("../here/i/0.tar#a.jpg", (1, 2), there)
    for path in ("https://example.org/a.jpg", str(here / "a.jpg")):
        assert ImageRef(path, root=here).seen_from(there).path == path
