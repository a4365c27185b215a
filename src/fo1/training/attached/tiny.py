"""A model and scenes small enough to train both stages on two cores in a minute."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessorPil,
)

from fo1.attaching import attach
from fo1.boxes import iou
from fo1.checkpoints.attached import Processor
from fo1.checkpoints.attached_config import AuxiliaryConfig, RegionsConfig
from fo1.data.matching import ProposalMix
from fo1.data.mixture import Mixture, Source
from fo1.data.negatives import NegativeMix, Negatives
from fo1.data.presence import Corpus
from fo1.data.reading import RecordFile, write
from fo1.data.record import ImageRef, Record, Turn
from fo1.findings import written
from fo1.pipeline import FO1
from fo1.prompts.parsing import Grounding
from fo1.prompts.tasks import TASKS
from fo1.training.attached.check import RegionCheck
from fo1.training.attached.lessons import Lessons, Showing
from fo1.training.attached.stage import Stage
from fo1.training.attached.trainer import Trainer

SIZE = (84, 84)
KINDS = {
    "red disc": (220, 30, 30),
    "green square": (30, 170, 60),
    "blue wedge": (40, 70, 230),
    "yellow disc": (240, 220, 40),
}
TURNS = ("<|im_start|>", "<|im_end|>")
MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
MIX = ProposalMix(jitter=0.05)

ALIGN = Stage(
    "align", steps=80, rates={"encoder.*": 3e-3, "splice.*": 3e-3}, batch=4, warmup=5, save_every=1000
)
INSTRUCT = Stage(
    "instruct",
    steps=40,
    rates={
        "encoder.*": 1e-3,
        "splice.*": 1e-3,
        "auxiliary.*": 1e-3,
        "language.*.down": 1e-3,
        "language.*.up": 1e-3,
    },
    batch=4,
    warmup=5,
    rank=4,
    save_every=1000,
)

_log = logging.getLogger(__name__)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and the marks of a Qwen."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(mark) for mark in (*TURNS, *MARKS)])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=TURNS[1])


def base(words: PreTrainedTokenizerFast, seed: int = 0) -> PreTrainedModel:
    """A Qwen3-VL of two layers with random weights, frozen."""
    start, end, image, video = words.convert_tokens_to_ids(list(MARKS))  # type: ignore[misc]
    common = {"initializer_range": 0.2}
    text: dict[str, Any] = {
        "vocab_size": 272,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [2, 3, 3],
            "mrope_interleaved": True,
        },
    }
    vision: dict[str, Any] = {
        "depth": 4,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 4,
        "out_hidden_size": 64,
        "patch_size": 14,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 2],
    }
    config = AutoConfig.for_model(
        "qwen3_vl",
        text_config={**common, **text, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None},
        vision_config={**common, **vision},
        vision_start_token_id=start,
        vision_end_token_id=end,
        image_token_id=image,
        video_token_id=video,
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        made: PreTrainedModel = AutoModelForImageTextToText.from_config(config)
    return made.eval().requires_grad_(False)


def tiny_model(vocabulary: Any = "dynamic", seed: int = 0) -> FO1:
    """Regions attached to that base, with a DaViT as small. Everything random."""
    words = tokenizer()
    pixels = Qwen2VLImageProcessorPil(
        patch_size=14, size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 100}
    )
    davit = {"dims": [8, 16, 32, 64], "depths": [1] * 4, "heads": [1, 2, 4, 8], "window": 4, "max_side": 56}
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return attach(
            base(words, seed),
            Processor(words, pixels),
            auxiliary=AuxiliaryConfig("davit", davit),
            regions=RegionsConfig(pyramid_width=32, hidden=96),
            vocabulary=vocabulary,
            capacity=12,
            name="tiny",
        )


def paint(folder: Path, number: int) -> Record:
    """One to four coloured shapes on grey, as `scene-N.png` and its record, which asks to detect them."""
    rng = np.random.default_rng((1, number))
    image = Image.new("RGB", SIZE, (128, 128, 128))
    canvas = ImageDraw.Draw(image)
    boxes: list[tuple[int, ...]] = []
    labels: list[str] = []
    wanted = int(rng.integers(1, 4))
    while len(boxes) < wanted:
        side = int(rng.integers(24, 36))
        x, y = (int(v) for v in rng.integers(0, SIZE[0] - side, 2))
        box = (x, y, x + side, y + side)
        if boxes and iou([box], boxes).max() > 0:
            continue
        label = str(rng.choice(list(KINDS)))
        _draw(canvas, label.split()[1], box, KINDS[label])
        boxes.append(box)
        labels.append(label)
    path = folder / f"scene-{number}.png"
    image.save(path)
    return Record(
        ImageRef(path.name, SIZE, folder),
        np.array(boxes, dtype=np.float32),
        ((*asking(labels),),),
        labels=tuple(labels),
        source="painted",
        id=path.stem,
    )


def asking(labels: Sequence[str]) -> tuple[Turn, Turn]:
    """All labels asked for in one question."""
    asked = sorted(set(labels))
    answer = [
        written(Grounding(one, tuple(i for i, label in enumerate(labels) if label == one))) for one in asked
    ]
    return Turn("user", TASKS["detect"].fill(*asked)), Turn("assistant", "".join(answer))


def _draw(
    canvas: ImageDraw.ImageDraw, shape: str, box: tuple[int, ...], colour: tuple[int, int, int]
) -> None:
    x1, y1, x2, y2 = box
    if shape == "disc":
        canvas.ellipse((x1, y1, x2 - 1, y2 - 1), fill=colour)
    elif shape == "square":
        canvas.rectangle((x1, y1, x2 - 1, y2 - 1), fill=colour)
    else:
        canvas.polygon([(x1, y2 - 1), (x2 - 1, y2 - 1), ((x1 + x2) // 2, y1)], fill=colour)


def train_tiny(
    folder: Path, scenes: int = 48, held_out: int = 16, stages: Sequence[Stage] = (ALIGN, INSTRUCT)
) -> tuple[dict[str, float], dict[str, float]]:
    """Both stages on painted scenes under `folder`; the figures before and after, on other scenes."""
    pictures = folder / "scenes"
    pictures.mkdir(parents=True, exist_ok=True)
    write([paint(pictures, i) for i in range(scenes)], pictures / "train.jsonl")
    write([paint(pictures, 1000 + i) for i in range(held_out)], pictures / "check.jsonl")
    model = tiny_model()
    check_file, train_file = RecordFile(pictures / "check.jsonl"), RecordFile(pictures / "train.jsonl")
    check = RegionCheck(model, [check_file[i] for i in range(len(check_file))])
    corpus = Corpus.of(train_file[i] for i in range(len(train_file)))
    before = check()
    for stage in stages:
        lessons = Lessons(
            Mixture([Source("painted", train_file)]),
            Showing(MIX, negatives=Negatives(corpus, NegativeMix(alone=0.0, most=4))),
        )
        Trainer(model.model, lessons, stage, folder).run()
        _log.info("after %s: %s", stage.name, check())
    return before, check()


def main() -> None:
    """Runs in a temporary folder and prints the result in one line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # So small are the layers that a second thread would only be waited for.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        before, after = train_tiny(Path(folder))
    sys.stdout.write(
        f"region F1 {before['F1']:.2f} → {after['F1']:.2f}"
        f" (absent labels refused {before['refused']:.2f} → {after['refused']:.2f})\n"
    )


if __name__ == "__main__":
    main()
