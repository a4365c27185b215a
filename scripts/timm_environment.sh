#!/usr/bin/env bash
# A virtual environment for the tests of timm's encoders: fo1 with the pinned packages, torchvision and timm.
# It is not the project's own, because a torchvision made for CUDA does not import beside the CPU build of torch,
# and then transformers' image processors do not import either.
# usage, from the repository's root: scripts/timm_environment.sh VENV
set -euo pipefail

venv=$1
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt "$@"; }

"${PYTHON:-python3}" -m venv --clear "$venv"
install torch==2.13.0
install -e '.[dev]'
# Without their dependencies, which are there: torchvision would replace torch.
install --no-deps torchvision==0.28.0 timm==1.0.31

if ! "$venv/bin/python" -c 'import torchvision' 2>/dev/null; then
    # Its compiled operators did not load. The import fails over two of them, which timm never calls: announced
    # without code, at each start of this Python, they let the rest import.
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cat >"$site/torchvision_operators.py" <<'PYTHON'
import torch

for name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
PYTHON
    echo 'import torchvision_operators' >"$site/torchvision_operators.pth"
fi
"$venv/bin/python" -c 'import timm, torch; print("timm", timm.__version__, "beside torch", torch.__version__)'
