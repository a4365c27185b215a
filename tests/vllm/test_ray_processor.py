"""Ray Data's own vLLM stage takes our requests as they are: docs/labeling.md shows how."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fo1.checkpoints.native import bundled_proposer
from fo1.prompts.tasks import TASKS
from tiny import picture
from vllm_models import write_native

pytest.importorskip("vllm.config")
ray = pytest.importorskip("ray")
pytestmark = pytest.mark.vllm

from fo1.vllm.asking import Asking, Look  # noqa: E402
from fo1.vllm.engine import Engine  # noqa: E402
from fo1.vllm.exported import Exported, export  # noqa: E402
from fo1.vllm.starting import OPTIONS  # noqa: E402

SMALL: dict[str, Any] = {"dtype": "float32", "enforce_eager": True, "max_model_len": 1024, "max_num_seqs": 16}
SIZE = (168, 126)
COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("vllm")
    return export(write_native(place / "native"), place / "exported")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING", raising=False)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    yield
    ray.shutdown()


def proposed(row: dict[str, Any]) -> dict[str, Any]:
    """The stage before: boxes."""
    image = picture(int(row["id"]), SIZE)
    (regions,) = bundled_proposer().propose([image])
    return {"id": row["id"], "look": Look(image, regions)}


def asked(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What Ray's stage wants to be given."""
    asking = asking_of(folder)
    ((_, request),) = asking.grounding(row["look"], TASKS["detect"], ["cat"])
    params = {
        "temperature": 0.0,
        "max_tokens": request.most,
        "stop_token_ids": list(asking.exported.stops),
        "detokenize": False,
        "logprob_token_ids": list(request.watched),
        "structured_outputs": {"grammar": request.grammar},
    }
    prompt = request.prompt
    return {
        "id": row["id"],
        "tokenized_prompt": prompt["prompt_token_ids"],
        "multimodal_data": prompt["multi_modal_data"],
        "sampling_params": params,
    }


def asking_of(folder: Path) -> Asking:
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    return Asking(Exported.of(config), config, AutoTokenizer.from_pretrained(folder))


def answered(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "ids": list(row["generated_tokens"]), "steps": len(row["logprobs"])}


@pytest.mark.slow
def test_its_answers_are_the_engines(folder: Path, cluster: None) -> None:
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    without = ("chat_template_stage", "tokenize_stage", "detokenize_stage", "prepare_multimodal_stage")
    config = vLLMEngineProcessorConfig(
        model_source=str(folder),
        engine_kwargs={**OPTIONS, **SMALL},
        concurrency=1,
        batch_size=4,
        placement_group_config={"bundles": [{"CPU": 1}]},
        log_engine_metrics=False,
        **dict.fromkeys(without, False),
    )
    process = build_processor(config, preprocess=partial(asked, folder=folder), postprocess=answered)
    rows = process(ray.data.from_items([{"id": i} for i in range(COUNT)]).map(proposed)).take_all()
    engine = Engine(folder, **SMALL)
    looks = engine.look_many([picture(i, SIZE) for i in range(COUNT)])
    asks = [part for look in looks for part in engine.asking.grounding(look, TASKS["detect"], ["cat"])]
    said = engine.write([request for _, request in asks])
    for row in rows:
        want = said[row["id"]].ids
        assert tuple(row["ids"][: len(want)]) == want and row["steps"] == len(row["ids"])
    assert len(rows) == COUNT
