"""What benchmarks on `fo1-scenes` are asked with, and its pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from fo1.evaluation.benchmark import Sample
from fo1.evaluation.benchmarks import BENCHMARKS
from fo1.evaluation.truth import BoxTruth


def parser(what: str | None, pictures: int | None = None) -> argparse.ArgumentParser:
    """Of the model, the split, its folder and how many pictures; what: the script's docstring."""
    plain = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(description=what, formatter_class=plain)
    made.add_argument("--model", default="fo1-smol")
    made.add_argument("--split", default="real")
    made.add_argument("--data", type=Path, default=Path("photos"))
    made.add_argument("--pictures", type=int, default=pictures)
    return made


def samples(arguments: argparse.Namespace) -> list[Sample[BoxTruth]]:
    """The pictures that were asked for."""
    return BENCHMARKS.get("fo1-scenes")().open(arguments.data, arguments.split)[: arguments.pictures]
