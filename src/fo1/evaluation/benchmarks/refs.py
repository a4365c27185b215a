"""Expressions of the RefCOCO family: a file of references beside COCO's instances.json."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fo1.data.convert.plain_pickle import read_pickle
from fo1.data.record import RecordError
from fo1.evaluation.benchmark import BenchmarkError, Sample
from fo1.evaluation.benchmarks.instances import Instances, xyxy
from fo1.evaluation.files import existing, read_json, rows_with
from fo1.evaluation.pictures import located
from fo1.evaluation.truth import BoxTruth

KEYS = ("ref_id", "image_id", "ann_id", "split", "sentences")
IMAGES = ("train2014", "images/train2014", "images/mscoco/images/train2014")
NOTHING = -1  # gRefCOCO's annotation id of what is not there


def open_refs(folder: Path, name: str, file: str, split: str) -> list[Sample[BoxTruth]]:
    """One sample a sentence of a split, image by image.

    folder: holds the data set's folder, called `name`, and COCO's images of 2014. file: of its references, a
        pickle of plain data or JSON.
    Raises `BenchmarkError` for another layout, and for references to what instances.json does not list.
    """
    path = folder / name / file
    by_image = defaultdict(list)
    for ref in rows_with(_read(path, name), KEYS, path, "references"):
        if ref["split"] == split:
            by_image[ref["image_id"]].append(ref)
    if not by_image:
        raise BenchmarkError(f"{path} has no reference of split {split!r}; expected the {name} that has some")
    data = Instances.read(folder / name / "instances.json", f"the instances of {name}", {"file_name"})
    images = {image["id"]: image for image in data.images if image["id"] in by_image}
    lost = next((number for number in by_image if number not in images), None)
    if lost is not None:
        raise BenchmarkError(f"{path} has references of image {lost}, which {data.path} does not list")
    files = located([image["file_name"] for image in images.values()], folder, IMAGES, data.path)
    samples = []
    for (number, image), picture in zip(images.items(), files, strict=True):
        boxes = {row["id"]: data.box(row) for row in data.annotations.get(number, ())}
        for ref in by_image[number]:
            truths = _truths(ref, boxes, path)
            size = (image["width"], image["height"])
            samples += [
                Sample(f"{ref['ref_id']}-{i}", picture, truth, size=size) for i, truth in enumerate(truths)
            ]
    return samples


def _read(path: Path, name: str) -> Any:
    expected = f"the references of {name}"
    if path.suffix == ".json":
        return read_json(path, expected)
    try:
        return read_pickle(existing(path, expected), expected)
    except RecordError as error:
        raise BenchmarkError(str(error)) from error


def _truths(ref: Mapping[str, Any], boxes: Mapping[Any, list[float]], path: Path) -> list[BoxTruth]:
    """One for each sentence, which is taken as official tools do: `sent`, lower case and without marks.

    boxes: of its image, by annotation id.
    """
    place = f"{path}: reference {ref['ref_id']}"
    targets = ref["ann_id"] if isinstance(ref["ann_id"], list) else [ref["ann_id"]]
    targets = [target for target in targets if target != NOTHING]
    lost = [target for target in targets if target not in boxes]
    if lost:
        raise BenchmarkError(
            f"{place} is of annotation {lost[0]}, which instances.json does not list for its image; "
            "do the two files belong together?"
        )
    try:
        phrases = [" ".join(sentence["sent"].split()) for sentence in ref["sentences"]]
    except (TypeError, KeyError, AttributeError) as error:
        raise BenchmarkError(f'{place} has sentences that are not of the form {{"sent": words}}') from error
    return [BoxTruth.by_label({phrase: xyxy([boxes[target] for target in targets])}) for phrase in phrases]
