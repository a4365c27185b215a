from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SamProcessor

from fo1 import segmenting
from fo1.detection import Detection
from fo1.detections import Detections
from fo1.errors import CheckpointError
from fo1.segmenting import Segmenter
from tiny import picture
from tiny_detectors import rtdetr
from tiny_sam import sam, sam2, sam3_tracker

FOUND = [Detection("a", (5, 5, 40, 40)), Detection("b", (30, 2, 70, 59)), Detection("c", (-9, 0, 200, 90))]


@pytest.mark.parametrize("build", [sam, sam2, sam3_tracker])
def test_a_mask_for_each_box_on_the_image(
    build: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = Segmenter.load(str(build(tmp_path / "model")))
    for size in ((80, 60), (40, 90)):
        found = Detections.of(FOUND, size)
        masks = segmenter(picture(0, size), found)
        assert [mask.size for mask in masks] == [size] * 3
        assert len({mask.counts for mask in masks}) == 3
        with monkeypatch.context() as few:
            few.setattr(segmenting, "BOXES", 2)
            assert sum(a == b for a, b in zip(masks, segmenter(picture(0, size), found), strict=True)) == 3
    assert segmenter(picture(0), Detections.empty((80, 60))) == []


def test_sam_is_what_its_own_processor_says(tmp_path: Path) -> None:
    segmenter = Segmenter.load(str(sam(tmp_path / "model")))
    image = picture(0)
    own = SamProcessor(segmenter.processor)
    boxes = [[list(one.box) for one in FOUND[:2]]]
    inputs = own(images=image, input_boxes=boxes, return_tensors="pt")
    with torch.inference_mode():
        outputs = segmenter.model(
            pixel_values=inputs["pixel_values"],
            input_boxes=inputs["input_boxes"].float(),
            multimask_output=False,
        )
    sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
    (wanted,) = segmenter.processor.post_process_masks(outputs.pred_masks, *sizes)
    found = segmenter(image, Detections.of(FOUND[:2], image.size))
    for mask, pixels in zip(found, wanted[:, 0].numpy(), strict=True):
        assert (mask.array != pixels).mean() < 0.005
    assert not np.array_equal(found[0].array, found[1].array)


def test_without_a_device_it_runs_where_models_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenting, "device_of", lambda device: torch.device(device or "meta"))
    folder = str(sam(tmp_path / "model"))
    assert Segmenter.load(folder).model.device.type == "meta"
    assert Segmenter.load(folder, "cpu").model.device.type == "cpu"


def test_what_is_no_mask_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a rt_detr"):
        Segmenter.load(str(rtdetr(tmp_path / "rt")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no mask model can be loaded"):
        Segmenter.load(str(tmp_path / "empty"))
