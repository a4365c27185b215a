"""What each part of region tokens is worth, on a base so small that all of it trains on a CPU.

python benchmarks/ablations.py --out ablations.jsonl --seeds 0,1,2

The base is `fo1.training.tiny`'s: a random Qwen3-VL of two layers, and a DaViT as small. All variants see
the same painted scenes for the same number of steps. Every finished run is a line of the file; runs that are
in it already are not done again. At the end a table is printed, and written beside the file as JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from variants import VARIANTS, run

from fo1.training.painting import paint

FIGURES = ("F1", "precision", "recall", "refused")


def known_runs(path: Path) -> list[dict[str, Any]]:
    """Finished runs, one a line."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def summary(runs: Sequence[dict[str, Any]], steps: int, variants: Sequence[str]) -> list[dict[str, Any]]:
    """Mean and sample standard deviation over seeds, a row per variant that has runs of so many steps."""
    rows = []
    for variant in variants:
        own = [one for one in runs if one["variant"] == variant and one["steps"] == steps]
        if not own:
            continue
        row: dict[str, Any] = {"variant": variant, "seeds": len(own)}
        for name in FIGURES:
            values = [one[name] for one in own]
            row[name] = [mean(values), stdev(values) if len(values) > 1 else None]
        rows.append({**row, "cpu": mean(one["cpu"] for one in own)})
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [f"| variant | {' | '.join(FIGURES)} | seeds | CPU s |", "|---" * (len(FIGURES) + 3) + "|"]
    for row in rows:
        cells = [_cell(*row[name]) for name in FIGURES]
        lines.append(f"| {row['variant']} | {' | '.join(cells)} | {row['seeds']} | {row['cpu']:.0f} |")
    return "\n".join(lines)


def _cell(middle: float, spread: float | None) -> str:
    return f"{middle:.2f}" if spread is None else f"{middle:.2f} ± {spread:.2f}"


def run_missing(options: argparse.Namespace) -> None:
    """All runs that the file does not have."""
    done = {(one["variant"], one["seed"], one["steps"]) for one in known_runs(options.out)}
    chosen = [one for one in VARIANTS if not options.only or one.name in options.only]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = [paint(folder, number) for number in range(options.scenes)]
        held_out = [paint(folder, 10_000 + number) for number in range(options.held_out)]
        for seed in map(int, options.seeds.split(",")):
            for variant in chosen:
                key = {"variant": variant.name, "seed": seed, "steps": options.steps}
                if tuple(key.values()) in done:
                    continue
                with tempfile.TemporaryDirectory(dir=folder) as run_folder:
                    figures = run(variant, seed, options.steps, train, held_out, Path(run_folder))
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**key, **figures}) + "\n")
                print(f"{variant.name}, seed {seed}: F1 {figures['F1']:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("ablations.jsonl"), help="a line per finished run")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[one.name for one in VARIANTS])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, default=240, help="of both stages together")
    parser.add_argument("--scenes", type=int, default=256, help="to train on")
    parser.add_argument("--held-out", type=int, default=48, help="scenes to measure on")
    parser.add_argument("--table", action="store_true", help="run nothing, print what the file has")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    if not options.table:
        run_missing(options)
    rows = summary(known_runs(options.out), options.steps, [one.name for one in VARIANTS])
    options.out.with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
