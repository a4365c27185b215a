"""COCO-Text, counting benchmarks and LLaVA conversations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fo1.data.convert.coco_text import read_coco_text
from fo1.data.convert.counting import read_counting
from fo1.data.convert.llava import read_llava
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError, Turn


def test_coco_text(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("COCO_train2014_000000000005.jpg")

    def text(number: int, words: str, legibility: str, *box: float) -> dict[str, Any]:
        return {
            **{"id": number, "image_id": 5, "bbox": list(box), "utf8_string": words, "language": "english"},
            **{"class": "machine printed", "legibility": legibility, "mask": [], "area": 1.0},
        }

    image = {"id": 5, "set": "train", "file_name": "COCO_train2014_000000000005.jpg"}
    size = {"width": 100, "height": 80}
    anns = {
        "45": text(45, "EXIT", "legible", 10.5, 20, 30, 10),
        "46": text(46, "", "illegible", 1, 1, 5, 5),
        "47": text(47, "flat", "legible", 1, 1, 5, 0),
    }
    images = {"5": {**image, **size}, "6": {**image, **size, "id": 6, "set": "val"}, "7": {**image, "id": 7}}
    data = {"cats": {}, "anns": anns, "imgs": images, "imgToAnns": {"5": [45, 46, 47]}, "info": {}}
    (found,) = read_coco_text(write("cocotext.v2.json", data), root, problems=problems)
    assert found.boxes.tolist() == [[10.5, 20, 40.5, 30], [1, 1, 6, 6]]
    assert found.texts == ("EXIT", None)
    assert problems.places == {"box of zero area": ["cocotext.v2.json, annotation 47"]}
    assert list(read_coco_text(root / "cocotext.v2.json", root, "val")) == []
    with pytest.raises(RecordError, match="expected a COCO-Text JSON"):
        list(read_coco_text(write("a.json", {"anns": []})))


QUESTION = (
    "How many cups are there in the image? Count each instance of the target object. Locate them with object "
    "indexes and then answer the question with the number of objects."
)


def test_counting(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("image_0.jpg")
    row = {
        "question": QUESTION,
        "answer": 3,
        "image": "image_0.jpg",
        "bboxes": [[1, 2, 30, 40], [5, 5, 5, 9]],
    }
    rows = [{**row, "scores": [0.75, 0.5]}, row, {**row, "answer": "3"}, {**row, "image": "x.jpg"}]
    path = write("countbench.json", rows)
    first, second = read_counting(path, root, problems)
    assert first.boxes.tolist() == second.boxes.tolist() == [[1, 2, 30, 40]]
    assert first.scores == (0.75,) and second.scores == ()
    # Which regions they are nobody knows, so they are not asked for.
    question = "How many cups are there in the image? Answer with the number only."
    assert first.talks == ((Turn("user", question), Turn("assistant", "3")),)
    assert first.meta == {"question": QUESTION, "count": 3} and first.by_label() == {}
    assert problems.places == {
        "box of zero area": ["countbench.json, entry 0, box 1", "countbench.json, entry 1, box 1"],
        "entry without question, number, image and boxes": ["countbench.json, entry 2"],
        "missing image": ["countbench.json, entry 3: x.jpg"],
    }
    with pytest.raises(RecordError, match='expected a list of {"question"'):
        list(read_counting(write("a.json", {})))


def talk(*texts: str, image: Any = "coco/train2017/1.jpg") -> dict[str, Any]:
    sides = ("human", "gpt") * len(texts)
    turns = [{"from": side, "value": text} for side, text in zip(sides, texts, strict=False)]
    return {"id": "1", "image": image, "conversations": turns}


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_llava(write: Any, photo: Any, problems: Problems, suffix: str) -> None:
    root = photo("train2017/1.jpg")
    rows: list[Any] = [
        talk("<image>\nWhat is this?", "A <b>cup</b>.", "What colour?\n<image>", "Blue."),
        talk("What is it?\n<image>", "A cup."),
        talk("<image>Hm?"),
        talk("<image>", "A cup."),
        talk("<image><image> Same?", "Yes"),
        talk("Hi", "Hello", image=None),
        talk("<image>x", "y", image=["a.jpg", "b.jpg"]),
        talk("<image>x", "y", image="gone.jpg"),
        talk("<image>Where is <region3>?", "y"),
        {"image": "1.jpg"},
    ]
    del rows[5]["image"]
    text = json.dumps(rows) if suffix == ".json" else "\n".join([*map(json.dumps, rows), "{"])
    (found,) = read_llava(write(f"mix{suffix}", text), root, problems)
    assert found.talks == ((Turn("user", "What is it?"), Turn("assistant", "A cup.")),)
    assert len(found.boxes) == 0 and found.image.size == (100, 80)
    word, start = ("entry", 0) if suffix == ".json" else ("line", 1)
    counted = {kind: [int(p.split(f"{word} ")[1].split(":")[0]) - start for p in places]
               for kind, places in problems.places.items()}  # fmt: skip
    assert counted == {
        "conversation about several images": [0, 4, 6],
        "sides do not take turns, user first and assistant last": [2],
        "empty turn": [3],
        "conversation without an image": [5],
        "missing image": [7],
        "conversation that names regions, but has none": [8],
        "entry without conversations": [9],
        **({"line is not JSON": [10]} if suffix == ".jsonl" else {}),
    }


def test_other_json_than_llava(write: Any) -> None:
    with pytest.raises(RecordError, match='expected a list of {"image"'):
        list(read_llava(write("a.json", {"images": []})))
