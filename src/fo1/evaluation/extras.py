"""Packages of the extra `eval`, imported only by who needs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fo1.errors import Fo1Error


def extra(module: str) -> Any:
    """A module of an optional package. Raises `Fo1Error` that says how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0].replace("_", "-")
        raise Fo1Error(f"this needs the package {package} ({error}); run: pip install 'fo1[eval]'") from error
