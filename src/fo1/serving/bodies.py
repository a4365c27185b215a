"""`read_body`: JSON or a multipart form → a checked question, and the image's file if one was uploaded."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from fo1.serving.problems import Problem, malformed

Document = TypeVar("Document", bound=BaseModel)

FIELDS = 16
AS_JSON = ("boxes", "labels", "classes", "among")
"""Form fields that may hold a JSON list."""


async def read_json(request: Request, kind: type[Document]) -> Document:
    """Raises `Problem` for anything else."""
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if given not in ("application/json", ""):
        raise Problem(415, f"content type {given[:60]!r} is not read here; send application/json")
    try:
        return kind.model_validate_json(await request.body(), strict=True)
    except ValidationError as error:
        raise malformed(error) from None


async def read_form(request: Request, kind: type[Document], limit: int) -> tuple[Document, bytes, str]:
    """A question, the bytes of its image and the file's name. limit: bytes of a field that is no file.

    Raises `Problem`.
    """
    try:
        async with request.form(max_files=1, max_fields=FIELDS, max_part_size=limit) as form:
            image = form.get("image")
            if not isinstance(image, UploadFile):
                raise Problem(
                    422, 'the form holds no file called "image"; with a data URL, send JSON', "no_image"
                )
            data = await image.read()
            name = image.filename or "upload"
            fields = {key: _value(key, form.getlist(key)) for key in form if key != "image"}
    except (MultiPartException, ValueError, UnicodeError) as error:
        raise Problem(400, f"the form cannot be read: {str(error)[:200]}", "malformed") from None
    try:
        return kind.model_validate({**fields, "image": "data:"}), data, name[:200]
    except ValidationError as error:
        raise malformed(error) from None


def is_form(request: Request) -> bool:
    """Is it an upload?"""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _value(key: str, values: list[Any]) -> Any:
    """A field that comes several times is a list; so is one that holds a JSON list."""
    if len(values) > 1:
        return values
    (text,) = values
    if key in AS_JSON and isinstance(text, str) and text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Problem(422, f"{key}: this is no JSON list ({str(error)[:100]})", "malformed") from None
    return text
