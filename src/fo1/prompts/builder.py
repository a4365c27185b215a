"""Token ids of prompts: the shared prefix, a question below it, the start of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from transformers import PreTrainedTokenizerBase

from fo1.errors import PromptError
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, REGION_NAME, RegionVocabulary


@dataclass(frozen=True)
class ChatFormat:
    """The base model's turns, and how an image and its regions stand in them.

    before_image, after_image: text around the image's slots.
    region_slots: each region also gets a `<regionfeat>` slot after its name (released format); without, its
    name alone carries it (dynamic vocabulary).
    label_space: a space before a label in `<ground>`, for tokenizers to which the space belongs to the word.
    """

    before_image: str = "<|im_start|>user\n"
    after_image: str = "\n"
    after_regions: str = "\n"
    after_question: str = "<|im_end|>\n<|im_start|>assistant\n"
    stop: str = "<|im_end|>"
    region_slots: bool = True
    label_space: bool = False


class PromptBuilder:
    """Writes token ids. What a user typed becomes no special token, unless it names an existing region."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, vocabulary: RegionVocabulary, chat: ChatFormat
    ) -> None:
        self.tokenizer, self.vocabulary, self.chat = tokenizer, vocabulary, chat

    @property
    def stop_id(self) -> int:
        """The token that ends an answer."""
        return cast(int, self.tokenizer.convert_tokens_to_ids(self.chat.stop))

    def template(self, text: str) -> list[int]:
        """Ids of our own text, in which special tokens mean themselves."""
        return self.tokenizer(text, add_special_tokens=False).input_ids if text else []

    def user_text(self, text: str, regions: int) -> list[int]:
        """Ids of a user's text. Special tokens typed in it are plain characters; `<regionN>` is not.

        regions: how many there are; a higher `<regionN>` is plain characters too.
        Raises `PromptError` for text that is no valid Unicode.
        """
        ids: list[int] = []
        start = 0
        for match in REGION_NAME.finditer(text):
            if int(match.group(1)) < regions:
                ids += self._plain(text[start : match.start()])
                ids.append(self.vocabulary.region(int(match.group(1))))
                start = match.end()
        return ids + self._plain(text[start:])

    def _plain(self, text: str) -> list[int]:
        if not text:
            return []
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PromptError(
                f"{text[:50]!r} holds half a character (a lone surrogate); type it again"
            ) from error
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids

    def phrase(self, text: str) -> list[int]:
        """Ids of a phrase alone, as words inside a sentence; never empty, never a special token."""
        return self._plain(" " + text if self.chat.label_space else text) or self._plain("?")

    def prefix(self, image_tokens: int, regions: int) -> list[int]:
        """Start of the user's turn: the image's slots and the regions."""
        vocabulary = self.vocabulary
        ids = self.template(self.chat.before_image) + [vocabulary.image_slot] * image_tokens
        ids += self.template(self.chat.after_image)
        for index in range(regions):
            ids.append(vocabulary.region(index))
            if self.chat.region_slots:
                ids.append(vocabulary.region_slot)
        return ids + (self.template(self.chat.after_regions) if regions else [])

    def question(self, text: str, regions: int) -> list[int]:
        """The rest of the user's turn and the opening of the model's."""
        return self.user_text(text, regions) + self.template(self.chat.after_question)

    def naming(self, label: str, regions: int) -> list[int]:
        """`<ground>label</ground><objects>`: where the model names the regions of a label."""
        tags = self.vocabulary.tags
        spaced = " " + label if self.chat.label_space else label
        return [tags[GROUND], *self.user_text(spaced, regions), tags[GROUND_END], tags[OBJECTS]]
