"""`RegionReader`: an image's tokens and its regions' embeddings, inside the engine.

The region encoder, the auxiliary encoder and how a tower's blocks become maps are the core's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig

from fo1.checkpoints.attached import AUXILIARY, ENCODER, SPLICE, fill, make_plugin
from fo1.checkpoints.meta import give_weights
from fo1.checkpoints.released import HEAD
from fo1.checkpoints.renaming import Part, ours_to_released, released_to_ours
from fo1.checkpoints.shards import Shards
from fo1.types import Regions
from fo1.vllm.exported import PARTS, TABLE, Exported


class RegionReader(nn.Module):
    """Everything between a picture and what the language model reads of it, but for the tower.

    visual: vLLM's own tower; it is the model's, not this module's.
    """

    def __init__(self, exported: Exported, base: PretrainedConfig) -> None:
        super().__init__()
        self.exported = exported
        self.family: Any = exported.family(base)  # of the Qwens
        self.auxiliary, self.encoder = make_plugin(exported.config, self.family)

    def load(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Reads our parts. Raises `CheckpointError` if they do not fit."""
        parts: dict[Part, nn.Module] = {"encoder": self.encoder}
        if self.auxiliary is not None:
            parts["auxiliary"] = self.auxiliary
        files = {"encoder": ENCODER, "auxiliary": AUXILIARY}
        for part, module in parts.items():
            if self.exported.released:
                names = {ours_to_released(part, key): key for key in module.state_dict()}
                give_weights(module, names, Shards.of_folder(folder), dtype)
            else:
                fill(module, folder / PARTS / files[part], dtype)
        self.to(device).eval().requires_grad_(False)

    def forward(self, visual: Any, pixels: Tensor, grid: Tensor, picture: Tensor, boxes: Tensor) -> Tensor:
        """The image's M tokens and then its N regions, (M + N, D).

        pixels: (P, C) patches. grid: (3,) frames, rows and columns of patches. picture: (H, W, 3) uint8.
        boxes: (N, 4) xyxy pixels of the picture.
        """
        rows = grid.cpu()[None]
        with blocks_seen(visual, self.family.taps) as states:
            tokens: Tensor = visual(pixels, grid_thw=rows.tolist())
        if not len(boxes):
            return tokens
        image = Image.fromarray(picture.cpu().numpy())
        regions = Regions.of(boxes.cpu().numpy(), image.size)
        maps = self.family.maps(image.size, rows, states)
        second = None if self.auxiliary is None else self.auxiliary([image])[0]
        embeddings = self.encoder(maps, second, regions).to(tokens.dtype)
        # Some towers give more, for deeper layers, beside each token; regions have nothing there.
        return torch.cat([tokens, F.pad(embeddings, (0, tokens.shape[1] - embeddings.shape[1]))])


@contextmanager
def blocks_seen(visual: Any, taps: Sequence[int]) -> Iterator[list[Tensor]]:
    """Yields a list that receives the outputs (patches, C) of these blocks of vLLM's tower, as it runs.

    Blocks are called past PyTorch's hooks, so the hooks are on the norms that read their outputs next. Copies
    are kept, since a block overwrites its input.
    """
    last = next(visual.merger.children())  # the merger begins with a norm, whatever its name
    norms = [*(block.norm1 for block in visual.blocks[1:]), last]
    states: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Any, ...]) -> None:
        states.append(args[0].detach().clone().flatten(0, -2))

    handles = [norms[i].register_forward_pre_hook(keep) for i in taps]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def base_weights(
    exported: Exported, folder: Path, weights: Iterable[tuple[str, Tensor]]
) -> Iterator[tuple[str, Tensor]]:
    """The base's weights by transformers' names, its tables with the rows of added tokens.

    weights: as they are stored.
    """
    if exported.released:
        ours = ((*released_to_ours(name), tensor) for name, tensor in weights)
        yield from ((name, tensor) for part, name, tensor in ours if part == "base")
        return
    own = exported.own_rows
    if not own:
        yield from weights
        return
    rows = Shards([folder / PARTS / SPLICE])
    tied = HEAD not in Shards.of_folder(folder)  # the base writes with the table it reads with
    for name, tensor in weights:
        if name.endswith(TABLE):
            yield name, widened(tensor, own, rows.load("input_rows"))
        if name.endswith(HEAD) or (tied and name.endswith(TABLE)):
            yield HEAD, widened(tensor, own, rows.load("output_rows"))
        elif not name.endswith(TABLE):
            yield name, tensor


def widened(table: Tensor, own: range, rows: Tensor) -> Tensor:
    """(own.stop, D): the base's rows, ours, and nothing for slots, which nobody writes."""
    wide = table.new_zeros(own.stop, table.shape[1])
    wide[: own.start] = table[: own.start]
    wide[own.start : own.start + len(rows)] = rows.to(table.dtype)
    return wide
