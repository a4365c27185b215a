"""Is general ability kept? The bundled model's language model against the base it was trained from.

python benchmarks/general_ability.py [--photos photos]

Text: both read the same English text, Python's own help, and answer the same short questions greedily, in
the base's chat format, without an image: nothing of the region tokens is bound, only the merged update of the
decoder is left. An answer is right if it holds one of the expected words.

Pictures: the base has no eyes, so that before there is nothing to measure but itself behind the trained
connector: the same model with the decoder's update taken out again. Both are asked of each photo what is in
it, and whether two things are that are there and two that are not. Told: the share of the photo's labels that
the first answer names; yes or no: the mean of the shares of right answers to both kinds, 0.5 for guessing.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics
from statistics import fmean

import torch
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

import fo1
from fo1.checkpoints import low_rank
from fo1.checkpoints.base import load_base
from fo1.checkpoints.fetching import fetch_base
from fo1.checkpoints.native import Native
from fo1.evaluation.benchmark import Sample
from fo1.evaluation.benchmarks.scene_truth import SceneTruth
from fo1.evaluation.benchmarks.scenes import photos
from fo1.evaluation.truth import BoxTruth
from fo1.scene import Scene
from fo1.vlm.base import Base

BASE = "smollm2-135m-instruct"
QUESTIONS = {
    "What is the capital of France?": "Paris",
    "What is the capital of Japan?": "Tokyo",
    "What is the capital of Italy?": "Rome",
    "What is the capital of Germany?": "Berlin",
    "What is the capital of Spain?": "Madrid",
    "What is the capital of Egypt?": "Cairo",
    "What is the capital of Russia?": "Moscow",
    "What is the capital of the United Kingdom?": "London",
    "What is the capital of Greece?": "Athens",
    "What is the capital of China?": "Beijing",
    "What is the largest planet in our solar system?": "Jupiter",
    "Which planet is closest to the Sun?": "Mercury",
    "Which planet is known as the red planet?": "Mars",
    "What is the largest ocean on Earth?": "Pacific",
    "What is the highest mountain on Earth?": "Everest",
    "On which continent is Brazil?": "South America",
    "On which continent is Kenya?": "Africa",
    "On which continent is India?": "Asia",
    "How many days are in a week?": "seven|7",
    "How many months are in a year?": "twelve|12",
    "How many legs does a spider have?": "eight|8",
    "How many sides does a triangle have?": "three|3",
    "How many minutes are in an hour?": "sixty|60",
    "What is two plus two?": "four|4",
    "What is ten minus three?": "seven|7",
    "What is five times two?": "ten|10",
    "What colour is the sky on a clear day?": "blue",
    "What colour is grass?": "green",
    "What colour is a ripe banana?": "yellow",
    "What is the chemical symbol of gold?": "Au",
    "What is the chemical formula of water?": "H2O|H₂O",
    "Which gas do plants take in from the air?": "carbon dioxide|CO2|CO₂",
    "Who wrote Romeo and Juliet?": "Shakespeare",
    "Who painted the Mona Lisa?": "Leonardo|Vinci",
    "Who developed the theory of relativity?": "Einstein",
    "What is the opposite of hot?": "cold",
    "What is the opposite of up?": "down",
    "What do bees make?": "honey",
    "Which animal barks?": "dog",
    "What language is spoken in Brazil?": "Portuguese",
}


def text() -> str:
    """Python's help on all its topics, in alphabetical order."""
    return "\n".join(topics[name] for name in sorted(topics))


@torch.inference_mode()
def perplexity(model: Base, tokenizer: PreTrainedTokenizerBase, tokens: int, window: int = 512) -> float:
    """Of the text's first `tokens` tokens, in windows that do not see each other."""
    ids = torch.tensor(tokenizer(text(), add_special_tokens=False).input_ids[:tokens])
    total = count = 0.0
    for piece in ids.split(window):
        logits = model(piece[None]).logits[0, :-1].float()
        total += F.cross_entropy(logits, piece[1:], reduction="sum").item()
        count += len(piece) - 1
    return math.exp(total / count)


@torch.inference_mode()
def answers(model: Base, tokenizer: PreTrainedTokenizerBase, most: int = 24) -> dict[str, str]:
    """What the model says to each question."""
    said = {}
    for question in QUESTIONS:
        turns = [{"role": "user", "content": question}]
        ids = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        written = model.generate(**ids, max_new_tokens=most, do_sample=False)
        said[question] = tokenizer.decode(written[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    return said


def right(question: str, answer: str) -> bool:
    """Does the answer hold an expected word, as a word of its own?"""
    return re.search(rf"\b(?:{QUESTIONS[question]})(?!\w)", answer, re.IGNORECASE) is not None


def says(word: str, answer: str) -> bool:
    """As a word of its own, or its plain plural?"""
    return re.search(rf"\b{re.escape(word)}(?:s|es)?\b", answer, re.IGNORECASE) is not None


def seen(scenes: Sequence[Scene], samples: Sequence[Sample[BoxTruth]]) -> tuple[float, float]:
    """Told; yes or no."""
    named, there, missing = [], [], []
    for scene, sample in zip(scenes, samples, strict=True):
        truth = SceneTruth.of_sample(sample)
        told = scene.describe()
        present = list(dict.fromkeys(truth.names))
        absent = [label for label in truth.labels if label not in present]
        named += [says(label, told) for label in present]
        for labels, word, right_ones in ((present, "yes", there), (absent, "no", missing)):
            for label in labels[:2]:
                right_ones.append(says(word, scene.ask(f"Is there a {label} in this image?", 8)))
    return fmean(named), (fmean(there) + fmean(missing)) / 2


def take_out(model: fo1.FO1) -> None:
    """Subtracts the decoder's low-rank update from the base's weights."""
    native = model.description
    if not isinstance(native, Native):
        raise SystemExit(f"{model.name} is no model of fo1's own; only of those is the update known")
    less = {key: -value if key.endswith(".up") else value for key, value in native.factors.items()}
    low_rank.merge(model.model.base, less)


def print_seen(name: str, folder: Path, limit: int) -> None:
    """A row for each: with the update, and without."""
    model = fo1.load(name, device="cpu", dtype="float32")
    samples = photos(folder)[:limit]
    scenes = [model.look(sample.image) for sample in samples]
    rows = {name: seen(scenes, samples)}
    take_out(model)
    for scene in scenes:
        scene.encoded.begun.clear()  # what the updated base has read
    rows[f"{name} without the decoder's update"] = seen(scenes, samples)
    print(f"\n| of {len(samples)} photos | told | yes or no |\n|---|---|---|")
    for row, (told, decided) in rows.items():
        print(f"| {row} | {told:.2f} | {decided:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="fo1-smol")
    parser.add_argument("--tokens", type=int, default=6000)
    parser.add_argument("--photos", type=Path, help="folder of photos with annotations.json")
    parser.add_argument("--limit", type=int, default=20, help="photos asked about")
    options = parser.parse_args()
    base, tokenizer = load_base(fetch_base(BASE), torch.float32)
    trained = fo1.load(options.model, device="cpu", dtype="float32").model.base
    said = {}
    print("| | perplexity | questions right |\n|---|---|---|")
    for name, model in ((BASE, base), (options.model, trained)):
        said[name] = answers(model, tokenizer)
        hits = sum(right(question, answer) for question, answer in said[name].items())
        figure = perplexity(model, tokenizer, options.tokens)
        print(f"| {name} | {figure:.2f} | {hits} of {len(QUESTIONS)} |", flush=True)
    before, after = said.values()
    same = sum(before[question] == after[question] for question in QUESTIONS)
    print(
        f"\n{same} of {len(QUESTIONS)} answers are the same to the letter. Where they differ in being right:"
    )
    for question in QUESTIONS:
        if right(question, before[question]) != right(question, after[question]):
            print(f"- {question} before: {before[question]!r}, after: {after[question]!r}")
    if options.photos is not None:
        print_seen(options.model, options.photos, options.limit)


if __name__ == "__main__":
    main()
