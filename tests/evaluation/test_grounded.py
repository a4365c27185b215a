from __future__ import annotations

import json

import numpy as np
import pytest

from evaluation.answers import grounded, tiny_model
from fo1.evaluation.grounded import Confidence, Grounded
from tiny import picture

BOXES = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]


def test_asking_in_chunks_keeps_every_score_and_the_models_choice() -> None:
    scene = tiny_model().look(picture())
    labels = ["cat", "dog", "cow"]
    whole, parts = Grounded.of(scene, labels), Grounded.of(scene, labels, chunk=2)
    found = scene.detect(labels)
    assert list(parts.scores) == labels
    for label in labels:
        mine = found.by_label(label)
        np.testing.assert_array_equal(whole.scores[label][mine.regions], mine.scores)
        assert (whole.scores[label] <= found.confidence[label]).all()
        assert whole.named[label] == tuple(found.by_label(label).regions)
        assert whole.ranked[label][: len(whole.named[label])] == whole.named[label]
    alone = scene.detect(["cow"], threshold=0.0)
    np.testing.assert_array_equal(parts.scores["cow"][alone.regions], alone.scores)


def test_json_keeps_what_matters() -> None:
    answer = grounded(BOXES, {"cat": [0.9, 0.00001, 0.123456], "dog": [0, 0, 0]}, proposer=[0.1, 0.2, 0.3])
    back = Grounded.of_json(json.loads(json.dumps(answer.to_json())))
    np.testing.assert_allclose(back.xyxy, BOXES)
    np.testing.assert_allclose(back.scores["cat"], [0.9, 0, 0.123456], atol=1e-6)
    assert back.ranked["cat"] == (0, 2), "next to nothing is left out"
    assert back.named == answer.named and back.size == answer.size
    np.testing.assert_allclose(back.boxes("cat")[1], [0.9, 0.123456], atol=1e-6)
    assert len(back.boxes("dog")[0]) == len(back.boxes("cow")[0]) == 0
    empty = Grounded.of_json(grounded([], {"cat": []}).to_json())
    assert empty.xyxy.shape == (0, 4) and empty.boxes("cat")[0].shape == (0, 4)


def test_the_three_confidences() -> None:
    answer = grounded(BOXES, {"cat": [0.9, 0.6, 0.4]}, proposer=[0.1, 0.5, 0.9])
    assert answer.by(Confidence.own) is answer
    theirs = answer.by(Confidence.proposer)
    assert theirs.ranked["cat"] == (1, 0), "only what the model names"
    assert theirs.boxes("cat")[1] == pytest.approx([0.5, 0.1])
    both = answer.by(Confidence.product)
    assert both.ranked["cat"] == (2, 1, 0)
    assert both.boxes("cat")[1] == pytest.approx([0.36, 0.3, 0.09])
    assert theirs.named == both.named == answer.named == {"cat": (0, 1)}
