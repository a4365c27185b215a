"""What we do beside what one would do at first, in the same run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import torch

from fo1.bench.clock import seconds
from fo1.bench.direct import BINS, CHANNELS, direct, random_boxes, random_maps
from fo1.bench.results import Results
from fo1.bench.stages import steps
from fo1.bench.subject import LABELS, Subject, unread
from fo1.encoders.names import coco
from fo1.findings import written
from fo1.prompts.parsing import Grounding
from fo1.regions.branches import LevelBranch
from fo1.scene import Scene

QUESTIONS = (1, 5, 20, 80)
TIMED_ALONE = 5  # questions that share nothing all cost the same
BATCH = 8
OBJECTS = 5
PYRAMID = (384, 50)  # pixels of a side, and boxes: at the released sizes the rival needs minutes


def measure_rivals(results: Results, subject: Subject) -> None:
    """Pooling comes last: its rival takes the most memory."""
    scene = subject.look()
    _reuse(results, subject, scene)
    _batch(results, subject)
    with torch.inference_mode():
        _coordinates(results, scene)
        _pooling(results)


def _reuse(results: Results, subject: Subject, scene: Scene) -> None:
    """k questions to an image that is looked at once (`reuse`), and all their labels in one question.

    The rivals: the image is looked at anew for each question (`relook`), or encoded once, but it and its
    regions are read by the language model for each (`reread`).
    """
    alone = LABELS[:TIMED_ALONE]
    reread = seconds(partial(_ask_unread, scene, alone), results.repeat) / len(alone)
    relook = seconds(partial(_ask_unseen, subject, alone), results.repeat) / len(alone)
    look = seconds(subject.look, results.repeat)
    for count in QUESTIONS:
        labels = list(coco()[:count])
        results.took(f"reuse_{count}", look + seconds(partial(_ask, scene, labels), results.repeat))
        results.took(f"relook_{count}", relook * count)
        results.took(f"reread_{count}", look + reread * count)
        results.took(f"labels_{count}", look + seconds(partial(_ask_at_once, scene, labels), results.repeat))
        results.compare(f"reuse_{count}", f"relook_{count}", f"reuse_{count}")
        results.compare(f"reread_{count}", f"reread_{count}", f"reuse_{count}")


def _ask(scene: Scene, labels: Sequence[str]) -> None:
    fresh = unread(scene)
    for label in labels:
        fresh.detect(label)


def _ask_unread(scene: Scene, labels: Sequence[str]) -> None:
    for label in labels:
        unread(scene).detect(label)


def _ask_unseen(subject: Subject, labels: Sequence[str]) -> None:
    for label in labels:
        subject.look().detect(label)


def _ask_at_once(scene: Scene, labels: Sequence[str]) -> None:
    unread(scene).detect(labels)


def _batch(results: Results, subject: Subject) -> None:
    """Looking at several images and asking each a free question: one by one, and all at once."""
    model, images = subject.model, subject.copies(BATCH)
    boxes = [subject.boxes] * BATCH
    question = f"Is there a {LABELS[0]}?"

    def single() -> None:
        for image in images:
            model.look(image, subject.boxes).ask(question, max_new_tokens=OBJECTS)

    def together() -> None:
        model.ask_many(model.look_many(images, boxes), [question] * BATCH, max_new_tokens=OBJECTS)

    results.took(f"single_{BATCH}", seconds(single, results.repeat))
    results.took(f"batch_{BATCH}", seconds(together, results.repeat))
    results.compare(f"batch_{BATCH}", f"single_{BATCH}", f"batch_{BATCH}")


def _coordinates(results: Results, scene: Scene) -> None:
    """The answer that names an image's first regions, and the same boxes spelled as Qwen-VL models do."""
    regions, prompts = scene.regions, scene.model.prompts
    rows = range(min(OBJECTS, len(regions)))
    objects = [
        {"bbox_2d": [round(v) for v in regions.xyxy[row].tolist()], "label": LABELS[0]} for row in rows
    ]
    spelled = prompts.user_text(json.dumps(objects), 0)
    named = prompts.answer_text(written(Grounding(LABELS[0], tuple(rows))), len(regions))
    for name, ids in (("regions", named), ("coordinates", spelled)):
        results.tokens[name] = len(ids) / len(rows)
        results.took(
            f"object_as_{name}",
            seconds(steps(scene.model, scene.encoded, len(ids)), results.repeat) / len(rows),
        )
    results.ratios["coordinates_tokens"] = results.tokens["coordinates"] / results.tokens["regions"]


def _pooling(results: Results) -> None:
    """Maps of DaViT-Large's widths."""
    side, count = PYRAMID
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        maps, boxes = random_maps(side), random_boxes(count, side)
    branch = LevelBranch(CHANNELS, BINS, resize_to_first=True)
    results.took("pooling_ours", seconds(lambda: branch(maps, boxes), results.repeat))
    results.took("pooling_direct", seconds(lambda: direct(maps, boxes), results.repeat))
    results.compare("pooling", "pooling_direct", "pooling_ours")
