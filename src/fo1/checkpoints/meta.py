"""Modules built without numbers, for weights that are stored: on the meta device, or with none drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from fo1.checkpoints.shards import Shards

_DRAWING = {nn.init.kaiming_uniform_, nn.init.uniform_}  # by which linear layers and convolutions begin


class Undrawn(TorchFunctionMode):
    """Within this context, fresh layers hold what was in memory: random numbers would only be replaced."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        return given["tensor"] if func in _DRAWING else func(*args, **given)


def give_weights(module: nn.Module, names: Mapping[str, str], shards: Shards, dtype: torch.dtype) -> None:
    """Puts stored weights, in `dtype` and frozen, into a module. Those that have it already are not copied.

    names: keys in `shards` → keys of the module's state dict. Buffers that no checkpoint stores are computed.
    """
    for stored, tensor in shards.read(names):
        owner, _, name = names[stored].rpartition(".")
        parent = module.get_submodule(owner)
        is_parameter = name in dict(parent.named_parameters(recurse=False))
        value = tensor.to(dtype) if tensor.is_floating_point() else tensor
        setattr(parent, name, nn.Parameter(value, requires_grad=False) if is_parameter else value)
    for child in module.modules():
        _recompute_buffers(child)


def _recompute_buffers(module: Any) -> None:
    """Frequencies of rotary embeddings and the like; transformers' modules make them from their config."""
    lost = [name for name, buffer in module.named_buffers(recurse=False) if buffer.is_meta]
    if lost:
        fresh = type(module)(module.config)
        for name in lost:
            setattr(module, name, getattr(fresh, name))
