"""Linear layers that keep their weights in the order in which the CPU's bfloat16 kernels read them.

They are held twice then, from the first pass without gradients until the layer is moved. Changed weights are
packed again, except those changed in place through `.data` or made in inference mode: torch does not count
such changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fo1.vlm.decoder import Beside

ROWS = 32  # about what a question has; the order suits any number


class _Packed(nn.Module):
    """Weights of layers that read the same, one below the other, in that order."""

    def __init__(self) -> None:
        super().__init__()
        self.state: list[tuple[int, int]] = []
        self.weight: Tensor | None = None

    def forward(self, x: Tensor, weights: Sequence[Tensor], bias: Tensor | None = None) -> Tensor:
        state = [(weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in weights]
        if self.weight is None or self.state != state:
            joined = torch.cat([weight.detach() for weight in weights])
            self.state, self.weight = state, torch.ops.mkldnn._reorder_linear_weight(joined, ROWS)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, bias, "none", [], "")
        return out

    def __reduce__(self) -> tuple[type[_Packed], tuple[()]]:
        return _Packed, ()  # what is packed can be neither copied nor pickled

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _Packed:
        self.weight = None
        return self


def _fits(x: Tensor, weight: Tensor) -> bool:
    """Only without gradients, on a CPU and in bfloat16."""
    return x.dtype == weight.dtype == torch.bfloat16 and weight.is_cpu and not torch.is_grad_enabled()


class PackedLinear(nn.Linear):
    """A linear layer with the very same results, sooner: torch would order its weights anew in every call."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        self.weight, self.bias, self.packed = linear.weight, linear.bias, _Packed()

    def forward(self, x: Tensor) -> Tensor:
        if not _fits(x, self.weight):
            return F.linear(x, self.weight, self.bias)
        out: Tensor = self.packed(x, [self.weight], self.bias)
        return out


class PackedBeside(Beside):
    """The same for layers that read the same: one multiplication, and one packed weight, for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.packed = _Packed()

    def forward(self, x: Tensor, *layers: nn.Module) -> Tensor:
        weights = [layer.weight for layer in layers if type(layer) is PackedLinear]
        if len(weights) < len(layers) or not _fits(x, weights[0]):
            return super().forward(x, *layers)
        out: Tensor = self.packed(x, weights)
        return out


def pack(module: nn.Module) -> None:
    """Packs every linear layer below `module`, in this instance only.

    Not on a processor for which there are no such kernels.
    """
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child))
            elif type(child) is Beside:
                setattr(parent, name, PackedBeside())
