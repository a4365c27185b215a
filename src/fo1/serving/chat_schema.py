"""The part of OpenAI's chat API that is understood, and its one extension: `bbox_list`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from fo1.serving.questions import Box

Boxes = Annotated[
    list[Box] | None,
    Field(
        description="Regions of the image, x1 y1 x2 y2 in its pixels; box N is <regionN>. By default "
        "the proposer's; [] for none."
    ),
]


class Open(BaseModel):
    """A document of OpenAI's, whose other fields are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Link(Open):
    """A data URL; a web address if the server fetches them."""

    url: str = Field(examples=["data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="])


class ImagePart(Open):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: Link


class TextPart(Open):
    """Words in a message; `<regionN>` means region N."""

    type: Literal["text"]
    text: str


Part = Annotated[ImagePart | TextPart, Field(discriminator="type")]


class ChatMessage(Open):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]
    bbox_list: Boxes = None


class StreamOptions(Open):
    """include_usage: a last chunk says what the answer took."""

    include_usage: bool = False


class Chat(Open):
    """A conversation to go on with. Decoding is greedy: temperature, top_p and seed change nothing."""

    model: str | None = Field(None, description="By default the one that is served.")
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    repetition_penalty: float = Field(1.0, gt=0, le=10)
    n: Literal[1] = 1
    stop: None = Field(None, description="Not supported.")
    tools: None = Field(None, description="Not supported.")
    stream: bool = False
    stream_options: StreamOptions | None = None
    bbox_list: Boxes = None


class Usage(BaseModel):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Reply(BaseModel):
    """What the model says."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The one answer. finish_reason: "length" if it was cut."""

    index: int = 0
    message: Reply
    finish_reason: Literal["stop", "length"]


class Grounded(BaseModel):
    """A phrase of the answer, and the boxes of its regions."""

    phrase: str
    regions: list[int]
    boxes: list[list[float]]


class Pointing(BaseModel):
    """Ours: where `<regionN>` is, and what the answer points at. Pixels of each region's own image."""

    regions: list[list[float]]
    groundings: list[Grounded]
    seconds: dict[str, float]


class Completion(BaseModel):
    """An answer, as OpenAI's API gives it."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    fo1: Pointing


class Model(BaseModel):
    """What is served."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "fo1"


class Models(BaseModel):
    """The one model."""

    object: Literal["list"] = "list"
    data: list[Model]
