"""Qwen3.5."""

from __future__ import annotations

from fo1.vlm.families.qwen import QwenFamily


class Qwen3_5(QwenFamily):
    """The tower of Qwen3-VL below a text model in which most layers attend linearly."""

    model_types = ("qwen3_5", "qwen3_5_moe")

    @property
    def width(self) -> int:
        return self._vision.hidden_size
