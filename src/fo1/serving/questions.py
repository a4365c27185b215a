"""What may be asked over HTTP: a schema for each verb, which turns itself into a request of the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from fo1.errors import Fo1Error, PromptError
from fo1.labeling.verdicts import Limits as Verdicts
from fo1.labeling.verdicts import Verdict
from fo1.prompts.tasks import TASKS, clean_labels
from fo1.prompts.vocabulary import region_name
from fo1.reading.writing import Writing
from fo1.records import described, transcribed
from fo1.serving.engine import About, Ground, Judge, Look, Name, Picture, ReadAll, Request, Said, Talk
from fo1.serving.limits import Limits

Pixel = Annotated[float, Field(ge=-1e6, le=1e6)]
Box = Annotated[list[Pixel], Field(min_length=4, max_length=4, examples=[[26, 101, 174, 415]])]
Labels = Annotated[
    str | list[str],
    Field(
        description='Names, as a list or separated by commas: "orange, apple".', examples=["chicken, duck"]
    ),
]
Threshold = Annotated[
    float | None, Field(ge=0, le=1, description="Least score to report; by default the model's own.")
]
Region = Annotated[int, Field(ge=0, description="Number of a region, as detections and scenes give it.")]
NewTokens = Annotated[int, Field(ge=1, description="Most tokens of the answer.")]


class Strict(BaseModel):
    """A document in which a misspelt field is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Question(Strict, ABC):
    """What is asked about an image, be it sent along or encoded before."""

    @abstractmethod
    def request(self, about: About, limits: Limits) -> Request:
        """Raises `Problem` and `Fo1Error` for what cannot be asked."""

    @abstractmethod
    def document(self, value: Any) -> dict[str, Any]:
        """The engine's answer as JSON."""


class Detect(Question):
    """Find all things of the given names."""

    labels: Labels
    threshold: Threshold = None

    def request(self, about: About, limits: Limits) -> Request:
        return Ground(about, "detect", _labels(self.labels, limits), self.threshold)

    def document(self, value: Any) -> dict[str, Any]:
        return described(value)


class Find(Question):
    """Find the one thing that a phrase describes."""

    phrase: str = Field(examples=["the left chicken"])
    threshold: Threshold = None

    def request(self, about: About, limits: Limits) -> Request:
        return Ground(about, "find", _labels([self.phrase], limits), self.threshold)

    def document(self, value: Any) -> dict[str, Any]:
        return described(value)


class Count(Question):
    """Count the things of one name, and say where they are."""

    label: str = Field(examples=["chicken"])
    threshold: Threshold = None

    def request(self, about: About, limits: Limits) -> Request:
        return Ground(about, "count", _labels([self.label], limits), self.threshold)

    def document(self, value: Any) -> dict[str, Any]:
        return {"count": len(value), **described(value)}


class Told(Question):
    """Anything that is answered in words."""

    max_tokens: NewTokens = 48

    def talk(self, about: About, text: str, limits: Limits, region: int | None = None) -> Talk:
        """Raises `Problem` for what is too long."""
        limits.check_tokens(self.max_tokens)
        limits.check_texts([text])
        return Talk.question(about, text, self.max_tokens, region)

    def document(self, value: Said) -> dict[str, Any]:
        return {"text": value.text}


class Describe(Told):
    """Say in a few words what is in the image, or in one of its regions."""

    region: Region | None = None

    def request(self, about: About, limits: Limits) -> Request:
        if self.region is None:
            return self.talk(about, "What is in this image?", limits)
        return self.talk(about, TASKS["describe"].fill(region_name(self.region)), limits, self.region)


class Read(Told):
    """Say what is written in a region, or everywhere."""

    region: Region | None = Field(0, description="null for every line of text, if the model has a reader.")

    def request(self, about: About, limits: Limits) -> Request:
        if self.region is None:
            return ReadAll(about)
        return self.talk(about, TASKS["read"].fill(region_name(self.region)), limits, self.region)

    def document(self, value: Said | Writing) -> dict[str, Any]:
        return transcribed(value) if isinstance(value, Writing) else {"text": value.text}


class Ask(Told):
    """Ask a question in your own words; `<region3>` in it means region 3."""

    question: str = Field(examples=["What is in this image?"])

    def request(self, about: About, limits: Limits) -> Request:
        if not self.question.strip():
            raise PromptError("the question is empty")
        return self.talk(about, self.question, limits)


class Naming(Question):
    """Say what a region may be called, with chances."""

    region: Region
    among: Labels | None = Field(None, description="Names to choose from; by default those the model knows.")

    def request(self, about: About, limits: Limits) -> Request:
        return Name(about, self.region, None if self.among is None else _labels(self.among, limits))

    def document(self, value: Any) -> dict[str, Any]:
        return {"names": [{"name": name, "chance": round(chance, 4)} for name, chance in value]}


class Looking(Question):
    """Encode the image, to ask about it afterwards."""

    def request(self, about: About, limits: Limits) -> Request:
        return Look(about)

    def document(self, value: Any) -> dict[str, Any]:
        regions = zip(value.regions.xyxy.tolist(), value.regions.scores.tolist(), strict=True)
        rows = [
            {"region": number, "box": [round(v, 2) for v in box], "score": round(score, 4)}
            for number, (box, score) in enumerate(regions)
        ]
        return {"regions": rows}


class Judging(Question):
    """Is each of the given boxes what its label says? For filtering what another detector found."""

    labels: list[str] = Field(description="One name for each box.", examples=[["chicken"]])
    classes: list[str] = Field(
        [], description="What a box may be instead; by default the names among labels."
    )
    accept: float = Field(Verdicts.accept, ge=0, le=1, description="Least confidence of a label that stays.")
    relabel: float = Field(
        Verdicts.relabel, ge=0, le=1, description="Chance from which a rejected box is the other class."
    )
    score: float = Field(Verdicts.score, ge=0, le=1, description="Least score of a box that stays.")

    def request(self, about: About, limits: Limits) -> Request:
        if not isinstance(about, Picture) or about.regions is None:
            raise Fo1Error("there is nothing to judge; give boxes, and as many labels")
        limits.check_boxes(self.labels)
        limits.check_labels(list(dict.fromkeys([*self.labels, *self.classes])))
        if len(self.labels) != len(about.regions):
            raise Fo1Error(f"{len(self.labels)} labels for {len(about.regions)} boxes; give one for each")
        classes = tuple(dict.fromkeys([*clean_labels(self.classes or ["-"]), *self.labels]))
        kept = classes if self.classes else classes[1:]
        return Judge(about, tuple(self.labels), kept, Verdicts(self.accept, self.relabel, self.score))

    def document(self, value: list[Verdict]) -> dict[str, Any]:
        return {"verdicts": [one.to_dict() for one in value]}


class Pictured(Strict):
    """An image that is sent along."""

    image: str = Field(
        description="A data URL (data:image/jpeg;base64,…), or a web address if the server fetches them.",
        examples=[
            "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=",
        ],
    )
    boxes: list[Box] | None = Field(
        None, description="Regions to use instead of the proposer's: x1 y1 x2 y2 in pixels of the image."
    )
    top_k: int | None = Field(None, ge=1, description="Keep only the best so many regions.")
    tiles: Literal["auto"] | None = Field(
        None, description="For small things in large images: also look at overlapping tiles."
    )


def _labels(labels: str | Sequence[str], limits: Limits) -> tuple[str, ...]:
    limits.check_texts([labels] if isinstance(labels, str) else labels)
    cleaned = tuple(clean_labels(labels))
    limits.check_labels(cleaned)
    return cleaned


def _with_image(kind: type[Question]) -> type[Pictured]:
    bases: Any = (Pictured, kind)
    made: type[Pictured] = create_model(f"{kind.__name__}Image", __base__=bases, __doc__=kind.__doc__)
    return made


ON_SCENES: dict[str, type[Question]] = {
    "detect": Detect,
    "find": Find,
    "count": Count,
    "describe": Describe,
    "read": Read,
    "ask": Ask,
    "name": Naming,
}
"""Verbs that may be asked of a scene, and with an image."""

VERBS: dict[str, type[Question]] = {**ON_SCENES, "judge": Judging}

_KINDS: list[type[Question]] = [*VERBS.values(), Looking]
WITH_IMAGE = {kind: _with_image(kind) for kind in _KINDS}
"""Each question, as asked of an image that is sent along."""
