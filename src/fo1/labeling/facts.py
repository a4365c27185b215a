"""`facts`: what of a model decides its answers, for the ledger."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from fo1.duplicates import Duplicates
from fo1.fingerprint import fingerprint

if TYPE_CHECKING:
    from fo1.pipeline import FO1


def facts(model: FO1, proposals: str | None) -> dict[str, Any]:
    """Settings of a run that only a loaded model knows. proposals: the proposer's key; None: its own."""
    return {
        "weights": fingerprint(model.model),
        "proposals": proposals,
        "threshold": model.settings.threshold,
        "temperature": model.settings.temperature,
        "duplicates": list(astuple(Duplicates())),
    }
