"""vLLM's way in: the entry point `vllm.general_plugins` calls `register` in each of its processes."""

from __future__ import annotations

ARCHITECTURES = {
    "FO1Qwen2_5_VLForConditionalGeneration": "fo1.vllm.qwen2_5_vl",
    "FO1Qwen3VLForConditionalGeneration": "fo1.vllm.qwen3_vl",
    "FO1LlamaForPooling": "fo1.vllm.llama",
}
"""By the name in an exported `config.json`, the module that holds the class."""


def register() -> None:
    """Tells vLLM of the architectures; their modules are imported when a model of one is loaded."""
    from vllm import ModelRegistry

    for name, module in ARCHITECTURES.items():
        if name not in ModelRegistry.get_supported_archs():
            ModelRegistry.register_model(name, f"{module}:{name}")
