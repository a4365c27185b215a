"""`fo1 label` with the tiny model, as a program of its own, slow enough to be killed in the middle."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fo1 import FO1
from fo1.checkpoints.config import ModelConfig
from fo1.cli import common
from fo1.cli.main import app
from tiny import region_model


class Slow(FO1):
    def look_many(self, *given: Any, **named: Any) -> Any:
        time.sleep(0.2)
        return super().look_many(*given, **named)


if __name__ == "__main__":
    common.load_model = lambda settings: Slow(region_model(), ModelConfig("tiny"))
    app(sys.argv[1:])
