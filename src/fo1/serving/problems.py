"""`Problem`: why a request gets no answer, as a status and a document that OpenAI's clients understand."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse

KINDS = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    504: "timeout_error",
}


class Problem(Exception):
    """A refusal. status: of HTTP. message: names the thing and the remedy. code: for programs."""

    def __init__(
        self, status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}

    def response(self) -> JSONResponse:
        kind = KINDS.get(self.status, "invalid_request_error")
        error = {"message": self.message, "type": kind, "param": None, "code": self.code}
        return JSONResponse({"error": error}, self.status, self.headers)


def busy(why: str, seconds: int = 1) -> Problem:
    """Come again later. seconds: when."""
    message = f"{why}; try again in {seconds} s"
    return Problem(429, message, "over_capacity", {"Retry-After": str(seconds)})


def malformed(error: ValidationError) -> Problem:
    """What is wrong with a request, without repeating what may be megabytes of it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [_line(one) for one in found[:5]]
    more = [f"and {len(found) - 5} more"] if len(found) > 5 else []
    return Problem(422, "; ".join(lines + more), "malformed")


def _line(one: Any) -> str:
    where = ".".join(str(part)[:60] for part in one["loc"])
    return f"{where}: {one['msg']}" if where else str(one["msg"])
