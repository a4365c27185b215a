from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fo1.errors import RegionError
from fo1.images import load_image
from fo1.proposals.cached import CachedProposals, pixel_key, read_cache
from fo1.proposals.proposal_file import ProposalFile
from fo1.proposals.proposer import Selection
from fo1.types import Regions
from tiny import picture, region_model

COUNTING = Path(__file__).parents[3] / "shared" / "data" / "counting"


def stored(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "boxes.json"
    many = Regions.of(
        [[0, 0, 9, 9], [20.5, 20, 30, 30], [0, 0, 9, 8]], (80, 60), [0.2, 0.9, 0.8], ["a", "橙子", "c"]
    )
    file = ProposalFile(path, "a test")
    file.add("one.jpg", picture(0), many)
    file.add("沙发.png", picture(1), Regions.empty((80, 60)))
    return path


def test_round_trip_finds_images_by_their_pixels(cache: Path) -> None:
    proposer = CachedProposals(cache)
    assert len(proposer) == 2
    second, first = proposer.propose([picture(1), picture(0)])
    assert len(second) == 0
    assert first.scores.tolist() == pytest.approx([0.9, 0.8, 0.2])
    assert first.xyxy[0].tolist() == [20.5, 20, 30, 30] and first.image_size == (80, 60)
    assert first.labels == ("橙子", "c", "a")


def test_the_shared_selection_applies(cache: Path) -> None:
    (found,) = CachedProposals(cache, Selection(min_score=0.1, iou=0.5, top_k=100)).propose([picture(0)])
    assert found.labels == ("橙子", "c")


def test_by_name(cache: Path) -> None:
    found = CachedProposals(cache).named("one.jpg", (80, 60))
    assert found.labels == ("橙子", "c", "a")
    with pytest.raises(RegionError, match="boxes.json has no boxes for two.jpg"):
        CachedProposals(cache).named("two.jpg", (80, 60))


def test_an_image_that_is_not_there(cache: Path) -> None:
    with pytest.raises(RegionError, match="no boxes for this 80×60 image; add them with fo1 propose"):
        CachedProposals(cache).propose([picture(2)])


def test_the_key_is_what_the_image_shows(tmp_path: Path) -> None:
    image = picture(0)
    assert pixel_key(image) == pixel_key(picture(0)) == pixel_key(image.convert("RGBA"))
    for name in ("a.png", "b.bmp"):
        image.save(tmp_path / name)
        assert pixel_key(load_image(tmp_path / name)) == pixel_key(image)
    changed = np.asarray(image).copy()
    changed[-1, -1, -1] ^= 1
    turned = Image.frombytes("RGB", (60, 80), image.tobytes())
    keys = {pixel_key(i) for i in (image, picture(1), Image.fromarray(changed), turned)}
    assert len(keys) == 4 and all(len(key) == 32 for key in keys)


def test_minimal_records_by_name(tmp_path: Path) -> None:
    proposer = CachedProposals(stored(tmp_path / "b.json", {"coffee.jpg": {"boxes": [[1, 2, 3, 4]]}}))
    found = proposer.named("coffee.jpg", (80, 60))
    assert (found.xyxy.tolist(), found.scores.tolist(), found.labels) == ([[1, 2, 3, 4]], [1], None)
    with pytest.raises(RegionError, match="by name only; fo1 propose"):
        proposer.propose([picture(0)])


def test_an_image_is_found_by_path_by_name_or_by_pixels(cache: Path, tmp_path: Path) -> None:
    keyed = CachedProposals(cache)
    assert len(keyed.of("elsewhere/other.jpg", picture(0))) == 3
    with pytest.raises(RegionError, match="no boxes for folder/one.jpg as it is now; make them again"):
        keyed.of("folder/one.jpg", picture(5))
    assert len(keyed.of("one.jpg", picture(1))) == 0  # what it shows, not how it is called
    rows = [{"image": "a/x.jpg", "bboxes": [[1, 2, 3, 4]]}, {"image": "x.jpg", "bboxes": []}]
    named = CachedProposals(stored(tmp_path / "rows.json", rows))
    assert [len(named.of(path, picture(0))) for path in ("a/x.jpg", "b/x.jpg")] == [1, 0]
    with pytest.raises(RegionError, match=r"rows.json has no boxes for b/y.jpg$"):
        named.of("b/y.jpg", picture(0))


def test_different_images_of_one_name(tmp_path: Path) -> None:
    file = ProposalFile(tmp_path / "boxes.jsonl", "a test")
    file.add("1.jpg", picture(0), Regions.of([[0, 0, 9, 9]], (80, 60)))
    file.add("1.jpg", picture(1), Regions.empty((80, 60)))
    proposer = CachedProposals(file.path)
    assert len(proposer) == 2
    assert [len(one) for one in proposer.propose([picture(0), picture(1)])] == [1, 0]
    assert [len(proposer.of("1.jpg", picture(seed))) for seed in (0, 1)] == [1, 0]


def test_lines_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    one = {"image": "a.jpg", "boxes": [[1, 2, 3, 4]], "scores": [0.5], "model": "YOLO"}
    path.write_text(json.dumps(one) + "\n")
    assert read_cache(path) == {("a.jpg", None): {"boxes": [[1, 2, 3, 4]], "scores": [0.5]}}
    path.write_text(json.dumps(one) + "\n\n" + json.dumps({"image": "b.jpg", "boxes": []}) + "\n")
    assert set(read_cache(path)) == {("a.jpg", None), ("b.jpg", None)}


def test_a_list_of_questions(tmp_path: Path) -> None:
    row = {"image": "a.jpg", "bboxes": [[1, 2, 3, 4]], "question": "How many cups?"}
    path = stored(tmp_path / "rows.json", [row, row | {"question": "How many dogs?"}])
    assert read_cache(path) == {("a.jpg", None): {"boxes": [[1, 2, 3, 4]]}}
    with pytest.raises(RegionError, match="'a.jpg' comes twice, with different boxes"):
        read_cache(stored(path, [row, row | {"bboxes": []}]))


@pytest.mark.skipif(not COUNTING.is_dir(), reason="the counting benchmarks are not here")
@pytest.mark.parametrize(
    "name", ["countbench_with_upn_score_0.3_0.8.json", "pixmoCount_with_upn_score_0.3_0.8.json"]
)
def test_proposals_of_counting_benchmarks(name: str) -> None:
    proposer = CachedProposals(COUNTING / name)
    rows = json.loads((COUNTING / name).read_text(encoding="utf-8"))
    assert len(proposer) == len(rows) > 400
    for row in rows[::50]:
        found = proposer.named(row["image"], (2000, 2000))
        assert sorted(found.xyxy.tolist()) == sorted([[float(v) for v in box] for box in row["bboxes"]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read as a proposal cache"),
        ("{", "cannot be read as a proposal cache"),
        ("3", "must hold"),
        ('[{"image": "a.jpg"}]', "must hold"),
        ("[[1, 2, 3, 4]]", "must hold"),
        ('{"a.jpg": [[1, 2, 3, 4]]}', "the entry of 'a.jpg' has no boxes"),
        ('{"a.jpg": {"scores": [1]}}', "the entry of 'a.jpg' has no boxes"),
    ],
)
def test_files_that_are_no_cache(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "boxes.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RegionError, match=message) as caught:
        CachedProposals(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"boxes": [[1, 2, 3]]}, "must have shape"),
        ({"boxes": 3}, "must be a list"),
        ({"boxes": [[1, 2, 3, 4]], "scores": [1, 2]}, "scores must have shape"),
        ({"boxes": [[1, 2, 3, 4]], "labels": []}, "0 labels for 1 boxes"),
        ({"boxes": [[1, 2, 3, 4]], "labels": 5}, "not iterable"),
        ({"boxes": [[1, 2, 3, None]]}, "must be"),
    ],
)
def test_records_that_are_no_boxes(tmp_path: Path, record: dict, message: str) -> None:
    proposer = CachedProposals(stored(tmp_path / "boxes.json", {"a.jpg": record}))
    with pytest.raises(RegionError, match=rf"boxes.json, a.jpg: .*{message}"):
        proposer.named("a.jpg", (80, 60))


def test_a_model_takes_it_for_its_proposer(cache: Path) -> None:
    model = region_model(proposer=CachedProposals(cache))
    assert [len(one.regions) for one in model.encode([picture(0), picture(1)], [None, None])] == [3, 0]
