"""`python -m fo1.training.smol features|train`: the steps of `make train-smol`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch

from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.native import finish, load_untrained
from fo1.model import RegionModel
from fo1.training.smol.assets import Catalogue
from fo1.training.smol.compose import SceneComposer
from fo1.training.smol.features import encode_scene, encode_scenes
from fo1.training.smol.photos import labelled_photos, photo_labels
from fo1.training.smol.recipe import Recipe, train
from fo1.training.smol.records import save_records

PROPOSALS = 64


def make_features(
    bundle: Path, assets: Path, photos: Path | None, out: Path, scenes: int, first: int
) -> None:
    """Composed scenes and labelled photos, encoded once, to `out/train` and `out/photos`."""
    model = finish(load_untrained(bundle, ModelConfig.read(bundle), torch.bfloat16), torch.bfloat16)
    if photos is not None:
        encode_photos(model, photos, out / "photos")
    composer = SceneComposer(Catalogue.load(assets), seed=1, split="train")
    encode_scenes(model, composer.compose, scenes, out / "train", limit=PROPOSALS, first=first)


def encode_photos(model: RegionModel, photos: Path, out: Path) -> None:
    """The labelled photos and their mirror images, as one shard."""
    path = out / "000000.safetensors"
    if path.exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    labelled = labelled_photos(photos, photo_labels())
    save_records([encode_scene(model, photo, PROPOSALS, rng) for photo in labelled], path)


def main() -> None:
    """Parses the command line and runs one step."""
    parser = argparse.ArgumentParser(prog="python -m fo1.training.smol", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="folder of config and encoders' weights")
    parser.add_argument("--features", type=Path, required=True)
    steps = parser.add_subparsers(dest="step", required=True)
    features = steps.add_parser("features", help="compose scenes and encode them")
    features.add_argument("--assets", type=Path, required=True, help="folder of scripts/fetch_assets.py")
    features.add_argument("--photos", type=Path, help="folder of scripts/fetch_photos.py")
    features.add_argument("--scenes", type=int, default=8000)
    features.add_argument("--first", type=int, default=0, help="first scene, to share out the work")
    training = steps.add_parser("train", help="all stages; resumes")
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.step == "features":
        make_features(
            arguments.bundle,
            arguments.assets,
            arguments.photos,
            arguments.features,
            arguments.scenes,
            arguments.first,
        )
    else:
        train(Recipe(arguments.bundle, arguments.features, arguments.out, arguments.seed))


if __name__ == "__main__":
    main()
