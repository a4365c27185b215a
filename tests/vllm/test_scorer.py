"""The bundled model's language model in vLLM: every region has the score that the core gives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fo1.model import RegionModel
from tiny import picture

pytest.importorskip("vllm.config")
pytestmark = pytest.mark.vllm

from fo1.vllm.scorer import Scorer  # noqa: E402

PHOTOS = Path(__file__).resolve().parents[2] / "photos"


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    options = {"max_model_len": 2048, "max_num_seqs": 32, "block_size": 32}
    yield Scorer("fo1-smol", dtype="float32", enforce_eager=True, **options)


def test_scores_are_the_cores(scorer: Scorer) -> None:
    """With many regions and none, labels that name regions, and more regions than names."""
    sources = [PHOTOS / "chickens.jpg", picture(0), PHOTOS / "calico_cat.jpg"]
    crowd = np.tile([[0, 0, 60, 60], [20, 20, 70, 50]], (60, 1)) + np.arange(120)[:, None]
    scenes = scorer.look_many([*sources, sources[2]], [None, [], None, crowd])
    for labels in ("chicken", ["cat", "the hen left of <region2>"]):
        found = scorer.detect(scenes, labels)
        for scene, got in zip(scenes, found, strict=True):
            want = scene.detect(labels)
            assert got.labels == want.labels
            np.testing.assert_array_equal(got.regions, want.regions)
            np.testing.assert_allclose(got.scores, want.scores, atol=1e-4)
            for label, scores in want.confidence.items():
                np.testing.assert_allclose(got.confidence[label], scores, atol=1e-4)
                assert got.absence[label] == pytest.approx(want.absence[label], abs=1e-4)


def test_images_without_regions(scorer: Scorer) -> None:
    (found,) = scorer.detect(scorer.look_many([picture(0)], [[]]), "cat, dog")
    assert not found.labels and found.absence == {"cat": 1, "dog": 1}


def test_states_come_to_where_the_core_is(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RegionModel, "device", torch.device("meta"))
    assert scorer.states([{"prompt_token_ids": [1, 2]}]).device.type == "meta"


def test_counting_asks_its_own_question(scorer: Scorer) -> None:
    scenes = scorer.look_many([PHOTOS / "chickens.jpg"])
    (got,), want = scorer.locate(scenes, "chicken"), scenes[0].locate("chicken")
    np.testing.assert_array_equal(got.regions, want.regions)
