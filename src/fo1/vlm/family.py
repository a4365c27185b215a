"""`VLMFamily`: how one family of image-text models sees. The base model's own code does everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from fo1.encoders.feature_maps import FeatureMaps
from fo1.prompts.builder import ChatFormat
from fo1.vlm.base import Base


@dataclass
class Seen(BaseModelOutputWithPooling):
    """What a base reads of what its `get_image_features` returned; each a tensor, a list, or a list of lists.

    pooler_output: an image's tokens. deepstack_features: more of them, for some of the model's layers.
    """

    pooler_output: Any = None
    deepstack_features: Any = None


@dataclass(frozen=True)
class Sight:
    """What a base model's own eyes make of one image; made once, used for every question.

    ids: what stands for the image in a prompt: its placeholder tokens and the marks around and between them.
    maps: features tapped from the vision tower before tokens are merged or projected, one per tapped layer,
        in original image order; the last is the deepest.
    outputs: for the base's `mm_encoder_outputs`; None of a base without eyes.
    inputs: what else the base's forward wants to know of the image, such as `image_grid_thw`.
    """

    ids: tuple[int, ...]
    maps: FeatureMaps
    outputs: Seen | None
    inputs: dict[str, Tensor]

    def without_maps(self) -> Sight:
        """What questions need. The maps, done with once regions are pooled, are the bulk of it."""
        return replace(self, maps=FeatureMaps((), (), self.maps.frame))


class VLMFamily(ABC):
    """One family: where to tap the tower, and how its tokens become (C, H, W) maps.

    Holds no weights and changes nothing in the base; hooks live only while an image is looked at.
    base: a loaded `AutoModelForImageTextToText`. processor: its Hugging Face processor.
    """

    blind: ClassVar[bool] = False
    """Has the base no eyes? Then the whole image is read as one more region."""

    reads_prompt_both_ways: ClassVar[bool] = False
    """Does the base read a prompt in both directions? Then `token_type_ids` are 1 for an answer to learn."""

    @property
    def reads_trees(self) -> bool:
        """Can prompts that share a prefix be read as one sequence, under a mask of their own?

        Every layer must attend to all that is allowed, and forwards only.
        """
        text = self.base.config.get_text_config().to_dict()
        full = set(text.get("layer_types") or ["full_attention"]) == {"full_attention"}
        slides = text.get("sliding_window") and text.get("use_sliding_window", True)
        return full and not slides and not self.reads_prompt_both_ways

    model_types: ClassVar[tuple[str, ...]]
    """Values of the base config's `model_type` that this family serves."""

    def __init__(self, base: Base, processor: Any) -> None:
        self.base, self.processor = base, processor

    @property
    @abstractmethod
    def channels(self) -> tuple[int, ...]:
        """Channels of each tapped map."""

    @property
    @abstractmethod
    def strides(self) -> tuple[float, ...]:
        """Input pixels per cell of each tapped map."""

    @property
    @abstractmethod
    def chat(self) -> ChatFormat:
        """The family's turns."""

    @abstractmethod
    def see(self, images: Sequence[Image.Image]) -> list[Sight]:
        """Preprocesses RGB images and runs the vision tower, without touching gradients' settings."""

    @abstractmethod
    def inputs(self, ids: Tensor, sights: Sequence[Sight]) -> dict[str, Any]:
        """Keyword arguments for the base's `forward` and `generate`.

        ids: (B, T) padded prompts. sights: of all images in them, in the order in which they stand there, row
        by row. No sights: what a text-only batch needs.
        """

    def positions(self, ids: Tensor, sight: Sight) -> Tensor:
        """(A, T) positions of a prompt's tokens, one row per axis along which the base counts; (T,) ids."""
        return torch.arange(len(ids), device=ids.device)[None]
