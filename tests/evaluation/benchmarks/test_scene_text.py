from __future__ import annotations

from pathlib import Path

import numpy as np

from evaluation.benchmarks.talking_scene import TalkingScene
from fo1.evaluation.benchmarks import BENCHMARKS
from fo1.evaluation.run import open_samples


def test_words_to_be_read() -> None:
    benchmark = BENCHMARKS.get("fo1-scenes-text")()
    samples, _, split = open_samples(benchmark, None, None)
    again = benchmark.open(Path("anywhere"), split)
    assert len(samples) == len(again) > 60
    for one, same in zip(samples, again, strict=True):
        assert (one.id, one.truth) == (same.id, same.truth)
        np.testing.assert_array_equal(one.boxes, same.boxes)
    groups = {id(one.image): [s for s in samples if s.image is one.image] for one in samples}
    assert len(groups) == 40, "words of a scene share one look"
    for group in groups.values():
        assert all(one.boxes is group[0].boxes for one in group)
        assert [one.truth.region for one in group] == list(range(len(group)))


def test_a_model_that_reads_one_word() -> None:
    benchmark = BENCHMARKS.get("fo1-scenes-text")()
    sample = benchmark.open(Path(), "composed")[0]
    question = "Please provide the ocr results of <region0> in the image."
    (word,) = sample.truth.texts
    metric = benchmark.metric()
    metric.update(sample, benchmark.ask(TalkingScene(sample.boxes, {question: word.upper()}), sample))
    metric.update(sample, {"text": word[:-1]})
    figures = metric.compute()
    assert figures["accuracy"] == 1 / 2
    assert figures["characters"] == (1 + (len(word) - 1) / len(word)) / 2
