"""Qwen3-VL with regions, as vLLM runs it."""

from __future__ import annotations

from vllm.model_executor.models.qwen3_vl import Qwen3VLForConditionalGeneration
from vllm.multimodal import MULTIMODAL_REGISTRY

from fo1.vllm.processor import RegionDummies, RegionInfo, RegionProcessor
from fo1.vllm.regional import Regional


@MULTIMODAL_REGISTRY.register_processor(RegionProcessor, info=RegionInfo, dummy_inputs=RegionDummies)
class FO1Qwen3VLForConditionalGeneration(Regional, Qwen3VLForConditionalGeneration):
    """See `Regional`. What the tower adds to deeper layers is nothing for regions."""
