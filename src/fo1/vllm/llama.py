"""The bundled model's language model in vLLM: it reads a prompt and gives its last state; nothing is written.

Images and regions come as embeddings, for its encoders are no part of it. An item of
`multi_modal_data["image"]` is a `piece`: tokens of the prompt, some of which are read as given embeddings. A
mark, the image slot, stands for each piece in the prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BatchFeature, PretrainedConfig
from vllm.config import VllmConfig
from vllm.config.multimodal import BaseDummyOptions
from vllm.model_executor.layers.pooler import DispatchPooler
from vllm.model_executor.models.interfaces import SupportsMultiModal
from vllm.model_executor.models.utils import (
    AutoWeightsLoader,
    WeightsMapper,
    init_vllm_registered_model,
    maybe_prefix,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import MultiModalDataItems, MultiModalDataParser, ProcessorBatchItems
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdateDetails,
)

from fo1.prompts.vocabulary import IMAGE_SLOT


def piece(ids: Sequence[int], embedded: Sequence[bool], embeddings: Tensor) -> dict[str, Tensor]:
    """Tokens (T,) of a prompt, which of them (T,) are read as embeddings, and these, (K, D)."""
    return {
        "ids": torch.tensor(ids),
        "embedded": torch.tensor(embedded),
        "embeddings": embeddings.detach().float().cpu().contiguous(),
    }


class Pieces(ProcessorBatchItems[Any]):
    """Items are hashed by what they hold."""

    def __init__(self, data: Sequence[Any]) -> None:
        super().__init__(data, "image")


class PieceParser(MultiModalDataParser):
    """Takes pieces as they are."""

    def _parse_image_data(self, data: Any) -> Pieces | None:
        return None if data is None else Pieces(data if isinstance(data, list | tuple) else [data])


class PieceInfo(BaseProcessingInfo):
    """What is known of the model before it is there."""

    def get_hf_config(self) -> PretrainedConfig:
        return self.ctx.get_hf_config(PretrainedConfig)

    @property
    def capacity(self) -> int:
        """Most embeddings of a piece: an image and its regions."""
        config: Any = self.get_hf_config()
        return config.fo1_capacity + 1

    def get_data_parser(self) -> MultiModalDataParser:
        return PieceParser()

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        return {"image": None}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:
        return {"image": self.capacity}


class PieceDummies(BaseDummyInputsBuilder[PieceInfo]):
    """The largest piece."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        return IMAGE_SLOT * mm_counts.get("image", 0)

    def get_dummy_mm_data(
        self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping[str, BaseDummyOptions]
    ) -> dict[str, Any]:
        count, config = self.info.capacity, self.info.get_hf_config()
        empty = torch.zeros(count, config.hidden_size)
        return {"image": [piece([0] * count, [True] * count, empty)] * mm_counts.get("image", 0)}


class PieceProcessor(BaseMultiModalProcessor[PieceInfo]):
    """Writes each piece where its mark stands."""

    def _apply_hf_processor_main(
        self, mm_items: MultiModalDataItems, hf_kwargs: Mapping[str, object]
    ) -> BatchFeature:
        items = list(mm_items.get("image", ()))
        return BatchFeature({key: [item[key] for item in items] for key in (items[0] if items else ())})

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        kept = {key: MultiModalFieldConfig.batched("image", keep_on_cpu=True) for key in ("ids", "embedded")}
        return {**kept, "embeddings": MultiModalFieldConfig.batched("image")}

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptReplacement]:
        def written(number: int) -> PromptUpdateDetails:
            item: Any = out_mm_kwargs["image"][number]
            embedded: Tensor = item["embedded"].data
            return PromptUpdateDetails(item["ids"].data.tolist(), lambda _: embedded)

        mark = self.info.get_tokenizer().convert_tokens_to_ids(IMAGE_SLOT)
        return [PromptReplacement("image", [mark], written)]


@MULTIMODAL_REGISTRY.register_processor(PieceProcessor, info=PieceInfo, dummy_inputs=PieceDummies)
class FO1LlamaForPooling(nn.Module, SupportsMultiModal):
    """vLLM's own Llama, whose last state is the answer."""

    is_pooling_model = True
    hf_to_vllm_mapper = WeightsMapper(orig_to_new_prefix={"model.": "language_model.model."})

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        own: Any = self
        with own._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                prefix=maybe_prefix(prefix, "language_model"),
                architectures=["LlamaForCausalLM"],
            )
        self.pooler = DispatchPooler.for_embedding(vllm_config.model_config.pooler_config)
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors

    def embed_multimodal(self, **kwargs: Any) -> tuple[Tensor, ...]:
        """The embeddings of each piece, as they came."""
        return tuple(kwargs.get("embeddings", ()))

    def forward(
        self,
        input_ids: Tensor | None,
        positions: Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: Tensor | None = None,
        **_: Any,
    ) -> Any:
        """Hidden states."""
        return self.language_model.model(input_ids, positions, intermediate_tensors, inputs_embeds)

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        return AutoWeightsLoader(self).load_weights(weights, mapper=self.hf_to_vllm_mapper)
