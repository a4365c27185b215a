"""What Ray's workers do in tests: they import it by this name."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fo1 import FO1
from fo1.checkpoints.config import ModelConfig
from fo1.errors import CheckpointError
from fo1.labeling.ledger import Row
from fo1.labeling.pipeline import Ask, Picture
from fo1.labeling.votes import voter
from fo1.proposals.proposer import Proposer
from tiny import BOXES, StubProposer, region_model


def load() -> FO1:
    return FO1(region_model(), ModelConfig("tiny"))


def load_nothing() -> FO1:
    raise CheckpointError("no model here")


def load_finder() -> Proposer:
    return StubProposer(BOXES[::2])


def ask(model: FO1, seen: Path | None = None) -> Ask:
    """seen: a folder that gets a file named like the process; answers take longer then."""
    vote = voter(model, ["cat", "red dog"])
    return vote if seen is None else partial(slow, vote, seen)


def slow(vote: Ask, seen: Path, pictures: Sequence[Picture]) -> list[Row]:
    (seen / str(os.getpid())).touch()
    time.sleep(0.4)
    return vote(pictures)
