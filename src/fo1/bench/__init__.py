"""How long a model takes and how much memory, and what its shortcuts are worth, side by side in one run."""
