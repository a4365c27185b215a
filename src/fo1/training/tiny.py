"""A model and scenes small enough to train both stages on two cores in two minutes."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessorPil,
)

from fo1.attaching import attach
from fo1.checkpoints.attached import Processor
from fo1.checkpoints.attached_config import AuxiliaryConfig, RegionsConfig
from fo1.data.matching import ProposalMix
from fo1.data.mixture import Mixture, Source
from fo1.data.negatives import NegativeMix, Negatives
from fo1.data.presence import Corpus
from fo1.data.reading import RecordFile, write
from fo1.pipeline import FO1
from fo1.prompts.tasks import TASKS
from fo1.training.check import RegionCheck
from fo1.training.course import LessonCourse
from fo1.training.lessons import Lessons, Showing
from fo1.training.painting import KINDS, paint
from fo1.training.stage import Stage
from fo1.training.trainer import Trainer

WORDS = tuple(dict.fromkeys(re.findall("[a-z]+", f"{' '.join(KINDS)} {TASKS['detect'].instruction}", re.I)))
TURNS = ("<|im_start|>", "<|im_end|>")
MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
MIX = ProposalMix(jitter=0.05)
REGIONS = RegionsConfig(pyramid_width=32, hidden=96)

ALIGN = Stage(
    "align", steps=60, rates={"encoder.*": 3e-3, "splice.*": 3e-3}, batch=4, warmup=5, save_every=1000
)
INSTRUCT = Stage(
    "instruct",
    steps=320,
    rates={
        "encoder.*": 4e-3,
        "splice.*": 4e-3,
        "auxiliary.*": 4e-3,
        "language.*.down": 4e-3,
        "language.*.up": 4e-3,
    },
    batch=4,
    warmup=5,
    rank=4,
    save_every=1000,
)

_log = logging.getLogger(__name__)


def tokenizer() -> PreTrainedTokenizerFast:
    """The words that scenes are asked about in, else one token per byte, and the marks of a Qwen."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_tokens([AddedToken(word, single_word=True, normalized=False) for word in WORDS])
    made.add_special_tokens([AddedToken(mark) for mark in (*TURNS, *MARKS)])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=TURNS[1])


def base(words: PreTrainedTokenizerFast, seed: int = 0) -> PreTrainedModel:
    """A Qwen3-VL of two layers with random weights, frozen."""
    start, end, image, video = words.convert_tokens_to_ids(list(MARKS))  # type: ignore[misc]
    common = {"initializer_range": 0.2}
    text: dict[str, Any] = {
        "vocab_size": 320,
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


def tiny_model(vocabulary: Any = "dynamic", seed: int = 0, regions: RegionsConfig = REGIONS) -> FO1:
    """Regions attached to that base, with a DaViT as small, if `regions` want it. Everything random."""
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
            auxiliary=None if regions.fusion.fusion == "primary" else AuxiliaryConfig("davit", davit),
            regions=regions,
            vocabulary=vocabulary,
            capacity=12,
            name="tiny",
        )


def train_tiny(
    folder: Path, scenes: int = 256, held_out: int = 24, stages: Sequence[Stage] = (ALIGN, INSTRUCT)
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
        Trainer(model.model, LessonCourse(model.model, lessons), stage, folder).run()
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
