"""Composed scenes as samples: names known from training, or held out of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from fo1.evaluation.benchmark import Sample
from fo1.evaluation.benchmarks.scene_truth import SceneTruth
from fo1.evaluation.truth import BoxTruth
from fo1.training.smol import names as words
from fo1.training.smol.assets import Catalogue
from fo1.training.smol.compose import SceneComposer, Split
from fo1.training.smol.features import NamedScene
from fo1.types import FloatArray

SCENES = 100
ABSENT = 4  # labels a scene is asked for that are not in it, at most
CONFUSABLE = 3  # more of them, of the kind of something that is in it
SEED = 2  # training scenes are composed with seed 1

# Of the benchmark → of the composer.
SPLITS: dict[str, Split] = {"composed": "train", "heldout-things": "val", "heldout-names": "held_out"}


def composed(assets: Path, split: str) -> list[Sample[BoxTruth]]:
    """New scenes of a split, one of `SPLITS`.

    assets: the folder of `scripts/fetch_assets.py`. Raises `AssetError` if it lacks what scenes are made of.
    """
    kind = SPLITS[split]
    catalogue = Catalogue.load(assets)
    composer = SceneComposer(catalogue, seed=SEED, split=kind)
    wanted = kind == "held_out"
    vocabulary = sorted({c.name for c in catalogue.cutouts if words.held_out(c.name) == wanted})
    return samples_of((composer.compose(i) for i in range(SCENES)), vocabulary, split)


def samples_of(
    scenes: Iterable[NamedScene], vocabulary: Sequence[str], name: str, seed: int = SEED
) -> list[Sample[BoxTruth]]:
    """Present are the names whose boxes are complete; up to `ABSENT` others are drawn from the vocabulary.

    Confusable are names of the category of something present, such as another fruit, at most `CONFUSABLE`.
    """
    rng, phrases, kin = (np.random.default_rng(key) for key in (seed, [seed, 1], [seed, 2]))
    samples: list[Sample[BoxTruth]] = []
    for scene in scenes:
        known = [*scene.names, *scene.present]
        present = {
            label: _boxes_of(label, scene)
            for label in dict.fromkeys(scene.names)
            if not any(_fits(label, other) or _fits(other, label) for other in scene.present)
        }
        numbers = rng.choice(len(vocabulary), min(3 * ABSENT, len(vocabulary)), replace=False)
        drawn = [vocabulary[i] for i in numbers]
        missing = [word for word in drawn if _absent(word, known)]
        alike = sorted({one for name in scene.names for one in words.siblings(name)} & set(vocabulary))
        confusable = [one for one in kin.permutation(alike).tolist() if _absent(one, known)][:CONFUSABLE]
        truth = SceneTruth.made(present, missing[:ABSENT], scene.image.size, phrases, confusable)
        samples.append(Sample(f"{name}-{len(samples)}", scene.image, truth, size=scene.image.size))
    return samples


def _boxes_of(label: str, scene: NamedScene) -> FloatArray:
    """Boxes of all that the label fits, things of that very name first."""
    pairs = zip(scene.names, scene.boxes, strict=True)
    ordered = sorted(pairs, key=lambda pair: pair[0] != label)
    return np.stack([box for name, box in ordered if _fits(label, name)])


def _absent(label: str, known: Iterable[str]) -> bool:
    """Is the label true of nothing that is known to be there?"""
    return not any(words.conflicts(label, other) for other in known)


def _fits(label: str, name: str) -> bool:
    """May a thing of this name be called by the label?"""
    return label in (name, *words.synonyms(name), *words.hypernyms(name))
