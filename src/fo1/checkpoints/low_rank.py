"""Low-rank updates (LoRA, arXiv 2106.09685) of a base model's linear layers: train beside, merge at load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LowRankLinear(nn.Module):
    """A frozen linear layer plus `up @ down`. The factors are float32 and computed in the input's dtype."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.active = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.active:
            return self.linear(x)
        update = F.linear(F.linear(x, self.down.to(x.dtype)), self.up.to(x.dtype))
        return self.linear(x) + update


def attach(module: nn.Module, rank: int) -> None:
    """Replaces every linear layer below `module`, in this instance only, by a `LowRankLinear`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and not isinstance(parent, LowRankLinear):
                setattr(parent, name, LowRankLinear(child, rank))


@contextmanager
def without(module: nn.Module) -> Iterator[None]:
    """Within this context the layers below `module` are as they were before `attach`."""
    layers = [layer for layer in module.modules() if isinstance(layer, LowRankLinear)]
    for layer in layers:
        layer.active = False
    try:
        yield
    finally:
        for layer in layers:
            layer.active = True


def factors(module: nn.Module) -> dict[str, Tensor]:
    """The factors below `module` by name: `layers.0.mlp.up_proj.down`, …"""
    return {
        f"{name}.{factor}": getattr(child, factor)
        for name, child in module.named_modules()
        if isinstance(child, LowRankLinear)
        for factor in ("down", "up")
    }


def misfits(module: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Why stored `factors` cannot be merged into `module`, one sentence each; none if they can."""
    layers, wrong = dict(module.named_modules()), []
    for name in sorted({key.rpartition(".")[0] for key in tensors}):
        layer, down, up = layers.get(name), tensors.get(f"{name}.down"), tensors.get(f"{name}.up")
        if down is None or up is None:
            wrong.append(f"missing {name}.{'down' if down is None else 'up'}")
        elif not isinstance(layer, nn.Linear):
            wrong.append(f"unexpected {name}.down")
        elif (*up.shape, *down.shape) != (layer.out_features, len(down), len(down), layer.in_features):
            wrong.append(f"{name}: {tuple(up.shape)} @ {tuple(down.shape)}, not {tuple(layer.weight.shape)}")
    return wrong


@torch.no_grad()
def merge(
    module: nn.Module, tensors: Mapping[str, Tensor], merged: Mapping[str, Tensor] | None = None
) -> None:
    """Adds the products of stored `factors` to the weights of linear layers, in place. See `misfits`.

    merged: by name, weights for which that is done; they are taken over.
    """
    known = merged or {}
    for key in tensors:
        if key.endswith(".down"):
            name = key.removesuffix(".down")
            weight = module.get_parameter(f"{name}.weight")
            done = known.get(f"{name}.weight")
            weight.data = summed(weight, tensors, name) if done is None else done


def summed(weight: Tensor, tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """A layer's weight and the product of its factors."""
    product = tensors[f"{name}.up"].float() @ tensors[f"{name}.down"].float()
    return weight + product.to(weight.dtype)


def joined(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Factors whose products are the sums of two updates' products."""
    both = dict(first)
    for key, value in second.items():
        ranks = 0 if key.endswith(".down") else 1
        both[key] = torch.cat([both[key].to(value), value], dim=ranks) if key in both else value
    return both
