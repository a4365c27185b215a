"""What it costs to keep answers in form: generation with and without a grammar, side by side.

    python benchmarks/constrained.py [--tokens 48] [--repeat 3] [--threads 1]

A random model of two layers with 512 words, and one with the vocabulary and the depth of SmolLM2-135M, which
`fo1-smol` is built on; both have names for regions. Free text and an answer to labels, one prompt and eight
at once, the same number of steps. Times are the process's own, the least of several turns; the grammar's
share is taken inside the run, since two runs differ by more than that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import cast

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
)

from fo1.grammar import Grammar
from fo1.processors import WellFormed
from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.vocabulary import RegionVocabulary

REGIONS, PROMPT = 50, 200
SIZES = {
    "tiny": {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2},
    "fo1-smol": {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30},
}


def words(count: int) -> PreTrainedTokenizerFast:
    """A byte tokenizer, filled up with words to so many."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(letters)}
    vocabulary |= {f"word{i}": i for i in range(len(letters), count)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="word300")


class NoEnd(LogitsProcessor):
    """Keeps answers from ending, so that all have the same number of steps."""

    def __init__(self, stop: int) -> None:
        self.stop = stop

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores[:, self.stop] -= 1e3
        return scores


class Timed(LogitsProcessor):
    """Another processor, and the seconds it took."""

    def __init__(self, inner: LogitsProcessor) -> None:
        self.inner, self.seconds = inner, 0.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        started = time.process_time()
        out = self.inner(input_ids, scores)
        self.seconds += time.process_time() - started
        return out


def seconds(base: LlamaForCausalLM, rows: int, tokens: int, rules: Sequence[LogitsProcessor]) -> float:
    """Of generating so many tokens for each of `rows` prompts."""
    ids = torch.randint(0, 256, (rows, PROMPT), generator=torch.Generator().manual_seed(0))
    started = time.process_time()
    base.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        do_sample=False,
        logits_processor=LogitsProcessorList(list(rules)),
    )
    return time.process_time() - started


def compare(
    base: LlamaForCausalLM, grammar: Grammar, rows: int, tokens: int, repeat: int
) -> tuple[float, float]:
    """Milliseconds of a step of the model alone, and of the grammar."""
    end = NoEnd(grammar.stops[0])
    free, kept = float("inf"), float("inf")
    for _ in range(repeat):
        timed = Timed(WellFormed([grammar] * rows, PROMPT, tokens))
        free = min(free, seconds(base, rows, tokens, [end]))
        seconds(base, rows, tokens, [end, timed])
        kept = min(kept, timed.seconds)
    return 1e3 * free / tokens, 1e3 * kept / tokens


def measure(name: str, tokens: int, repeat: int) -> None:
    size = SIZES[name]
    tokenizer = words(size["vocab_size"])
    vocabulary = RegionVocabulary.extend(tokenizer, 100)
    prompts = PromptBuilder(tokenizer, vocabulary, ChatFormat(stop="word300"))
    torch.manual_seed(0)
    config = LlamaConfig(
        **{**size, "vocab_size": vocabulary.size},
        num_attention_heads=size["hidden_size"] // 64,
        num_key_value_heads=size["hidden_size"] // 64,
        bos_token_id=None,
        eos_token_id=prompts.stop_id,
        pad_token_id=prompts.stop_id,
    )
    base = cast(LlamaForCausalLM, LlamaForCausalLM(config).eval())
    labels = [f"word{300 + i}" for i in range(3)]
    kinds = {
        "text": Grammar(prompts, [prompts.stop_id], REGIONS),
        "labels": Grammar(prompts, [prompts.stop_id], REGIONS, "grounding then text", labels),
    }
    for rows in (1, 8):
        for kind, grammar in kinds.items():
            free, kept = compare(base, grammar, rows, tokens, repeat)
            print(
                f"{name:9} {rows} at once, {kind:7} {free:8.2f} ms a step, grammar {kept:6.3f} ms: "
                f"{100 * kept / free:.1f} %"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        for name in SIZES:
            measure(name, arguments.tokens, arguments.repeat)


if __name__ == "__main__":
    main()
