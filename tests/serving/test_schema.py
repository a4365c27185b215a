"""Schemathesis: requests made from the schema, valid and not, to a server on a socket."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# Not whether valid data is accepted: to the schema an image may be any string. Nor whether other data is
# refused: an empty list in a form is a field that is not sent.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)


@pytest.mark.slow
def test_no_request_that_the_schema_suggests_breaks_the_server(live: str, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        f"{live}/openapi.json",
        "--header=Authorization: Bearer secret",
        f"--checks={','.join(CHECKS)}",
        "--max-examples=40",
        "--seed=0",
        "--no-color",
    ]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=600)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    generated = re.search(r"(\d[\d,]*) generated", run.stdout)
    assert generated is not None and int(generated[1].replace(",", "")) > 1000
