"""What is written here? Words on signs, made on the spot: the reading task of `fo1-scenes`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fo1.evaluation.benchmark import Sample
from fo1.evaluation.benchmarks.coco_text import CocoText
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.region_truth import RegionTruth
from fo1.training.smol.signs import written_scene

SCENES = 40
SEED = 2  # as other scenes of the benchmark
WORDS = (
    *("OPEN", "exit", "SALE", "Cafe", "STOP", "menu", "Bank", "taxi", "Hotel", "milk", "WEST", "push"),
    *("Bakery", "north", "FREE", "ticket", "Park", "radio", "BUS", "honey", "Salon", "gate", "PIZZA"),
    *("coffee", "Room", "bread", "NEWS", "juice", "Garden", "soap", "EAST", "museum", "Shop", "fish"),
    *("TRAIN", "apple", "River", "tea", "DANGER", "market"),
)


@BENCHMARKS.register("fo1-scenes-text")
class SceneText(CocoText):
    """As COCO-Text is asked and scored; all words of a scene are shown at once."""

    name = "fo1-scenes-text"
    description = "the project's own: read words on signs"
    splits = ("composed",)
    layout = "nothing: the scenes are made on the spot"
    home = Path(".")

    def open(self, folder: Path, split: str) -> list[Sample[RegionTruth]]:
        """One sample a word."""
        samples = []
        for number in range(SCENES):
            scene = written_scene(WORDS, np.random.default_rng([SEED, number]))
            samples += [
                Sample(f"text-{number}-{region}", scene.image, RegionTruth(region, (word,)), scene.boxes)
                for region, word in enumerate(scene.words)
            ]
        return samples
