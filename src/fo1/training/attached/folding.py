"""`fold`: low-rank factors into the weights they stand beside."""

from __future__ import annotations

from torch import nn

from fo1.checkpoints import low_rank


def fold(module: nn.Module) -> None:
    """Merges all factors below `module`, so that it is made of plain layers again and can be saved."""
    tensors = low_rank.factors(module)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, low_rank.LowRankLinear):
                setattr(parent, name, child.linear)
    low_rank.merge(module, tensors)
