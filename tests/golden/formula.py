"""The formula behind the golden recordings: every weight and input from its name and shape alone.

All numbers are whole multiples of powers of two, so bfloat16 holds them exactly. The whole numbers come from
NumPy's legacy generator (its stream will not change), seeded with the CRC-32 of the name.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Deviation of whole numbers drawn evenly from −127…127, divided by 128.
SPREAD = 0.577
# Depthwise convolutions are weaker, so that activations stay bounded through many blocks.
DEPTHWISE_GAIN = 0.25


def whole_numbers(name: str, shape: Sequence[int], low: int = -127, high: int = 127) -> Tensor:
    """Float32 tensor of whole numbers from `low` to `high`, both included."""
    generator = np.random.RandomState(zlib.crc32(name.encode()))
    drawn = generator.randint(low, high + 1, size=math.prod(shape))
    return torch.from_numpy(drawn.astype(np.float32)).reshape(tuple(shape))


def uniform(name: str, shape: Sequence[int], scale: float) -> Tensor:
    """Between −scale and scale, a power of two, in steps of 1/128 of it."""
    return whole_numbers(name, shape) * (scale / 128)


def weight(name: str, shape: Sequence[int]) -> Tensor:
    """A weight of the released format, by its key there."""
    if name.endswith(".bias"):
        return uniform(name, shape, 0.25)
    if len(shape) == 1:  # the scale of a norm
        return 1 + whole_numbers(name, shape, -32, 31) / 128
    if "embed_tokens" in name or "lm_head" in name:
        return uniform(name, shape, 0.125)
    transposed = "simfp" in name and len(shape) == 4 and tuple(shape[2:]) == (2, 2)
    inputs = shape[0] if transposed else math.prod(shape[1:])
    gain = DEPTHWISE_GAIN if ".dw." in name else 1.0
    exponent = round(math.log2(gain / (SPREAD * math.sqrt(inputs))))
    return uniform(name, shape, 2.0**exponent)
