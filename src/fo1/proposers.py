"""`named_proposer`: a text such as "nanodet+owlv2:FOLDER" → what finds boxes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

import torch

from fo1.checkpoints.bundled import bundled
from fo1.checkpoints.native import bundled_proposer
from fo1.errors import RegistryError
from fo1.proposals import text
from fo1.proposals.cached import CachedProposals
from fo1.proposals.detectors import detector
from fo1.proposals.detectors.detector import Detector
from fo1.proposals.given import GivenBoxes
from fo1.proposals.known import PROPOSERS
from fo1.proposals.nanodet import NanoDetProposer
from fo1.proposals.proposer import Proposer, Selection
from fo1.proposals.remote import RemoteProposer
from fo1.proposals.text import TextProposer
from fo1.proposals.union import Union
from fo1.reading.reader import Reader

FORM = "NAME[:FOLDER, FILE OR HUB ID][?min_score=…&iou=…&top_k=…&words=a,b]"
NUMBERS: dict[str, Callable[[str], float]] = {"min_score": float, "iou": float, "top_k": int}


@dataclass(frozen=True)
class Spec:
    """One proposer as a user writes it: name:target?option=value&…"""

    name: str
    target: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, written: str) -> Spec:
        """Raises `RegistryError` for an unknown option."""
        where, _, query = written.partition("?")
        name, _, target = where.partition(":")
        options = parse_qsl(query, keep_blank_values=True)
        for key, _ in options:
            if key not in (*NUMBERS, "words"):
                raise RegistryError(f"{written!r}: unknown option {key!r}; a proposer is {FORM}")
        return cls(name.strip(), target, tuple(options))

    @property
    def words(self) -> tuple[str, ...]:
        """Names to look for."""
        listed = dict(self.options).get("words", "")
        return tuple(word.strip() for word in listed.split(",") if word.strip())

    @property
    def needed_target(self) -> str:
        """Raises `RegistryError` if there is none."""
        if not self.target:
            raise RegistryError(f"proposer {self.name!r} needs its file or model: {FORM}")
        return self.target

    def takes(self, *options: str, target: bool = True) -> None:
        """Raises `RegistryError` for a target or options that its proposer would not use."""
        if self.target and not target:
            raise RegistryError(f"proposer {self.name!r} has no model to choose; leave out ':{self.target}'")
        for key, _ in self.options:
            if key not in options:
                raise RegistryError(f"proposer {self.name!r} has no use for the option {key!r}; leave it out")

    def selection(self, default: Selection) -> Selection:
        """The default, changed as the options say. Raises `RegistryError` for what is no number."""
        try:
            changes: dict[str, Any] = {key: NUMBERS[key](v) for key, v in self.options if key in NUMBERS}
        except ValueError as error:
            raise RegistryError(f"proposer {self.name!r}: {error}; a proposer is {FORM}") from error
        if changes.get("top_k", 1) < 1:
            raise RegistryError(f"proposer {self.name!r}: top_k must be at least 1, got {changes['top_k']}")
        return replace(default, **changes)


def named_proposer(
    written: str,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    own: Proposer | None = None,
) -> Proposer:
    """The proposer that a text names, or the union of several joined by "+".

    "nanodet", "text", "cached:FILE", "detr:…", "rtdetr:…", "owlv2:…", "omdet:…", "groundingdino:…", "sam3:…"
    (a folder or hub id), an http or https address, or an installed plug-in, which take no options; see
    docs/proposers.md.
    device, dtype: of NanoDet and text; other detectors run in float32.
    own: the model's; if it is a NanoDet's, "nanodet" means it. Alone, its network then runs only once,
        for boxes and features; in a sum it runs again.
    Raises `RegistryError` for a text that names none, and what its model or file raises.
    """
    # Folders and addresses may hold a "+", so only one before a name divides.
    names = "|".join(re.escape(name) for name in PROPOSERS.names())
    parts = [part.strip() for part in re.split(rf"\+(?=\s*(?:(?:{names})(?=[:?+\s]|$)|https?://))", written)]
    mine = own if isinstance(own, NanoDetProposer) else None
    members = [(_name(part), _one(part, device, dtype, mine)) for part in parts]
    return members[0][1] if len(members) == 1 else Union(members)


def _name(part: str) -> str:
    return part if part.startswith(("http://", "https://")) else part.partition("?")[0]


def _one(part: str, device: torch.device, dtype: torch.dtype, own: NanoDetProposer | None) -> Proposer:
    if part.startswith(("http://", "https://")):
        return RemoteProposer(part)
    spec = Spec.parse(part)
    factory = PROPOSERS.get(spec.name)
    if factory is NanoDetProposer:
        spec.takes(*NUMBERS, target=False)
        found = _nanodet(device, dtype) if own is None else own
        return NanoDetProposer(found.encoder, spec.selection(found.selection), found.candidates)
    if factory is TextProposer:
        spec.takes(*NUMBERS, target=False)
        reader = Reader(next(iter(bundled().values())), dtype)
        return TextProposer(reader, device, spec.selection(text.DEFAULT_SELECTION))
    if factory is GivenBoxes:
        raise RegistryError("given boxes have no file of their own; use --boxes, or cached:FILE")
    if factory is CachedProposals:
        spec.takes(*NUMBERS)
        return CachedProposals(spec.needed_target, spec.selection(Selection()))
    if _is_detector(factory):
        selection = spec.selection(detector.DEFAULT_SELECTION)
        return factory.load(spec.needed_target, spec.words, selection, device)
    spec.takes()
    return factory(spec.target) if spec.target else factory()


def _is_detector(factory: object) -> TypeGuard[type[Detector]]:
    return isinstance(factory, type) and issubclass(factory, Detector)


def _nanodet(device: torch.device, dtype: torch.dtype) -> NanoDetProposer:
    found = bundled_proposer()
    found.encoder.to(device, dtype)
    return found
