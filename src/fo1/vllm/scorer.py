"""`Scorer`: a bundled model; vLLM reads its questions, the core scores its regions, nothing is written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from vllm import LLM, PoolingParams

from fo1.checkpoints.native import Native, load_native
from fo1.checkpoints.shards import write_file
from fo1.errors import CheckpointError
from fo1.findings import Findings
from fo1.images import ImageSource
from fo1.loading import DTYPES, load, model_folder
from fo1.model import Encoded, RegionModel
from fo1.prompts.tasks import TASKS, clean_labels
from fo1.rating import Rating
from fo1.reporting import check_threshold, report
from fo1.scene import Scene
from fo1.scoring import label_paths, label_views, state_scores
from fo1.types import Regions
from fo1.views import View
from fo1.vllm.llama import piece
from fo1.vllm.plugin import register
from fo1.vllm.reader import widened
from fo1.vllm.starting import refusals

OPTIONS = {"runner": "pooling", "pooler_config": {"pooling_type": "LAST", "use_activation": False}}


class Scorer:
    """A model with a dynamic region vocabulary, asked for many labels in many images at once.

    Encoders, pointer and names are the core's, in this process; the language model is vLLM's, which keeps
    what it has read of an image for every label.
    model: a bundled name or a native folder. options: arguments of `vllm.LLM`.
    """

    def __init__(self, model: str | Path = "fo1-smol", dtype: str = "bfloat16", **options: Any) -> None:
        register()
        self.core = load(model, dtype=dtype)
        if not isinstance(self.core.description, Native):
            raise CheckpointError(f"{model} is not a native model; ask it with an Engine")
        self.settings = self.core.settings
        with tempfile.TemporaryDirectory(prefix="fo1-vllm-") as folder:
            _write_language_model(model_folder(model), Path(folder), DTYPES[dtype])
            with refusals():
                self.llm = LLM(folder, dtype=dtype, **{**OPTIONS, **options})

    def look_many(
        self, images: Sequence[ImageSource], boxes: Sequence[ArrayLike | Regions | None] | None = None
    ) -> list[Scene]:
        """As `FO1.look_many`."""
        return self.core.look_many(images, boxes)

    def detect(
        self, scenes: Sequence[Scene], labels: str | Sequence[str], threshold: float | None = None
    ) -> list[Findings]:
        """All things of each label in each scene, as `Scene.detect` finds them."""
        return self._ground("detect", scenes, clean_labels(labels), threshold)

    def locate(self, scenes: Sequence[Scene], label: str, threshold: float | None = None) -> list[Findings]:
        """What counting counts in each scene; see `Scene.locate`."""
        return self._ground("count", scenes, clean_labels([label]), threshold)

    def states(self, prompts: Sequence[dict[str, Any]]) -> Tensor:
        """(L, D) float32, the last state of each prompt, where the core is."""
        if not prompts:
            return torch.zeros(0, self.llm.model_config.get_hidden_size())
        params = PoolingParams(use_activation=False)
        outputs = self.llm.encode(list(prompts), params, pooling_task="embed", use_tqdm=False)
        return torch.stack([output.outputs.data for output in outputs]).float().to(self.core.model.device)

    def _ground(
        self, task: str, scenes: Sequence[Scene], labels: list[str], threshold: float | None
    ) -> list[Findings]:
        check_threshold(threshold)
        model, settings = self.core.model, self.settings
        asked = [
            part for number, scene in enumerate(scenes) for part in _asked(model, number, scene, task, labels)
        ]
        states = iter(self.states([one for part in asked for one in part.prompts]).split(len(labels)))
        scores = [np.zeros((len(labels), len(scene.regions)), np.float32) for scene in scenes]
        phrases = model.phrase_embeddings(labels)
        with torch.inference_mode():
            for part in asked:
                found = state_scores(model, part.shown, next(states), phrases, settings.temperature)
                scores[part.number][:, list(part.view.rows)] = found.numpy()
        return [
            report(
                scene.regions,
                labels,
                Rating(rows, (1 - rows).prod(axis=1)),
                threshold,
                settings.threshold,
                len(scene.regions) > model.capacity,
            )
            for scene, rows in zip(scenes, scores, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class _Part:
    """Regions of one scene that are asked about together. number: of the scene. prompts: one a label."""

    number: int
    view: View
    shown: Encoded
    prompts: list[dict[str, Any]]


def _asked(model: RegionModel, number: int, scene: Scene, task: str, labels: Sequence[str]) -> list[_Part]:
    parts = []
    for view in label_views(model, scene.encoded, labels) if len(scene.regions) else ():
        shown = view.of(scene.encoded)
        paths = label_paths(model, shown, TASKS[task], [view.inward(label) for label in labels])
        parts.append(_Part(number, view, shown, [prompt(model, path, shown) for path in paths]))
    return parts


def prompt(model: RegionModel, ids: Sequence[int], shown: Encoded) -> dict[str, Any]:
    """A prompt about one image as vLLM takes it: a mark for the image and its regions, one for each region
    that is named afterwards."""
    vocabulary = model.prompts.vocabulary
    slot, first = cast(int, vocabulary.image_slot), vocabulary.first_region
    names = model.splice.input_rows[: len(shown.embeddings)] + shown.embeddings.float()
    begin, end = list(ids).index(slot), len(model.prompts.prefix(shown.sight.ids, len(shown.regions)))
    image = torch.cat([shown.image_tokens.float(), names])
    seen = list(ids[begin:end])
    pieces = [piece(seen, [i == slot or 0 <= i - first < vocabulary.capacity for i in seen], image)]
    marked = [*ids[:begin], slot]
    for token in ids[end:]:
        named = 0 <= token - first < len(names)
        marked.append(slot if named else token)
        if named:
            pieces.append(piece([token], [True], names[token - first][None]))
    return {"prompt_token_ids": marked, "multi_modal_data": {"image": pieces}}


def _write_language_model(source: Path, folder: Path, dtype: torch.dtype) -> None:
    """The language model alone, with the rows of added tokens, as a folder for vLLM."""
    model, _ = load_native(source, dtype)
    vocabulary = model.prompts.vocabulary
    state = {key: value for key, value in model.base.state_dict().items() if key.startswith("model.")}
    table = "model.embed_tokens.weight"
    state[table] = widened(state[table], vocabulary.added, model.splice.input_rows)
    write_file(folder / "model.safetensors", state)
    values = model.base.config.to_dict() | {
        "architectures": ["FO1LlamaForPooling"],
        "vocab_size": vocabulary.added.stop,
        "tie_word_embeddings": True,
        "fo1_capacity": vocabulary.capacity,
    }
    (folder / "config.json").write_text(json.dumps(values, default=str), encoding="utf-8")
    model.prompts.tokenizer.save_pretrained(folder)
