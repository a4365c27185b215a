"""Qwen3-VL."""

from __future__ import annotations

from fo1.vlm.families.qwen import QwenFamily


class Qwen3VL(QwenFamily):
    """Full attention in every block, learned positions, and features of some blocks for the text model."""

    model_types = ("qwen3_vl", "qwen3_vl_moe")

    @property
    def width(self) -> int:
        return self._vision.hidden_size
