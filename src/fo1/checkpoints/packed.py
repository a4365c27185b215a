"""Linear layers that keep their weights in the order in which the CPU's bfloat16 kernels read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS = 32  # about what a question has; the order suits any number


class PackedLinear(nn.Linear):
    """A linear layer with the very same results, sooner: torch would order its weights anew in every call.

    Packed when it first computes without gradients, on a CPU and in bfloat16; else it is a linear layer like
    any other. It holds its weights twice then, until it is moved; copies and pickles hold them once. Changed
    weights are packed again, except those changed in place through `.data` or made in inference mode: torch
    does not count such changes.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self._packed: tuple[int, int, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        fits = x.dtype == weight.dtype == torch.bfloat16 and weight.device.type == "cpu"
        if torch.is_grad_enabled() or not fits:
            return F.linear(x, weight, self.bias)
        state = weight.data_ptr(), 0 if weight.is_inference() else weight._version
        if self._packed is None or self._packed[:2] != state:
            self._packed = *state, torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed[2], self.bias, "none", [], "")
        return out

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_packed": None}  # which can be neither copied nor pickled

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PackedLinear:
        self._packed = None
        super()._apply(fn, recurse)
        return self


def pack(module: nn.Module) -> None:
    """Replaces every linear layer below `module`, in this instance only, by a `PackedLinear`.

    Not on a processor for which there are no such kernels.
    """
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child))
