"""The region–language connector: hybrid region feature → embedding the language model reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Connector(nn.Module):
    """Linear, GELU, Linear.

    dropout: on the feature and the hidden layer, against learning the composed scenes by heart.
    rms: if given, embeddings are normalised to this root mean square (times a learned gain per channel),
        the size of the language model's own word embeddings.
    """

    def __init__(
        self, in_width: int, hidden: int, out_width: int, dropout: float = 0.0, rms: float | None = None
    ) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(in_width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out_width),
        )
        self.gain = None if rms is None else nn.Parameter(torch.full((out_width,), rms))

    def forward(self, features: Tensor, residual: Tensor | None = None) -> Tensor:
        """features: (N, in_width); residual: (N, out_width) added before normalising. → (N, out_width)."""
        out: Tensor = self.mlp(features)
        if residual is not None:
            out = out + residual
        return out if self.gain is None else F.rms_norm(out, out.shape[-1:]) * self.gain
