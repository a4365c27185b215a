"""`SettingError`: what the settings of the data pipeline raise."""

from __future__ import annotations

from fo1.errors import Fo1Error


class SettingError(Fo1Error):
    """Settings of proposals, negatives, mixture or packing that make no sense together."""


def check_share(name: str, value: float) -> None:
    """Raises `SettingError` unless it is between 0 and 1."""
    if not 0 <= value <= 1:
        raise SettingError(f"{name} must be between 0 and 1, got {value}")
