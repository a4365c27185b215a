"""What answers look like: schemas for readers of the API."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Detection(BaseModel):
    """One thing that was found. box: x1 y1 x2 y2 in pixels of the image, turned upright."""

    label: str
    box: list[float] = Field(examples=[[26.0, 101.0, 174.0, 415.0]])
    score: float
    region: int


class Answer(BaseModel):
    """What all answers hold. size: width and height. seconds: by stage."""

    image: str
    size: list[int] = Field(examples=[[800, 534]])
    model: str
    seconds: dict[str, float]


class Findings(Answer):
    """absent: labels of which nothing was found. text: the answer as the model writes it."""

    detections: list[Detection]
    absent: list[str]
    text: str
    unknown_regions: list[int]


class Counted(Findings):
    """How many there are."""

    count: int


class Text(Answer):
    """Words."""

    text: str


class Line(BaseModel):
    """One line of text. region: -1, for it was found."""

    text: str
    box: list[float]
    score: float
    region: int


class Written(Text):
    """Words. lines: every line, if all were asked for."""

    lines: list[Line] | None = None


class NamedAs(BaseModel):
    """A name and its chance among all that were considered."""

    name: str
    chance: float


class Names(Answer):
    """Best first."""

    names: list[NamedAs]


class Region(BaseModel):
    """What can be pointed at. region: its number."""

    region: int
    box: list[float]
    score: float


class Posted(Answer):
    """A scene that may be asked from now on. expires_in: seconds without a question."""

    id: str
    regions: list[Region]
    expires_in: float


class Judged(BaseModel):
    """What becomes of a box. final: what it is called now, null if it should go. See `fo1 judge`."""

    label: str
    decision: str = Field(examples=["accept", "relabel", "reject"])
    final: str | None
    confidence: float
    score: float
    other: str | None
    chance: float
    names: list[NamedAs]


class Verdicts(Answer):
    """One for each box, in order."""

    verdicts: list[Judged]


class Failure(BaseModel):
    """Why there is no answer."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Failed(BaseModel):
    """As OpenAI's API says it."""

    error: Failure


BY_VERB: dict[str, type[Answer]] = {
    "detect": Findings,
    "find": Findings,
    "count": Counted,
    "describe": Text,
    "read": Written,
    "ask": Text,
    "name": Names,
    "judge": Verdicts,
}
