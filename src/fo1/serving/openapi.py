"""The schemas of bodies that handlers read themselves, put into the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

PLACE = "#/components/schemas/{model}"
UPLOAD = {"type": "string", "format": "binary", "description": "The image's file."}


def accepts(kind: type[BaseModel], form: bool = False) -> dict[str, Any]:
    """What an operation's body looks like. form: the image may be uploaded too; boxes are JSON then."""
    content: dict[str, Any] = {
        "application/json": {
            "schema": {"$ref": PLACE.format(model=kind.__name__)},
            "example": _example(kind),
        }
    }
    if form:
        schema = kind.model_json_schema()
        schema["properties"]["image"] = UPLOAD
        encoding = {"boxes": {"contentType": "application/json"}}
        content["multipart/form-data"] = {"schema": schema, "encoding": encoding}
    return {"requestBody": {"required": True, "content": content}}


def with_schemas(app: FastAPI, kinds: Sequence[type[BaseModel]]) -> None:
    """Lets the application's document define the bodies that `accepts` refers to."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        _, definitions = models_json_schema([(kind, "validation") for kind in kinds], ref_template=PLACE)
        document["components"]["schemas"] |= definitions["$defs"]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _example(kind: type[BaseModel]) -> dict[str, Any]:
    """The required fields, as their own examples have it."""
    fields = kind.model_fields.items()
    return {name: one.examples[0] for name, one in fields if one.examples and one.is_required()}
