"""`facts`: what of a model decides its answers, for the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fo1.fingerprint import fingerprint
from fo1.reporting import DUPLICATE_COVER, DUPLICATE_IOU

if TYPE_CHECKING:
    from fo1.pipeline import FO1


def facts(model: FO1, proposals: str | None) -> dict[str, Any]:
    """Settings of a run that only a loaded model knows. proposals: the proposer's key; None: its own."""
    return {
        "weights": fingerprint(model.model),
        "proposals": proposals,
        "threshold": model.settings.threshold,
        "temperature": model.settings.temperature,
        "duplicates": [DUPLICATE_IOU, DUPLICATE_COVER],
    }
