"""Each family, random and tiny: boxes in the right pixels, whatever else is in the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Owlv2ImageProcessorPil

from fo1.errors import CheckpointError, PromptError
from fo1.proposals.detectors.detector import Detector
from fo1.proposals.known import PROPOSERS
from fo1.proposals.proposer import Selection
from tiny import picture, region_model
from tiny_detectors import DETECTORS

ALL = Selection(min_score=0.0, iou=1.0, top_k=1000)
READING = ("owlv2", "omdet", "groundingdino", "sam3")
IMAGES = [picture(0), picture(1, (40, 90)), picture(2), picture(3, (30, 20))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("detectors")
    return {name: build(root / name) for name, build in DETECTORS.items()}


@pytest.fixture(scope="module")
def load(folders: dict[str, Path]):
    loaded: dict = {}

    def get(name: str, words: tuple[str, ...] = (), selection: Selection = ALL) -> Detector:
        if name not in loaded:
            loaded[name] = PROPOSERS.get(name).load(str(folders[name]))
        one = loaded[name]
        return type(one)(one.model, one.processor, one.tokenizer, words, selection)

    return get


@pytest.mark.parametrize("name", DETECTORS)
def test_a_batch_of_different_sizes_is_what_each_is_alone(name: str, load) -> None:
    detector = load(name)
    together = detector.propose(IMAGES)
    for image, found in zip(IMAGES, together, strict=True):
        (alone,) = detector.propose([image])
        assert len(found) > 0 and found.image_size == image.size
        assert (found.xyxy >= 0).all() and (found.xyxy <= [*image.size * 2]).all()
        assert np.sort(found.scores) == pytest.approx(np.sort(alone.scores), abs=1e-3)
        assert np.sort(found.xyxy, axis=0) == pytest.approx(np.sort(alone.xyxy, axis=0), abs=0.05)
    assert not np.array_equal(together[0].scores, together[1].scores)


@pytest.mark.parametrize("name", DETECTORS)
def test_boxes_are_in_pixels_of_the_image_given(name: str, load) -> None:
    # Of one colour, so that it looks the same at any size; OWLv2 would see the edge of its padding.
    height = 64 if name == "owlv2" else 48
    sizes = (64, height), (192, height * 3)
    small, large = load(name).propose([Image.new("RGB", size, "teal") for size in sizes])
    assert large.xyxy == pytest.approx(small.xyxy * 3, abs=0.05)


@pytest.mark.parametrize("name", DETECTORS)
def test_nothing_is_found_where_nothing_scores_enough(name: str, load) -> None:
    found = load(name, selection=Selection(min_score=1.1)).propose(IMAGES)
    assert [len(one) for one in found] == [0, 0, 0, 0]
    assert [one.image_size for one in found] == [image.size for image in IMAGES]
    assert load(name).propose([]) == []


@pytest.mark.parametrize("name", READING)
def test_words_are_labels_and_what_is_scored(name: str, load) -> None:
    (anything,) = load(name).propose([IMAGES[0]])
    assert anything.labels is None
    (both,) = load(name, ("cat", "red dog")).propose([IMAGES[0]])
    assert both.labels is not None and set(both.labels) <= {"cat", "red dog"}
    (cats,) = load(name, ("cat",)).propose([IMAGES[0]])
    assert set(cats.labels or ()) == {"cat"}
    assert not np.allclose(cats.scores[:5], anything.scores[:5])


@pytest.mark.parametrize("name", ["rtdetr", "detr"])
def test_detectors_with_names_of_their_own(name: str, load) -> None:
    names = set(load(name).model.config.id2label.values())
    (found,) = load(name).propose([IMAGES[0]])
    assert found.labels is not None and set(found.labels) <= names
    with pytest.raises(CheckpointError, match="names of its own"):
        load(name, ("cat",))


def test_owlv2_by_words_is_what_its_own_post_processing_says(load) -> None:
    detector = load("owlv2", ("cat", "red dog"))
    image = IMAGES[1]
    pixels = detector.processor(images=[image], return_tensors="pt")["pixel_values"]
    tokens = detector.tokenizer(["cat", "red dog"], padding="max_length", max_length=16, return_tensors="pt")
    outputs = detector.model(
        pixel_values=pixels, input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
    )
    size = torch.tensor([image.size[::-1]])
    (wanted,) = Owlv2ImageProcessorPil().post_process_object_detection(outputs, 0.0, size)
    (found,) = detector.propose([image])
    for box, score in zip(found.xyxy, found.scores, strict=True):
        near = int((wanted["scores"] - score).abs().argmin())
        clipped = np.clip(wanted["boxes"][near].numpy(), 0, [*image.size * 2])
        assert box == pytest.approx(clipped, abs=1e-2)


def test_grounding_dino_scores_each_word_by_its_own_tokens(load) -> None:
    detector = load("groundingdino", ("cat", "red dog"))
    tokens, spans = detector._caption(("cat", "red dog"))
    words = detector.tokenizer.convert_ids_to_tokens(tokens["input_ids"][0])
    assert [[words[i] for i in span] for span in spans] == [["cat"], ["red", "dog"]]
    with pytest.raises(PromptError, match="40 words are more than the 32 tokens"):
        load("groundingdino", ("cat",) * 40).propose([IMAGES[0]])


def test_a_folder_of_another_family(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a rt_detr, not a owlv2"):
        PROPOSERS.get("owlv2").load(str(folders["rtdetr"]))
    with pytest.raises(CheckpointError, match=f"no detector can be loaded from {tmp_path}"):
        PROPOSERS.get("rtdetr").load(str(tmp_path))


def test_the_key_tells_apart_what_changes_the_boxes(load) -> None:
    keys = {
        load("owlv2").key,
        load("owlv2", ("cat",)).key,
        load("owlv2", selection=Selection()).key,
        load("rtdetr").key,
    }
    assert len(keys) == 4 and load("owlv2").key in keys


def test_a_model_takes_one_for_its_proposer(load) -> None:
    model = region_model(proposer=load("rtdetr", selection=Selection(top_k=5)))
    assert [len(one.regions) for one in model.encode(IMAGES[:2], [None, None])] == [5, 5]
