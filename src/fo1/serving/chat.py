"""`Chats`: OpenAI's chat API, answered by an engine."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

from fo1.errors import Fo1Error, PromptError
from fo1.pipeline import given_regions
from fo1.prompts.conversation import Role
from fo1.prompts.parsing import parse_answer
from fo1.serving import chat_schema as openai
from fo1.serving.engine import Done, Engine, Picture, Said, Talk, Turn
from fo1.serving.limits import Limits, Share
from fo1.serving.metrics import Metrics
from fo1.serving.pictures import Pictures
from fo1.serving.problems import Problem

NEW_TOKENS = 256


class Chats:
    """Goes on with conversations."""

    def __init__(self, engine: Engine, pictures: Pictures, limits: Limits, metrics: Metrics) -> None:
        self._engine, self._pictures, self._limits, self._metrics = engine, pictures, limits, metrics

    def models(self) -> openai.Models:
        return openai.Models(data=[openai.Model(id=self._engine.name)])

    def check_model(self, name: str) -> None:
        """Raises `Problem` (404) for a model that is not served."""
        if name != self._engine.name:
            message = f"no model {name[:60]!r}; this server has {self._engine.name!r}"
            raise Problem(404, message, "model_not_found")

    async def talk(self, chat: openai.Chat, share: Share) -> Talk:
        """The conversation with its images decoded. Raises `Problem` and `Fo1Error`."""
        if chat.model is not None:
            self.check_model(chat.model)
        new_tokens = chat.max_completion_tokens or chat.max_tokens or min(NEW_TOKENS, self._limits.new_tokens)
        self._limits.check_tokens(new_tokens)
        parts = [part for message in chat.messages for part in _parts(message)]
        self._limits.check_texts([part.text for part in parts if isinstance(part, openai.TextPart)])
        count = sum(isinstance(part, openai.ImagePart) for part in parts)
        self._limits.check_images(count)
        if chat.bbox_list is not None and count != 1:
            raise PromptError(f"bbox_list beside {count} images; put it into the message of its image")
        turns = [await self._turn(message, chat.bbox_list, share) for message in chat.messages]
        return Talk(tuple(turns), new_tokens, chat.repetition_penalty)

    async def complete(self, talk: Talk) -> openai.Completion:
        """The whole answer."""
        done = await self._engine.submit(talk)
        said: Said = done.value
        self._metrics.tokens(said.prompt_tokens, said.new_tokens)
        return openai.Completion(
            id=_id(),
            created=int(time.time()),
            model=self._engine.name,
            choices=[openai.Choice(message=openai.Reply(content=said.text), finish_reason=_reason(said))],
            usage=_usage(said),
            fo1=_pointing(done, said.text),
        )

    async def chunks(self, talk: Talk, with_usage: bool) -> AsyncIterator[str]:
        """The answer as server-sent events, piece by piece."""
        head = {
            "id": _id(),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": self._engine.name,
        }

        def event(delta: dict[str, str], reason: str | None = None, **more: Any) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return _event({**head, "choices": [choice], **more})

        first = event({"role": "assistant", "content": ""})
        try:
            async for piece in self._engine.stream(talk):
                if first:
                    yield first
                    first = ""
                if isinstance(piece, str):
                    yield event({"content": piece})
                    continue
                said: Said = piece.value
                self._metrics.tokens(said.prompt_tokens, said.new_tokens)
                yield event({}, _reason(said), fo1=_pointing(piece, said.text).model_dump())
                if with_usage:
                    yield _event({**head, "choices": [], "usage": _usage(said).model_dump()})
        except (Fo1Error, Problem) as error:
            # The status was sent already; OpenAI's clients raise what an event calls an error.
            yield _event({"error": {"message": str(error), "type": "invalid_request_error"}})
        yield "data: [DONE]\n\n"

    async def _turn(self, message: openai.ChatMessage, boxes: list[list[float]] | None, share: Share) -> Turn:
        parts, given = _parts(message), boxes if message.bbox_list is None else message.bbox_list
        count = sum(isinstance(part, openai.ImagePart) for part in parts)
        if message.bbox_list is not None and count != 1:
            raise PromptError(f"bbox_list in a message of {count} images; it belongs to one")
        shown: list[str | Picture] = []
        for part in parts:
            if isinstance(part, openai.TextPart):
                shown.append(part.text)
                continue
            image = await self._pictures.read(part.image_url.url, share)
            if given is not None:
                self._limits.check_boxes(given)
            shown.append(Picture(image, None if given is None else given_regions(given, image.size)))
        role: Role = "system" if message.role == "developer" else message.role
        return Turn(role, tuple(shown))


def _parts(message: openai.ChatMessage) -> list[openai.ImagePart | openai.TextPart]:
    if isinstance(message.content, str):
        return [openai.TextPart(type="text", text=message.content)]
    return message.content


def _pointing(done: Done, text: str) -> openai.Pointing:
    boxes = [[round(v, 2) for v in box] for scene in done.scenes for box in scene.regions.xyxy.tolist()]
    groundings = [
        openai.Grounded(
            phrase=one.phrase, regions=list(one.regions), boxes=[boxes[number] for number in one.regions]
        )
        for one in parse_answer(text, len(boxes)).groundings
    ]
    seconds = {stage: round(spent, 4) for stage, spent in done.seconds.items()}
    return openai.Pointing(regions=boxes, groundings=groundings, seconds=seconds)


def _reason(said: Said) -> Literal["stop", "length"]:
    return "stop" if said.finished else "length"


def _usage(said: Said) -> openai.Usage:
    total = said.prompt_tokens + said.new_tokens
    return openai.Usage(
        prompt_tokens=said.prompt_tokens, completion_tokens=said.new_tokens, total_tokens=total
    )


def _id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
