"""What vLLM does with an image and its boxes before the model sees them.

An item of `multi_modal_data["image"]` is an image, or a mapping with `image` and `boxes` (N, 4), xyxy pixels
of the upright image. Boxes may also come apart, as `bbox_list` in `mm_processor_kwargs`, which clients of a
server can send: the boxes of the one image, or a list of boxes for each. An item is one image *with* its
boxes; caches know it by both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature, PretrainedConfig
from vllm.config.multimodal import BaseDummyOptions
from vllm.inputs import MultiModalInput
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.media import MediaWithBytes
from vllm.multimodal.parse import MultiModalDataItems, MultiModalDataParser, ProcessorBatchItems
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdateDetails,
)
from vllm.multimodal.processing.context import TimingContext
from vllm.multimodal.processing.inputs import ProcessorInputs

from fo1.checkpoints.attached import load_processor
from fo1.errors import ImageError, PromptError, RegionError
from fo1.images import load_image
from fo1.pipeline import given_regions
from fo1.prompts.builder import PromptBuilder
from fo1.vllm.exported import Exported, image_mark

BOXES = "bbox_list"
LISTS = (list, tuple, np.ndarray)


class Pictures(ProcessorBatchItems[Any]):
    """Images with their boxes: `{"image": PIL, "boxes": (N, 4) float32}`, which is what is hashed."""

    def __init__(self, data: Sequence[Any]) -> None:
        super().__init__(data, "image")

    def get_processor_data(self) -> Mapping[str, object]:
        return {}


class RegionParser(MultiModalDataParser):
    """Checks images and boxes. Raises `ImageError` and `RegionError`, which are `ValueError`s."""

    def _parse_image_data(self, data: Any) -> Pictures | None:
        if data is None:
            return None
        several = data if isinstance(data, list | tuple) else [data]
        return Pictures([picture(item) for item in several])


def picture(item: Any, boxes: Any = None) -> dict[str, Any]:
    """An item as it is hashed and read. boxes: instead of its own, if there are any."""
    given = item.get("image") if isinstance(item, Mapping) else item
    if isinstance(given, MediaWithBytes):
        given = given.media
    if given is None:
        raise ImageError("an image is missing")
    image = load_image(given)
    own = item.get("boxes") if isinstance(item, Mapping) else None
    wanted = own if boxes is None else boxes
    regions = given_regions([] if wanted is None else wanted, image.size)
    assert regions is not None
    return {"image": image, "boxes": regions.xyxy}


class RegionInfo(BaseProcessingInfo):
    """What is known of the model before it is there."""

    def get_hf_config(self) -> PretrainedConfig:
        return self.ctx.get_hf_config(PretrainedConfig)

    @cached_property
    def exported(self) -> Exported:
        """What the folder says of regions."""
        return Exported.of(self.get_hf_config())

    @cached_property
    def family(self) -> Any:
        """The base's family, of the Qwens, with the folder's image processor."""
        processor = load_processor(Path(self.model_id), self.exported.config.pixels)
        return self.exported.family(self.get_hf_config(), processor)

    @cached_property
    def prompts(self) -> PromptBuilder:
        """Lists regions."""
        return PromptBuilder(self.get_tokenizer(), self.exported.vocabulary, self.exported.chat)

    @property
    def mark(self) -> list[int]:
        """What stands in a prompt for an image and its regions, after the mark at which an image starts."""
        return list(image_mark(self.get_hf_config())[1:])

    @property
    def most_tokens(self) -> int:
        """Of the largest image that is not shrunk."""
        vision: Any = self.get_hf_config().vision_config
        images = self.family.processor.image_processor
        return int(images.size["longest_edge"]) // (vision.patch_size * vision.spatial_merge_size) ** 2

    def get_data_parser(self) -> MultiModalDataParser:
        return RegionParser()

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        return {"image": None}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:
        return {"image": self.most_tokens + self.exported.vocabulary.capacity}


class RegionDummies(BaseDummyInputsBuilder[RegionInfo]):
    """The largest image with as many regions as there are names."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        words = self.info.get_tokenizer().convert_ids_to_tokens(self.info.mark)
        return "".join(words) * mm_counts.get("image", 0)

    def get_dummy_mm_data(
        self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping[str, BaseDummyOptions]
    ) -> dict[str, Any]:
        vision: Any = self.info.get_hf_config().vision_config
        side = isqrt(self.info.most_tokens) * vision.patch_size * vision.spatial_merge_size
        boxes = np.tile(np.array([0, 0, side, side], np.float32), (self.info.exported.vocabulary.capacity, 1))
        item = {"image": Image.new("RGB", (side, side)), "boxes": boxes}
        return {"image": [item] * mm_counts.get("image", 0)}


class RegionProcessor(BaseMultiModalProcessor[RegionInfo]):
    """Prepares the image as the core does, and writes where its tokens and its regions stand."""

    def apply(self, inputs: ProcessorInputs, timing_ctx: TimingContext) -> MultiModalInput:
        """Puts boxes that came apart to their images first, so that nothing else need know.

        A client's own id for an image says nothing of its boxes, so caches are not told of it.
        """
        kwargs = dict(inputs.hf_processor_mm_kwargs)
        given, items = kwargs.pop(BOXES, None), inputs.mm_data_items
        items = items if given is None else self._with_boxes(items, given)
        own = replace(inputs, mm_data_items=items, mm_uuid_items=None, hf_processor_mm_kwargs=kwargs)
        return super().apply(own, timing_ctx)

    def _with_boxes(self, items: MultiModalDataItems, boxes: Any) -> MultiModalDataItems:
        images = items.get("image", ())
        if not len(images):
            raise ImageError(f"{BOXES} was given, but no image")
        sets = [boxes] if len(images) == 1 and _flat(boxes) else boxes
        if not isinstance(sets, Sequence) or len(sets) != len(images):
            raise RegionError(f"{BOXES} needs a list of boxes for each of {len(images)} images")
        both = [picture(item, own) for item, own in zip(images, sets, strict=True)]
        return MultiModalDataItems({**items, "image": Pictures(both)})

    def _apply_hf_processor_main(
        self, mm_items: MultiModalDataItems, hf_kwargs: Mapping[str, object]
    ) -> BatchFeature:
        images = mm_items.get("image", ())
        if not len(images):
            return BatchFeature()
        seen = [self.info.family.pixels(item["image"]) for item in images]
        return BatchFeature(
            {
                "pixel_values": torch.cat([pixels for pixels, _ in seen]),
                "image_grid_thw": torch.cat([grid for _, grid in seen]),
                "picture": [torch.from_numpy(np.array(item["image"])) for item in images],
                "boxes": [torch.tensor(item["boxes"]) for item in images],
            }
        )

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        patches = hf_inputs.get("image_grid_thw", torch.empty((0, 3))).prod(-1)
        return {
            "pixel_values": MultiModalFieldConfig.flat_from_sizes("image", patches),
            **{
                name: MultiModalFieldConfig.batched("image", keep_on_cpu=True)
                for name in ("image_grid_thw", "picture", "boxes")
            },
        }

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptReplacement]:
        image, end = self.info.mark
        vocabulary, merge = (
            self.info.exported.vocabulary,
            self.info.get_hf_config().vision_config.spatial_merge_size,
        )

        def listed(number: int) -> PromptUpdateDetails:
            item: Any = out_mm_kwargs["image"][number]
            tokens, regions = int(item["image_grid_thw"].data.prod()) // merge**2, len(item["boxes"].data)
            _fits(regions, vocabulary.capacity)
            ids = self.info.prompts.shown([*[image] * tokens, end], regions)
            return PromptUpdateDetails.select_token_ids(ids, [image, vocabulary.region_slot])

        return [PromptReplacement("image", self.info.mark, listed)]

    def _apply_prompt_updates(self, token_ids: list[int], mm_prompt_updates: Any) -> Any:
        """Regions are numbered on from image to image. Raises `PromptError` unless each image has a mark."""
        marks = sum(pair == tuple(self.info.mark) for pair in pairwise(token_ids))
        images = len(mm_prompt_updates.get("image", ()))
        if marks != images:
            raise PromptError(f"the prompt has places for {marks} images, but {images} were given")
        vocabulary, numbered, first = self.info.exported.vocabulary, [], 0
        names = range(vocabulary.first_region, vocabulary.first_region + vocabulary.capacity)
        for (update,) in mm_prompt_updates.get("image", ()):
            ids = update.content.full
            count = sum(token in names for token in ids)
            _fits(first + count, vocabulary.capacity)
            shifted = [token + first if token in names else token for token in ids]
            numbered.append([update.with_content(replace(update.content, full=shifted))])
            first += count
        return super()._apply_prompt_updates(token_ids, {"image": numbered} if numbered else {})


def _flat(boxes: Any) -> bool:
    """Are these the boxes of one image, rather than a list for each, which may be empty?"""
    first = boxes[0] if isinstance(boxes, LISTS) and len(boxes) else None
    return not isinstance(first, LISTS) or (len(first) > 0 and not isinstance(first[0], LISTS))


def _fits(count: int, capacity: int) -> None:
    if count > capacity:
        raise RegionError(
            f"{count} boxes, but the model has names for {capacity}; give fewer, or ask in groups"
        )
