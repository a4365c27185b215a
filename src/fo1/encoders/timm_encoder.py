"""Any network of the timm package as an encoder. timm is an extra: it needs torchvision."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.encoders.pixels import PixelReader
from fo1.errors import RegistryError


class TimmEncoder(nn.Module):
    """A `VisionEncoder` of the maps that timm calls the features of a network.

    name: of a timm model, such as "convnext_tiny". side: longest side of its input in pixels; the other side
        keeps the aspect. Both are padded, to the right and below, to whole cells of the coarsest map.
    pretrained: download timm's weights; else they are random and wait for a checkpoint's.
    options: for `timm.create_model`, such as `out_indices=(1, 2, 3, 4)`. Networks made for one input size
        must be told to take others: ViT by `dynamic_img_size=True`, Swin by `strict_img_size=False`.
    Raises `RegistryError` if timm is missing, or does not know the name.
    """

    def __init__(self, name: str, side: int = 768, pretrained: bool = False, **options: Any) -> None:
        super().__init__()
        if side < 1:
            raise ValueError(f"side must be positive, got {side}")
        timm = _timm()
        if not timm.is_model(name):
            close = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=3)) or "nothing like it"
            raise RegistryError(f"timm {timm.__version__} knows no {name!r}; it has {close}")
        self.network: nn.Module = timm.create_model(
            name, features_only=True, pretrained=pretrained, **options
        )
        self.side = side
        self.reader = _reader(timm.data.resolve_model_data_config(self.network))
        features: Any = self.network.feature_info
        self.channels: tuple[int, ...] = tuple(features.channels())
        self.strides: tuple[float, ...] = tuple(float(r) for r in features.reduction())
        # Swin and its kin say that their maps are channels last; some of the others say nothing.
        self.channels_last = str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC")

    def forward(self, images: Sequence[Image.Image]) -> list[FeatureMaps]:
        """The maps of each image, (C, H, W). Images run one by one: their sizes differ."""
        return [self._look(image) for image in images]

    def _look(self, image: Image.Image) -> FeatureMaps:
        scale = self.side / max(image.size)
        width, height = (max(round(side * scale), 1) for side in image.size)
        pixels = self.reader([image], (width, height), like=next(self.parameters()))
        maps = [m[0] for m in self.network(_padded(pixels, int(max(self.strides))))]
        if self.channels_last:
            maps = [m.permute(2, 0, 1) for m in maps]
        return FeatureMaps(tuple(maps), self.strides, Frame(image.size, (width, height)))


def _padded(pixels: Tensor, multiple: int) -> Tensor:
    """(B, 3, H, W) with zeros, the mean colour, to the right and below, until both sides are multiples."""
    height, width = pixels.shape[-2:]
    return F.pad(pixels, (0, -width % multiple, 0, -height % multiple))


def _reader(config: dict[str, Any]) -> PixelReader:
    """How the network's training normalised pixels."""
    mean, std = (tuple(255 * value for value in config[key]) for key in ("mean", "std"))
    known = {resample.name.lower(): resample for resample in Image.Resampling}
    return PixelReader(mean, std, resample=known.get(config["interpolation"], Image.Resampling.BICUBIC))


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise RegistryError(
            f"timm's encoders need the package timm, which does not import here ({error}); "
            "install it with: pip install 'fo1[timm]'"
        ) from error
