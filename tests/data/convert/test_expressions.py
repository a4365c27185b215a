"""RefCOCO, Visual Genome, Flickr30k Entities: words for boxes."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from fo1.data.convert.annotated import Caption, Expression, Span
from fo1.data.convert.flickr30k import parse_caption, read_flickr30k
from fo1.data.convert.plain_pickle import read_pickle
from fo1.data.convert.problems import Problems
from fo1.data.convert.refcoco import read_refcoco
from fo1.data.convert.visual_genome import read_visual_genome
from fo1.data.record import RecordError


def ref(number: int, image: int, annotation: int, split: str, *phrases: str) -> dict[str, Any]:
    return {
        "ref_id": number,
        "image_id": image,
        "ann_id": annotation,
        "category_id": 1,
        "split": split,
        "file_name": f"COCO_train2014_{image:012}_{annotation}.jpg",
        "sent_ids": [number],
        "sentences": [{"sent_id": 1, "sent": p, "raw": p.upper(), "tokens": p.split()} for p in phrases],
    }


REFS = [
    ref(0, 7, 2, "train", "left cup", "the cup  near you"),
    ref(1, 7, 1, "train", "right cup"),
    ref(2, 7, 1, "testA", "secret"),
    ref(3, 7, 3, "train", "flat one"),
    ref(4, 8, 9, "train", "lost"),
]
INSTANCES = {
    "images": [{"id": 7, "file_name": "COCO_train2014_000000000007.jpg", "width": 100, "height": 80}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 47, "bbox": [60, 10, 20, 20], "iscrowd": 0},
        {"id": 3, "image_id": 7, "category_id": 47, "bbox": [60, 10, 20, 0], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 47, "bbox": [10, 10, 20, 20], "iscrowd": 0},
    ],
    "categories": [{"id": 47, "name": "cup"}],
}


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_refcoco(write: Any, photo: Any, problems: Problems, protocol: int) -> None:
    root = photo("train2014/COCO_train2014_000000000007.jpg")
    write("refcoco/instances.json", INSTANCES)
    write("refcoco/refs(unc).p", pickle.dumps(REFS, protocol))
    (image,) = read_refcoco(root / "refcoco", root / "train2014", problems=problems)
    assert image.boxes.tolist() == [[60, 10, 80, 30], [10, 10, 30, 30]]
    assert image.expressions == (
        Expression("left cup", (1,)),
        Expression("the cup near you", (1,)),
        Expression("right cup", (0,)),
    )
    assert not image.is_complete("cup") and image.absent == ()
    assert problems.places == {
        "box of zero area": ["instances.json, annotation 3"],
        "expression of an object without a box": ["refs(unc).p, ref 3"],
        "expressions of an image that is not listed": ["refs(unc).p, image 8"],
    }
    (image,) = read_refcoco(root / "refcoco/refs(unc).p", root / "train2014", "testA")
    assert image.expressions == (Expression("secret", (0,)),)
    with pytest.raises(RecordError, match="has nothing in split 'testC'; give another"):
        list(read_refcoco(root / "refcoco", split="testC"))


def test_refcoco_folder_without_pickle(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"expected a RefCOCO folder: refs\(unc\)\.p"):
        list(read_refcoco(tmp_path))


def test_python_2_pickles_are_read(write: Any) -> None:
    # {'sent': 'caf\xc3\xa9', 'ids': set([1L])}, as Python 2 writes it
    data = b"(dp0\nS'sent'\nS'caf\\xc3\\xa9'\nsS'ids'\nc__builtin__\nset\n((lL1L\natRs."
    assert read_pickle(write("a.p", data), "text") == {"sent": "café", "ids": {1}}


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


class Eval:
    def __reduce__(self) -> Any:
        return eval, ("__import__('os').mkdir('harm')",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("thing", [Evil(), Eval(), getattr, Path("a")])
def test_pickles_that_call_something_are_refused(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thing: Any, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write("refs(unc).p", pickle.dumps([thing], protocol))
    with pytest.raises(RecordError, match=r"refs\(unc\)\.p: wants to load .*do not open this file"):
        list(read_refcoco(path))
    assert not Path("harm").exists()


def test_pickles_that_point_outside_are_refused(write: Any) -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            return "outside" if thing == "x" else None

    buffer = io.BytesIO()
    Pickler(buffer).dump(["x"])
    with pytest.raises(RecordError, match="refers to objects outside the file"):
        read_pickle(write("a.p", buffer.getvalue()), "lists")


@pytest.mark.parametrize("data", [b"", b"\x80", pickle.dumps(REFS)[:-9], b"hello", b"\x80\xff.", b"."])
def test_damaged_pickles(write: Any, data: bytes) -> None:
    with pytest.raises(RecordError, match=r"a\.p: is damaged or cut off .*; expected refs"):
        read_pickle(write("a.p", data), "refs")


def region(number: int, phrase: str, *box: float) -> dict[str, Any]:
    x, y, width, height = box
    return {
        **{"region_id": number, "image_id": 1, "phrase": phrase},
        **{"x": x, "y": y, "width": width, "height": height},
    }


def test_visual_genome(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("VG_100K/1.jpg", "VG_100K_2/2.jpg")
    rows = [
        {
            "id": 1,
            "regions": [
                region(10, "a red  kite", 1, 2, 30, 40),
                region(11, " ", 1, 2, 3, 4),
                region(12, "a string", 5, 5, 0, 9),
            ],
        },
        {"id": 2, "regions": []},
        {"id": 3, "regions": []},
    ]
    write("region_descriptions.json", rows)
    url = "https://example.org/rak/VG_100K/1.jpg"
    write("image_data.json", [{"image_id": 1, "url": url, "width": 100, "height": 80, "coco_id": None}])
    first, second = read_visual_genome(root, problems=problems)
    assert first.captions == ("a red kite",) and first.boxes.tolist() == [[1, 2, 31, 42]]
    assert [image.image.path for image in (first, second)] == ["VG_100K/1.jpg", "VG_100K_2/2.jpg"]
    assert problems.places == {
        "empty description": ["region_descriptions.json, region 11"],
        "box of zero area": ["region_descriptions.json, region 12"],
        "missing image": ["region_descriptions.json, image 3: 3"],
    }
    with pytest.raises(RecordError, match=r"expected region_descriptions\.json of Visual Genome"):
        list(read_visual_genome(write("other.json", [{"a": 1}])))


def test_marked_captions() -> None:
    line = "[/EN#1/people Two  boys] , one in [/EN#2/clothing/other a hat] , look at [/EN#0/notvisual it] ."
    text = "Two boys, one in a hat, look at it."
    caption = parse_caption(line, {"1": [3, 0], "2": [1]})
    assert caption == Caption(text, (Span(0, 8, (0, 3)), Span(17, 22, (1,))))
    assert [text[span.start : span.end] for span in caption.spans] == ["Two boys", "a hat"]


def test_flickr30k(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("flickr30k-images/36.jpg", "flickr30k-images/37.jpg", "flickr30k-images/38.jpg")
    write("Sentences/36.txt", "[/EN#5/people A man] rides [/EN#6/other a bike] in [/EN#7/scene the park] .\n")
    write("Sentences/37.txt", "A dog .\n")
    write("Sentences/38.txt", "A dog .\n")
    write("train.txt", "36\n37\n")
    box = "<bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    write(
        "Annotations/36.xml",
        "<annotation><filename>36.jpg</filename>"
        f"<object><name>5</name><name>6</name>{box.format(1)}</object>"
        f"<object><name>6</name>{box.format(8)}</object>"
        "<object><name>7</name><scene>1</scene><nobndbox>0</nobndbox></object></annotation>",
    )
    (image,) = read_flickr30k(root, split="train", problems=problems)
    assert image.boxes.tolist() == [[1, 2, 30, 40], [8, 2, 30, 40]]
    text = "A man rides a bike in the park."
    assert image.image_captions == (Caption(text, (Span(0, 5, (0,)), Span(12, 18, (0, 1)))),)
    assert list(problems.places) == ["damaged or missing annotation"]
    with pytest.raises(RecordError, match="no such folder; expected Flickr30k Entities"):
        list(read_flickr30k(root / "Sentences"))
