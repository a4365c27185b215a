"""Many questions about one image in vLLM: what its caches save.

    python benchmarks/vllm_prefix.py                     # a random Qwen2.5-VL of 40 million weights
    python benchmarks/vllm_prefix.py --model FOLDER --photo photos/chickens.jpg

For 1, 5, 20 and 80 questions that come at once about a photo with a hundred regions: how many tokens of their
prompts came from the cache, and how long all answers took, with the caches and without. Needs vLLM.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SIZES = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 10,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}
COUNTS = (1, 5, 20, 80)
UNCACHED = {"enable_prefix_caching": False, "mm_processor_cache_gb": 0}


def random_model(folder: Path) -> Path:
    sys.path.insert(0, str(ROOT / "tests"))
    from vllm_models import write_native

    return write_native(folder, **SIZES)


def measured(model: Path, photo: Path, words: int, **options: Any) -> list[tuple[int, int, int, float]]:
    """For each count: questions, tokens of all prompts, those from the cache, seconds."""
    from fo1.vllm import Engine

    engine = Engine(model, max_model_len=4096, **options)
    image = Image.open(photo).convert("RGB").resize((280, 280))
    corners = np.sort(np.random.default_rng(0).random((100, 2, 2)), axis=1).reshape(100, 4) * 280
    (look,) = engine.look_many([image], [corners])
    rows = []
    for count in (5, *COUNTS):  # the first is to warm up
        engine.llm.reset_prefix_cache()
        engine.llm.reset_mm_cache()
        asked = [engine.asking.free(look, f"What is <region{n}>?", words, False)[1] for n in range(count)]
        started = time.perf_counter()
        outputs = engine.llm.generate(
            [one.prompt for one in asked], [engine.asking.params(one) for one in asked], use_tqdm=False
        )
        seconds = time.perf_counter() - started
        prompts = sum(len(output.prompt_token_ids or ()) for output in outputs)
        rows.append((count, prompts, sum(output.num_cached_tokens or 0 for output in outputs), seconds))
    return rows[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--photo", type=Path, default=ROOT / "photos" / "chickens.jpg")
    parser.add_argument("--words", type=int, default=8, help="tokens of each answer")
    parser.add_argument("--block", type=int, default=32, help="tokens of a block: whole ones are cached")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    with tempfile.TemporaryDirectory() as scratch:
        model = given.model or random_model(Path(scratch) / "model")
        options = {"dtype": given.dtype, "enforce_eager": True, "block_size": given.block}
        cached = measured(model, given.photo, given.words, **options)
        plain = measured(model, given.photo, given.words, **options, **UNCACHED)
    print("questions  prompt tokens  from the cache  seconds  without caches  times as fast")
    for (count, prompts, hits, seconds), (*_, longer) in zip(cached, plain, strict=True):
        share = f"{hits} ({hits / prompts:.0%})"
        print(
            f"{count:9}  {prompts:13}  {share:>14}  {seconds:7.2f}  {longer:14.2f}  {longer / seconds:13.1f}"
        )


if __name__ == "__main__":
    main()
