"""`Updating`: merges a native checkpoint's low-rank update while Python imports what will hold the result."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fo1.checkpoints.bundled import LOW_RANK, PLUGIN
from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.fetching import base_folder
from fo1.checkpoints.low_rank import summed
from fo1.checkpoints.shards import Shards
from fo1.errors import CheckpointError


class Updating:
    """Begins at once, in a thread: torch's work and Python's imports need not wait for each other."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        pool = ThreadPoolExecutor(1)
        self._weights: Future[dict[str, Tensor]] = pool.submit(_updated, folder, dtype)
        pool.shutdown(wait=False)

    def weights(self) -> dict[str, Tensor]:
        """The base's weights that the update changes, by name; none if they cannot be had, or do not fit.

        What is wrong then is for the loader to say, which meets the same files.
        """
        return self._weights.result()


def _updated(folder: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    try:
        base = Shards.of_folder(base_folder(ModelConfig.read(folder).base))
        stored = load_file(folder / PLUGIN)
        factors = {key.removeprefix(LOW_RANK): tensor for key, tensor in stored.items()}
        changed = [key.removesuffix(".down") + ".weight" for key in factors if key.endswith(".down")]
        return {
            key: summed(weight.to(dtype), factors, key.removesuffix(".weight"))
            for key, weight in base.read(changed)
        }
    except (CheckpointError, SafetensorError, OSError, KeyError, RuntimeError):
        return {}
