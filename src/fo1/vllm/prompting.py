"""Prompts in which one mark stands for an image and its regions: as token ids, and as a chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence

from fo1.prompts.builder import ChatFormat, PromptBuilder


class MarkedPrompts(PromptBuilder):
    """As the core writes them, but the multimodal processor lists the regions, for it has counted them."""

    def shown(self, image: Sequence[int], regions: int, first: int = 0) -> list[int]:
        """Only what stands for the image."""
        return list(image)


def chat_template(chat: ChatFormat, mark: str) -> str:
    """The same for a server's clients, in Jinja. Special tokens that they type mean themselves here."""
    word = {name: json.dumps(value) for name, value in vars(chat).items() if isinstance(value, str)}
    system = (
        "" if chat.system is None else f"{word['before_system']} ~ {word['system']} ~ {word['after_answer']}"
    )
    usual = "{%- if messages[0].role != 'system' %}{{ " + system + " }}{% endif %}" if system else ""
    parts = (
        "{%- if message.content is string %}{{ message.content }}{% else %}{%- for part in message.content %}"
        "{%- if part.type == 'text' %}{{ part.text }}{% else %}{{ " + json.dumps(mark) + " }}{% endif %}"
        "{%- endfor %}{%- endif %}"
    )
    turns = {
        "system": (word["before_system"], word["after_system"]),
        "user": (word["before_image"], word["after_question"]),
        "assistant": ('""', word["after_answer"]),
    }
    said = "".join(
        "{%- if message.role == '"
        + role
        + "' %}{{ "
        + before
        + " }}"
        + parts
        + "{{ "
        + after
        + " }}{% endif %}"
        for role, (before, after) in turns.items()
    )
    return "{{ " + word["start"] + " }}" + usual + "{%- for message in messages %}" + said + "{%- endfor %}"
