"""`bounded`: an image whose sides are neither too short nor too long."""

from __future__ import annotations

from PIL import Image


def bounded(image: Image.Image, min_side: int | None, max_side: int | None) -> Image.Image:
    """The image, resized (bicubic) where it must be, as the released VLM-FO1 does before both encoders.

    min_side: a shorter side is stretched to it, alone. max_side: a longer image is shrunk in proportion
    until its longest side has it; sizes are truncated to whole pixels. None is no limit.
    """
    width, height = image.size
    if min_side is not None:
        width, height = max(width, min_side), max(height, min_side)
    longest = max(width, height)
    if max_side is not None and longest > max_side:
        width, height = (max(int(side * max_side / longest), 1) for side in (width, height))
    return image if (width, height) == image.size else image.resize((width, height), Image.Resampling.BICUBIC)
