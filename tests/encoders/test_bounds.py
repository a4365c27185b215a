"""Sides are brought within limits, and images within them are left alone."""

from __future__ import annotations

from PIL import Image

from fo1.encoders.bounds import bounded


def sized(size: tuple[int, int], shortest: int | None = 28, longest: int | None = 2048) -> tuple[int, int]:
    return bounded(Image.new("RGB", size), shortest, longest).size


def test_long_images_shrink_in_proportion_and_sizes_are_truncated() -> None:
    assert sized((2301, 67)) == (2048, 59)  # 59.63
    assert sized((67, 2301)) == (59, 2048)


def test_short_sides_are_stretched_alone() -> None:
    assert sized((20, 15)) == (28, 28)
    assert sized((20, 100)) == (28, 100)


def test_no_side_vanishes() -> None:
    assert sized((9000, 2), shortest=None) == (2048, 1)


def test_what_fits_is_the_same_image() -> None:
    image = Image.new("RGB", (168, 126))
    assert bounded(image, 28, 2048) is image
    assert bounded(image, None, None) is image
