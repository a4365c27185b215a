"""`task_of`: which task a question sets, recognised by its wording."""

from __future__ import annotations

import re

from fo1.data.wordings import WORDINGS

OTHER = "free question"


def task_of(question: str) -> str:
    """Name of the task in `WORDINGS` that is asked for in these words; `OTHER` for any other question."""
    text = " ".join(question.split())
    return next((task for task, pattern in _PATTERNS if pattern.fullmatch(text)), OTHER)


def _pattern(wording: str) -> re.Pattern[str]:
    return re.compile(".+".join(re.escape(part) for part in wording.split("{}")), re.IGNORECASE)


_PATTERNS = tuple((task, _pattern(wording)) for task, wordings in WORDINGS.items() for wording in wordings)
