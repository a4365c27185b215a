"""`python -m fo1.training.attached RECIPE --out DIR`: one stage; run it again and it goes on."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from fo1.errors import Fo1Error
from fo1.training.attached.recipe import read_recipe


def main() -> None:
    """Exits with 0 when the stage is done, 130 when it was interrupted and saved, 1 for what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m fo1.training.attached", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="for checkpoints and the trained model")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        done = read_recipe(arguments.recipe).run(arguments.out)
    except Fo1Error as error:
        sys.exit(f"error: {error}")
    sys.exit(0 if done else 130)


if __name__ == "__main__":
    main()
