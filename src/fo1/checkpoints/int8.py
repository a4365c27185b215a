"""Linear layers with weights of eight bits, for language models that run on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Up to so many rows, which is what writing an answer takes, torch's kernel for int8 weights is the quicker
# one: half of the memory is read. With more, weights are made whole first.
FEW_ROWS = 8


class Int8Linear(nn.Module):
    """A frozen linear layer; weights are whole numbers from -127 to 127 times a scale of their row."""

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        whole = linear.weight.detach().float()
        scale = whole.abs().amax(dim=1).clamp(min=1e-8) / 127
        self.register_buffer("weight", (whole / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale.to(linear.weight.dtype))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -2)
        if len(rows) <= FEW_ROWS:
            out = torch._weight_int8pack_mm(rows, self.weight, self.scale).unflatten(0, x.shape[:-1])
        else:
            out = F.linear(x, self.weight.to(x.dtype)) * self.scale
        return out if self.bias is None else out + self.bias


def quantise(module: nn.Module) -> None:
    """Replaces every linear layer below `module`, in this instance only, by an `Int8Linear`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, Int8Linear(child))
