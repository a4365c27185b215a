"""`Regional`: what vLLM's own image-text models lack to read regions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from vllm.config import VllmConfig

from fo1.vllm.exported import Exported
from fo1.vllm.reader import RegionReader, base_weights


class Regional:
    """Comes before a model of vLLM's that has its tower as `visual`.

    Tower, language model, M-RoPE and the rest are that model's. Regions count as text in positions.
    """

    supports_encoder_tp_data = False
    supports_mm_device_do_normalize = False

    config: Any
    model_config: Any
    visual: Any

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)  # type: ignore[call-arg]
        self.exported = Exported.of(self.config)
        self.regions = RegionReader(self.exported, self.config)

    def embed_multimodal(self, **kwargs: Any) -> tuple[Tensor, ...]:
        """What stands at each image's placeholders: its tokens, then its regions."""
        grids = kwargs.get("image_grid_thw")
        if grids is None:
            return ()
        pixels = kwargs["pixel_values"].split(grids.prod(-1).tolist())
        items = zip(pixels, grids, kwargs["picture"], kwargs["boxes"], strict=True)
        return tuple(self.regions(self.visual, *item) for item in items)

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """Of words only: a slot is never written."""
        above: Any = super()
        logits: Tensor | None = above.compute_logits(hidden_states)
        if logits is not None and self.exported.own_rows:
            logits[..., self.exported.vocabulary.size :] = -torch.inf
        return logits

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Raises `CheckpointError` if our parts do not fit."""
        above: Any = super()
        folder = Path(self.model_config.model)
        loaded: set[str] = above.load_weights(base_weights(self.exported, folder, weights))
        self.regions.load(folder, self.visual.device, self.visual.dtype)
        return loaded | {f"regions.{name}" for name, _ in self.regions.named_parameters()}
