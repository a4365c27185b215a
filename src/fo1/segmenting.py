"""`Segmenter`: masks of what was found, from a model of the Segment Anything family."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import (
    AutoConfig,
    AutoModelForMaskGeneration,
    PreTrainedModel,
    SamImageProcessorPil,
    ViTImageProcessorPil,
)

from fo1.boxes import clip
from fo1.detections import Detections
from fo1.device import device_of
from fo1.errors import CheckpointError
from fo1.masks import Mask

TYPES = ("sam", "sam2", "sam2_video", "sam3_tracker", "sam3_video")
BOXES = 32  # that are decoded together


class Segmenter:
    """SAM, SAM 2 or SAM 3, prompted with boxes. The image is read once for all of them.

    processor: SAM's own, which keeps the shape of an image and pads it; or for the later ones, which squash
        it to a square, any that does so.
    """

    def __init__(
        self, model: PreTrainedModel, processor: SamImageProcessorPil | ViTImageProcessorPil
    ) -> None:
        self.model, self.processor = model.eval().requires_grad_(False), processor

    @classmethod
    def load(cls, source: str, device: str | None = None) -> Segmenter:
        """From a folder or a hub id. device: by default the best there is.

        Raises `CheckpointError` if it is no such model.
        """
        place = device_of(device)
        try:
            kind = AutoConfig.from_pretrained(source).model_type
            if kind not in TYPES:
                raise CheckpointError(
                    f"{source} is a {kind}, which draws no masks of boxes; use one of {', '.join(TYPES)}"
                )
            # Those of SAM 2 and 3 themselves need torchvision; all they do is resize and normalise.
            reader = SamImageProcessorPil if kind == "sam" else ViTImageProcessorPil
            processor = reader.from_pretrained(source)
            model = AutoModelForMaskGeneration.from_pretrained(source)
        except CheckpointError:
            raise
        except (OSError, ImportError, KeyError, ValueError) as error:
            raise CheckpointError(f"no mask model can be loaded from {source}: {error}") from error
        return cls(model.to(place), processor)

    @torch.inference_mode()
    def __call__(self, image: Image.Image, found: Detections) -> list[Mask]:
        """A mask of each detection on its upright image, in their order."""
        if not len(found):
            return []
        read = self.processor(images=image.convert("RGB"), return_tensors="pt")
        pixels = read["pixel_values"].to(self.model.device, self.model.dtype)
        seen = self.model.get_image_embeddings(pixels)
        padded = (pixels.shape[-2], pixels.shape[-1])
        height, width = read["reshaped_input_sizes"][0].tolist() if "reshaped_input_sizes" in read else padded
        scale = torch.tensor([width / image.width, height / image.height] * 2)
        boxes = (torch.from_numpy(clip(found.xyxy, image.size)) * scale).to(pixels)
        masks = []
        for some in boxes.split(BOXES):
            said = self.model(image_embeddings=seen, input_boxes=some[None], multimask_output=False)
            # One at a time: all of a large photo would not fit.
            masks += [_mask(one.float(), padded, (height, width), image.size) for one in said.pred_masks[0]]
        return masks


def _mask(logits: Tensor, padded: tuple[int, int], used: tuple[int, int], size: tuple[int, int]) -> Mask:
    """From logits (1, h, w) over an input of `padded` (height, width), of which the image fills `used`."""
    maps = logits[None]
    if used != padded:
        maps = interpolate(maps, padded, mode="bilinear")[..., : used[0], : used[1]]
    full = interpolate(maps, (size[1], size[0]), mode="bilinear")
    return Mask.of((full[0, 0] > 0).cpu().numpy())
