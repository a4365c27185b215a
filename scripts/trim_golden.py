"""Cuts the golden recordings of the official code to what the tests compare.

    python scripts/trim_golden.py GOLDEN [tests/golden]

GOLDEN is the folder with `set_a` and `set_b`. What several cases of one image share is kept once; of large
tensors, every n-th number, with the sum and the sum of magnitudes of all. Weights are left out: a formula
makes them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

TINY = "VLM-FO1_Qwen2.5-VL-tiny-golden"
# The first case of each image keeps what the image alone decides.
FIRST = {"s1_demo_168x126": "c1_s1_od_13boxes", "s2_synth_203x97": "c2_s2_count_5boxes"}
ASPECTS = {"c7_s2_squash768": "squash", "c8_s2_dynamic_square": "dynamic_square"}
OF_IMAGE = ("primary_pixel_values", "image_grid_thw", "aux_pixel_values", "vit_", "davit_", "fpn_")
# Left out: what no test compares, or another tensor says as well.
NOT_COMPARED = (
    "attention_mask",
    "input_attention_mask",
    "aux_boxes_after",
    "vt_boxes_after",
    "roi_boxes",
    "pos_boxes_cxcywh",
)
CUTS = {"first_step_logits": "[::8]", "last_logits": "[:, ::8]"}
CUTS_OF = {
    "p3_s3_long_2301x67": {"primary_pixel_values": "[::8]", "aux_pixel_values": "[..., ::8, ::8]"},
    "hfre_real_roi7": dict.fromkeys(
        ("aux_region_before_pos", "hfre_out", "pos_embed", "region_tokens"), "[:, ::4]"
    ),
    "hfre_real_roi14": dict.fromkeys(("aux_region_before_pos", "hfre_out"), "[:, ::4]"),
    "davit_large_101x157": dict.fromkeys(("davit_l0", "davit_l1", "davit_l2", "davit_l3"), "[:, ::4]"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path, nargs="?", default=Path("tests/golden"))
    words = parser.parse_args()
    checkpoint(words.source / "set_b" / TINY, words.target / "checkpoint")
    shapes = json.loads((words.source / "set_b" / "state_dict_shapes.json").read_text(encoding="utf-8"))
    write(words.target / "checkpoint" / "shapes.json", shapes)
    copy_all(words.source / "set_b" / "images", words.target / "images")
    shutil.copyfile(words.source / "set_b" / "tokenizer_facts.json", words.target / "tokenizer_facts.json")
    write(words.target / "prompts.json", prompts(words.source / "set_b" / "prompts.json"))
    cases(words.source / "set_b" / "cases", words.target)
    for name in ("hfre_real_roi7", "hfre_real_roi14", "davit_large_101x157"):
        tensors = load_file(words.source / "set_a" / f"{name}.safetensors")
        save(words.target / "real" / f"{name}.safetensors", trimmed(tensors, name))


def checkpoint(source: Path, target: Path) -> None:
    """Everything but the weights; the two large files of the tokenizer compressed."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.name in ("vocab.json", "merges.txt"):
            (target / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
        elif file.suffix == ".json":
            shutil.copyfile(file, target / file.name)


def prompts(file: Path) -> list[dict[str, Any]]:
    """The messages and what became of them; of boxes only how many there are."""
    kept = []
    for one in json.loads(file.read_text(encoding="utf-8")):
        for message in one["messages"]:
            if "bbox_list" in message:
                message["boxes"] = len(message.pop("bbox_list") or ())
        kept.append({key: one[key] for key in ("name", "messages", "input_ids", "error") if key in one})
    return kept


def cases(source: Path, target: Path) -> None:
    described = {}
    for file in sorted(source.glob("*.safetensors")):
        tensors = load_file(file)
        if file.stem[0] == "c":
            said = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            described[file.stem] = description(file.stem, said)
            tensors.pop("bbox_list", None)  # in words in `described`
            drop_shared(tensors, file.stem, source / f"{FIRST[described[file.stem]['image']]}.safetensors")
        save(target / "cases" / f"{file.stem}.safetensors", trimmed(tensors, file.stem))
    write(target / "cases.json", described)


def description(name: str, said: dict[str, Any]) -> dict[str, Any]:
    """What was asked and answered. c4 and c4b were put together by hand and have no messages."""
    image = next(image for image in FIRST if image.startswith(name.split("_")[1]))
    shown = {
        "image": image,
        "maps_as": FIRST[image],
        "aspect": ASPECTS.get(name, "dynamic"),
        "boxes": [],
        "system": None,
        "before": "",
    }
    question = said["prompt"].split("<|vision_end|>\n")[1].removesuffix("<|im_end|>\n<|im_start|>assistant\n")
    if "messages" in said:
        *system, user = said["messages"]
        before, question = [""], user["content"][-1]["text"]
        before = [part["text"] for part in user["content"][:-1] if part["type"] == "text"] or before
        shown |= {
            "boxes": user["bbox_list"],
            "system": system[0]["content"] if system else None,
            "before": before[0],
        }
    elif name == "c4b_s2_dummy_box":
        shown["boxes"] = [[0, 10, 0, 10]]
    return {**shown, "question": question, "answer": said["output_text"]}


def drop_shared(tensors: dict[str, Tensor], name: str, first: Path) -> None:
    """Leaves out what the image's first case says too, bit for bit."""
    if name == first.stem:
        return
    known = load_file(first)
    for key in list(tensors):
        if key.startswith(OF_IMAGE) and key in known and torch.equal(tensors[key], known[key]):
            del tensors[key]


def trimmed(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    cuts = CUTS | CUTS_OF.get(name, {})
    kept = {}
    for key, tensor in tensors.items():
        cut = cuts.get(key)
        if key.startswith(NOT_COMPARED) or "_after_call" in key:
            continue
        if cut is None:
            kept[key] = tensor
            continue
        kept[key + cut] = tensor[slices(cut)].contiguous()
        kept[f"{key}.sum_abssum"] = torch.stack([tensor.double().sum(), tensor.double().abs().sum()])
    return kept


def slices(cut: str) -> tuple[Any, ...]:
    """`[:, ::4]` as an index."""
    steps = [part.strip() for part in cut.strip("[]").split(",")]
    return tuple(... if step == "..." else slice(None, None, int(step.strip(":") or 1)) for step in steps)


def copy_all(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        shutil.copyfile(file, target / file.name)


def save(file: Path, tensors: dict[str, Tensor]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)
    file.chmod(0o644)


def write(file: Path, values: list[Any] | dict[str, Any]) -> None:
    """JSON with one entry a line."""
    if isinstance(values, dict):
        lines = [f"{dumps(key)}: {dumps(value)}" for key, value in values.items()]
    else:
        lines = [dumps(value) for value in values]
    opening, closing = "{}" if isinstance(values, dict) else "[]"
    file.write_text("\n".join([opening, ",\n".join(lines), closing]) + "\n", encoding="utf-8")


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
