"""How alike two phrases are: in meaning (a sentence encoder) and in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from fo1.evaluation.benchmark import BenchmarkError
from fo1.types import FloatArray


class SentenceEncoder(Protocol):
    """Anything that places phrases in a space where like meanings lie near each other."""

    def __call__(self, phrases: Sequence[str]) -> FloatArray:
        """One row per phrase, (N, width), of any length."""


class MeanPooling:
    """The mean over a transformer's last states, as the sentence-transformers models are made for.

    source: a folder or hub id. Raises `BenchmarkError` if there is no such model.
    """

    def __init__(self, source: str | Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(str(source))
            self.model: Any = AutoModel.from_pretrained(str(source)).eval()
        except (OSError, ValueError) as error:
            raise BenchmarkError(
                f"the sentence encoder {source} cannot be loaded ({str(error).splitlines()[0]}); put its "
                f"folder beside the annotations under the name {Path(source).name}"
            ) from error

    @torch.inference_mode()
    def __call__(self, phrases: Sequence[str]) -> FloatArray:
        batch = self.tokenizer(list(phrases), padding=True, truncation=True, return_tensors="pt")
        states = self.model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"][..., None]
        means: FloatArray = ((states * mask).sum(1) / mask.sum(1)).numpy()
        return means


def similarity(first: FloatArray, second: FloatArray) -> float:
    """Cosine of two rows; 0 if either is nothing."""
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norms if norms else 0.0


def word_overlap(said: str, truth: str) -> float:
    """Words in both over words in either: Osprey's semantic IoU (S-IoU). 0 if there are none."""
    first, second = set(said.lower().split()), set(truth.lower().split())
    return len(first & second) / len(first | second) if first | second else 0.0
