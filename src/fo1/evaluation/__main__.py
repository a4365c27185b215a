"""`python -m fo1.evaluation`: the figures of the README. Run by `make eval-smol`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from fo1.evaluation.cases import Case, photo_cases, scene_cases
from fo1.evaluation.measure import measure
from fo1.loading import load
from fo1.training import names
from fo1.training.assets import Catalogue
from fo1.training.compose import SceneComposer, Split

SEED = 2  # training scenes are composed with seed 1


def composed(assets: Path, split: Split, count: int) -> Iterator[Case]:
    """New scenes of names seen in training ("train"), or of names held out ("held_out")."""
    catalogue = Catalogue.load(assets)
    composer = SceneComposer(catalogue, seed=SEED, split=split)
    wanted = split == "held_out"
    vocabulary = sorted({c.name for c in catalogue.cutouts if names.held_out(c.name) == wanted})
    return scene_cases((composer.compose(i) for i in range(count)), vocabulary, absent=4, seed=SEED)


def line(title: str, results: Mapping[str, float]) -> str:
    """One JSON object; a figure that nothing stands behind is null."""
    figures = {key: None if math.isnan(value) else round(value, 3) for key, value in results.items()}
    return json.dumps({"set": title, **figures})


def main() -> None:
    """Measures and prints one JSON object per set."""
    parser = argparse.ArgumentParser(prog="python -m fo1.evaluation", description=__doc__)
    parser.add_argument("--model", default="fo1-smol")
    parser.add_argument("--photos", type=Path, default=Path("photos"))
    parser.add_argument("--assets", type=Path, help="folder of scripts/fetch_assets.py, for composed scenes")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--threshold", type=float)
    arguments = parser.parse_args()
    model = load(arguments.model)
    sets = {"photos": photo_cases(arguments.photos)}
    if arguments.assets:
        sets["composed, known names"] = composed(arguments.assets, "train", arguments.scenes)
        sets["composed, held-out names"] = composed(arguments.assets, "held_out", arguments.scenes)
    for title, cases in sets.items():
        results = measure(model, cases, threshold=arguments.threshold).results()
        sys.stdout.write(line(title, results) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
