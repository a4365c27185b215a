"""`fingerprint` and `file_digest`: tell apart models and files, whatever their names and places."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

PICKS = 16


def fingerprint(model: nn.Module) -> str:
    """16 hexadecimal digits from the names, shapes and types of all weights, and some numbers of each."""
    return digest(sorted(model.state_dict().items()))


def digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """The same of named tensors, in this order."""
    seen = hashlib.blake2b(digest_size=8)
    for name, tensor in tensors:
        seen.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().reshape(-1)
        picked = flat[:: max(1, len(flat) // PICKS)][:PICKS].contiguous().cpu()
        seen.update(picked.view(torch.uint8).numpy().tobytes())
    return seen.hexdigest()


def file_digest(path: Path) -> str:
    """16 hexadecimal digits from what a file holds."""
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
