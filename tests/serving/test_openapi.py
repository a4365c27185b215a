"""The schema says what is served, and its own examples are answered."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_reference_is_defined_and_every_example_answered(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known
    asked = 0
    for path, operations in document["paths"].items():
        body = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
        if body and "{id}" not in path and "chat" not in path:
            example = body["example"]
            example |= {"boxes": [[0, 0, 1, 1]]} if path == "/v1/judge" else {}
            example |= {"region": 0} if path == "/v1/name" else {}
            answer = client.post(path, json=example)
            assert answer.status_code == 200 or path == "/v1/name", (path, answer.text)
            asked += 1
    assert asked == 10
