"""What was found, for programs: a part of `--json` and of a server's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fo1.findings import Findings
    from fo1.outlined import Outlined
    from fo1.reading.writing import Writing


def transcribed(found: Writing) -> dict[str, Any]:
    """What is written, as plain records; region is -1 for a line that was found."""
    lines = [{"text": row.pop("label"), **row} for row in found.to_dicts()]
    return {"text": found.text, "lines": lines}


def described(found: Findings, outlined: Outlined | None = None) -> dict[str, Any]:
    """What was found, as plain records; boxes are x1 y1 x2 y2 in original pixels.

    outlined: the same with masks, which are then part of it.
    """
    return {
        "detections": (outlined or found).to_dicts(),
        "absent": list(found.absent),
        "text": found.answer.text,
        "unknown_regions": list(found.answer.unknown_regions),
    }
