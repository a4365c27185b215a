"""Qwen2-VL."""

from __future__ import annotations

from fo1.vlm.families.qwen import QwenFamily


class Qwen2VL(QwenFamily):
    """Full attention in every block; the text model's width stands where others have the tower's."""

    model_types = ("qwen2_vl",)

    @property
    def width(self) -> int:
        return self._vision.embed_dim
