"""`tapped`, `heard`: what modules give out and take in, while a model's own code runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def tapped(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Yields a list that receives each module's output, in the order in which they run.

    The hooks live only within this context. Of a tuple the first entry is taken.
    """
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)

    handles = [module.register_forward_hook(keep) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def heard(module: nn.Module) -> Iterator[list[Tensor]]:
    """Yields a list that receives the module's first input, each time it runs within this context."""
    inputs: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Any, ...]) -> None:
        inputs.append(args[0])

    handle = module.register_forward_pre_hook(keep)
    try:
        yield inputs
    finally:
        handle.remove()


def spread(depth: int, count: int = 4) -> tuple[int, ...]:
    """Indexes of `count` evenly spaced blocks of a tower, the last included; of a shallow one, all."""
    return tuple(sorted({max((i + 1) * depth // count - 1, 0) for i in range(count)}))
