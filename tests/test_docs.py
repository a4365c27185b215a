"""The examples in docs/attach.md and docs/proposers.md run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import fo1
from attachable import CASES, DAVIT
from fo1.checkpoints.attached import make_auxiliary
from tiny import picture

PAGE = Path(__file__).parents[1] / "docs" / "attach.md"
BLOCK = re.compile(r"^```python(?P<mark> not-run)?\n(?P<code>.*?)^```$", re.M | re.S)


@pytest.fixture
def blocks() -> list[re.Match[str]]:
    return list(BLOCK.finditer(PAGE.read_text(encoding="utf-8")))


def test_the_page_runs_from_top_to_bottom(blocks: list[re.Match[str]], tmp_path: Path) -> None:
    torch.manual_seed(0)
    family = CASES["qwen3_vl"].build()
    # What the first block, which needs the network, gives the others.
    names = {
        "fo1": fo1,
        "base": family.base,
        "processor": family.processor,
        "auxiliary": DAVIT,
        "image": picture(1, (168, 126)),
        "boxes": [[10, 10, 80, 60], [50, 30, 120, 100]],
        "folder": tmp_path / "saved",
    }
    run = [block for block in blocks if not block["mark"]]
    assert len(run) == len(blocks) - 1 == 4
    for block in run:
        exec(compile(block["code"], f"{PAGE.name}: {block['code'].splitlines()[0]}", "exec"), names)
    assert torch.isfinite(names["loss"](names["image"], names["boxes"], "What?", names["answer"]))


def test_the_block_that_needs_the_network(blocks: list[re.Match[str]]) -> None:
    (block,) = [block for block in blocks if block["mark"]]
    compile(block["code"], PAGE.name, "exec")
    names = {"fo1": fo1}
    exec(next(line for line in block["code"].splitlines() if line.startswith("auxiliary")), names)
    with torch.device("meta"):
        davit = make_auxiliary(names["auxiliary"])
    assert davit is not None and 360e6 < sum(p.numel() for p in davit.parameters()) < 361e6


def test_the_page_on_proposers() -> None:
    text = (PAGE.parent / "proposers.md").read_text(encoding="utf-8")
    (example,) = [block for block in BLOCK.finditer(text) if not block["mark"]]
    names: dict = {}
    exec(example["code"], names)
    first, second = names["Grid"]().propose([picture(0), picture(1, (30, 90))])
    assert len(first) == 9 and first.image_size == (80, 60)
    assert second.xyxy[-1].tolist() == [20, 60, 30, 90]
    for block in BLOCK.finditer(text):
        compile(block["code"], "proposers.md", "exec")
