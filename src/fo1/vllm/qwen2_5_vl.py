"""Qwen2.5-VL with regions, as vLLM runs it."""

from __future__ import annotations

from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VLForConditionalGeneration
from vllm.multimodal import MULTIMODAL_REGISTRY

from fo1.vllm.processor import RegionDummies, RegionInfo, RegionProcessor
from fo1.vllm.regional import Regional


@MULTIMODAL_REGISTRY.register_processor(RegionProcessor, info=RegionInfo, dummy_inputs=RegionDummies)
class FO1Qwen2_5_VLForConditionalGeneration(Regional, Qwen2_5_VLForConditionalGeneration):
    """See `Regional`."""
