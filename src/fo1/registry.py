"""`Registry`: names of plug-ins of one kind, from this package or from installed ones."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from fo1.errors import RegistryError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Factories of `T` by name.

    group: the entry-point group in which installed packages announce theirs, such as "fo1.proposers".
        Announced factories are imported only when they are asked for by name.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self._factories: dict[str, Callable[..., T]] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """Decorator that gives a factory (a class or function making a `T`) its name."""

        def keep(factory: F) -> F:
            if self._factories.setdefault(name, factory) is not factory:
                raise RegistryError(
                    f"{self.group} {name!r} is taken by {self._factories[name]!r}; choose another name"
                )
            return factory

        return keep

    def get(self, name: str) -> Callable[..., T]:
        """The factory of this name. Raises `RegistryError` that lists the known names."""
        if name not in self._factories:
            self._factories[name] = self._load(name)
        return self._factories[name]

    def names(self) -> list[str]:
        """All known names, sorted; nothing is imported."""
        return sorted({*self._factories, *entry_points(group=self.group).names})

    def _load(self, name: str) -> Callable[..., T]:
        for entry in entry_points(group=self.group, name=name):
            try:
                factory: Callable[..., T] = entry.load()
            except (ImportError, AttributeError) as error:
                source = entry.dist.name if entry.dist else entry.value
                raise RegistryError(
                    f"{self.group} {name!r} of {source} cannot be loaded ({error}); reinstall it"
                ) from error
            return factory
        known = self.names()
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise RegistryError(f"unknown {self.group} {name!r}{hint} Known: {', '.join(known) or 'none'}")
