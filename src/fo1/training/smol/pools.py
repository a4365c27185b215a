"""Which names and pictures a scene shows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.random import Generator

from fo1.training.smol.assets import Cutout
from fo1.training.smol.names import category

STYLES = {"photo": 0.62, "render": 0.27, "drawing": 0.11}


class Pool:
    """Cut-outs to draw from: a style first, then a name that has it, so that photographs prevail."""

    def __init__(self, cutouts: list[Cutout]) -> None:
        self._of_name: dict[str, list[Cutout]] = defaultdict(list)
        by_style: dict[str, set[str]] = defaultdict(set)
        for cutout in cutouts:
            self._of_name[cutout.name].append(cutout)
            by_style[cutout.style].add(cutout.name)
        self._names = {style: sorted(names) for style, names in by_style.items()}
        self._styles = [s for s in STYLES if s in self._names]
        weights = np.array([STYLES[s] for s in self._styles])
        self._weights = weights / weights.sum()
        self._in_category: dict[str | None, list[str]] = defaultdict(list)
        for name in sorted(self._of_name):
            self._in_category[category(name)].append(name)

    def name(self, rng: Generator, among: str | None = None) -> str:
        """A name, of the category `among` if that is given and has any."""
        names = self._in_category.get(among) if among else None
        if not names:
            names = self._names[str(rng.choice(self._styles, p=self._weights))]
        return names[int(rng.integers(len(names)))]

    def cutout(self, rng: Generator, name: str) -> Cutout:
        """A picture of `name`, photographs preferred."""
        return self.copies(rng, name, 1)[0]

    def copies(self, rng: Generator, name: str, count: int) -> list[Cutout]:
        """`count` pictures of `name`: sometimes one picture again and again, else as they come."""
        cutouts = self._of_name[name]
        weights = np.array([STYLES[c.style] for c in cutouts])
        picks = rng.choice(len(cutouts), size=count, p=weights / weights.sum())
        if rng.random() < 0.3:
            picks = np.repeat(picks[:1], count)
        return [cutouts[int(i)] for i in picks]
