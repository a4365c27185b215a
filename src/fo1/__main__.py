"""`python -m fo1`, which is how launchers such as torchrun start the command line."""

from __future__ import annotations

from fo1.cli.main import app

if __name__ == "__main__":
    app()
