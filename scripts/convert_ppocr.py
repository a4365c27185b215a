"""Make the bundled text reader's weight files from the package that carries PP-OCRv6 small.

    python scripts/convert_ppocr.py --output src/fo1/bundled/fo1-smol

Needs the PyPI package onnx besides fo1. The networks come from the PyPI package rapidocr 3.10.0, as ONNX
graphs; its code is not run.
"""

from __future__ import annotations

import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx  # type: ignore[import-not-found]
import torch
from conversion import fetched, run, save
from torch import Tensor, nn

from fo1.reading.finder import TextFinder
from fo1.reading.recogniser import Recogniser

PACKAGE = "rapidocr==3.10.0"
FINDER, RECOGNISER = "rapidocr/models/PP-OCRv6_det_small.onnx", "rapidocr/models/PP-OCRv6_rec_small.onnx"
BATCH_NORM_EPSILON = 1e-5
# What most languages of Europe and the Americas need: ASCII, Latin-1, Latin Extended-A and a few signs.
LETTERS = {chr(code) for code in (*range(0x20, 0x7F), *range(0xA1, 0x180))} | set("ƒȘșȚț–—‘’“”†•…‰€™℃")


@dataclass
class Layers:
    """A graph's weights by kind, each in order of execution, in double precision."""

    convolutions: list[tuple[Tensor, Tensor | None]] = field(default_factory=list)
    linear: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    norms: list[tuple[Tensor, Tensor]] = field(default_factory=list)


class Graph:
    """An ONNX graph that can be asked what follows a value."""

    def __init__(self, data: bytes) -> None:
        model = onnx.load_from_string(data)
        self.nodes = list(model.graph.node)
        self.metadata = {entry.key: entry.value for entry in model.metadata_props}
        self.constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
            if node.op_type in ("Identity", "Cast", "Reshape") and node.input[0] in self.constants:
                self.constants[node.output[0]] = self.constants[node.input[0]]

    def after(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """The one node that uses this one's output, past identities and casts."""
        users = [n for n in self.nodes if node.output[0] in n.input]
        if len(users) != 1:
            return None
        return self.after(users[0]) if users[0].op_type in ("Identity", "Cast") else users[0]

    def tensor(self, name: str) -> Tensor:
        return torch.tensor(self.constants[name].astype(np.float64))

    def constant_of(self, node: onnx.NodeProto | None, operation: str) -> Tensor | None:
        """The constant that a node of this operation adds or multiplies."""
        if node is None or node.op_type != operation:
            return None
        names = [name for name in node.input if name in self.constants]
        return self.tensor(names[0]).flatten() if names else None


def layers_of(graph: Graph) -> Layers:
    """The weights, batch norms folded into the convolutions before them."""
    found = Layers()
    for node in graph.nodes:
        following = graph.after(node)
        if node.op_type in ("Conv", "ConvTranspose"):
            weight, bias = graph.tensor(node.input[1]), graph.constant_of(following, "Add")
            if following is not None and following.op_type == "BatchNormalization":
                scale, shift, mean, variance = map(graph.tensor, following.input[1:])
                gain = scale / torch.sqrt(variance + BATCH_NORM_EPSILON)
                weight, bias = weight * gain.view(-1, 1, 1, 1), shift - mean * gain
            found.convolutions.append((weight, bias))
        elif node.op_type == "MatMul" and node.input[1] in graph.constants:
            bias = graph.constant_of(following, "Add")
            assert bias is not None
            found.linear.append((graph.tensor(node.input[1]).T, bias))
        elif node.op_type == "Div" and following is not None and following.op_type == "Mul":
            # A layer norm in its parts: (x − mean) / deviation · weight + bias.
            gains = graph.constant_of(following, "Mul")
            bias = graph.constant_of(graph.after(following), "Add")
            if gains is not None and bias is not None and gains.numel() > 1:
                found.norms.append((gains, bias))
    return found


def fill(module: nn.Module, layers: Layers) -> None:
    """Copies the weights into a network whose layers of each kind stand in the same order."""
    kinds = (
        ((nn.Conv2d, nn.ConvTranspose2d), layers.convolutions),
        ((nn.Linear,), layers.linear),
        ((nn.LayerNorm,), layers.norms),
    )
    for kind, given in kinds:
        wanted = [part for part in module.modules() if isinstance(part, kind)]
        for part, (weight, bias) in zip(wanted, given, strict=True):
            if part.weight.shape != weight.shape or (part.bias is None) != (bias is None):
                raise ValueError(f"expected {part}, found a weight {tuple(weight.shape)}")
            part.weight.data.copy_(weight)
            if part.bias is not None and bias is not None:
                part.bias.data.copy_(bias)


def finder(archive: zipfile.ZipFile) -> TextFinder:
    """The network that finds lines."""
    network = TextFinder().double()
    fill(network, layers_of(Graph(archive.read(FINDER))))
    return network


def recogniser(archive: zipfile.ZipFile) -> Recogniser:
    """The network that reads lines, for `LETTERS` only."""
    graph = Graph(archive.read(RECOGNISER))
    # Class 0 is none, the last a space.
    known = ["", *graph.metadata["character"].split("\n"), " "]
    layers = layers_of(graph)
    weight, bias = layers.linear[-1]
    known = [*known[: len(weight) - 1], " "]
    kept = [0, *(number for number, letter in enumerate(known) if letter in LETTERS)]
    letters = "".join(known[number] for number in kept)
    layers.linear[-1] = weight[kept], bias[kept]
    network = Recogniser(letters).double()
    fill(network, layers)
    return network


def convert(packages: Path, output: Path) -> None:
    """Fetch what `packages` lacks and write the files into `output`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
    with zipfile.ZipFile(fetched(packages, "rapidocr-3.10.0-*.whl", command)) as archive:
        save(finder(archive), output / "text_finder.safetensors")
        network = recogniser(archive)
    save(network, output / "text_recogniser.safetensors", {"letters": network.letters})


if __name__ == "__main__":
    run(convert, (__doc__ or "").splitlines()[0])
