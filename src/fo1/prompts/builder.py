"""Token ids of prompts: the shared prefix, a question below it, the start of an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from transformers import PreTrainedTokenizerBase

from fo1.errors import PromptError
from fo1.prompts.conversation import Shown, Turn, check_turns
from fo1.prompts.spelling import Spelling
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, REGION_NAME, TAGS, RegionVocabulary

_TAGGED = re.compile("(" + "|".join(TAGS) + ")")


@dataclass(frozen=True)
class ChatFormat:
    """The base model's turns, and how an image and its regions stand in them.

    start: opens the conversation. system: the system message if the caller gives none, else there is none.
    after_system: ends a system message that the caller gives; the default one ends as every turn does.
    before_image: opens the user's turn. after_image: between an image and what follows.
    after_answer: ends the model's turn.
    region_slots: each region also gets a `<regionfeat>` slot after its name (released format); without, its
    name alone carries it (dynamic vocabulary).
    label_space: a space before a label in `<ground>`, for tokenizers to which the space belongs to the word.
    pointing: what is asked before regions are scored, whatever their labels; the answer names those. It is
    read once for all labels. Empty: the task's own instruction, with the labels in it.
    """

    start: str = ""
    system: str | None = None
    before_system: str = "<|im_start|>system\n"
    after_system: str = "<|im_end|>\n"
    before_image: str = "<|im_start|>user\n"
    after_image: str = "\n"
    after_regions: str = "\n"
    after_question: str = "<|im_end|>\n<|im_start|>assistant\n"
    after_answer: str = "<|im_end|>\n"
    stop: str = "<|im_end|>"
    region_slots: bool = True
    label_space: bool = False
    pointing: str = ""


class PromptBuilder:
    """Writes token ids. What a user typed becomes no special token, unless it names an existing region."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, vocabulary: RegionVocabulary, chat: ChatFormat
    ) -> None:
        self.tokenizer, self.vocabulary, self.chat = tokenizer, vocabulary, chat
        self._inside_added = _inside(tokenizer)

    @property
    def stop_id(self) -> int:
        """The token that ends an answer."""
        return cast(int, self.tokenizer.convert_tokens_to_ids(self.chat.stop))

    @cached_property
    def spelling(self) -> Spelling:
        """What answers may not spell in letters; it takes a look at the whole vocabulary."""
        vocabulary = self.vocabulary
        regions = range(vocabulary.first_region, vocabulary.first_region + vocabulary.capacity)
        return Spelling(self.tokenizer, {*regions, *vocabulary.tags.values()})

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

    def answer_text(self, text: str, regions: int) -> list[int]:
        """Ids of an earlier answer: as a user's text, but its tags are tags again."""
        ids: list[int] = []
        for piece in _TAGGED.split(text):
            tag = self.vocabulary.tags.get(piece)
            ids += self.user_text(piece, regions) if tag is None else [tag]
        return ids

    def _plain(self, text: str) -> list[int]:
        return self._plains([text])[0]

    def _plains(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts in which no special token means itself."""
        for text in texts:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise PromptError(
                    f"{text[:50]!r} holds half a character (a lone surrogate); type it again"
                ) from error
        pieces = [self._inside_added.split(text) if text else [] for text in texts]
        flat = [piece for row in pieces for piece in row]
        if not flat:
            return [[] for _ in texts]
        told = iter(self.tokenizer(flat, add_special_tokens=False, split_special_tokens=True).input_ids)
        return [[token for _ in row for token in next(told)] for row in pieces]

    def phrase(self, text: str) -> list[int]:
        """Ids of a phrase alone, as words inside a sentence; never empty, never a special token."""
        return self.phrases([text])[0]

    def phrases(self, texts: Sequence[str]) -> list[list[int]]:
        """`phrase` of each text; of a thousand at once much sooner than one by one."""
        written = [" " + text if self.chat.label_space else text for text in texts]
        return [ids or self._plain("?") for ids in self._plains(written)]

    def opening(self, system: str | None = None) -> list[int]:
        """Start of the conversation, with this system message or the default one."""
        ids = self.template(self.chat.start)
        if system is not None:
            said = self.user_text(system, 0)
            return ids + self.template(self.chat.before_system) + said + self.template(self.chat.after_system)
        if self.chat.system is None:
            return ids
        return ids + self.template(self.chat.before_system + self.chat.system + self.chat.after_answer)

    def shown(self, image: Sequence[int], regions: int, first: int = 0) -> list[int]:
        """An image and its regions. image: what stands for it. first: number of its first region."""
        vocabulary = self.vocabulary
        ids = [*image, *self.template(self.chat.after_image)]
        for index in range(first, first + regions):
            ids.append(vocabulary.region(index))
            if self.chat.region_slots:
                ids.append(vocabulary.region_slot)
        return ids + (self.template(self.chat.after_regions) if regions else [])

    def prefix(self, image: Sequence[int], regions: int) -> list[int]:
        """Start of a conversation about one image: all that comes before the question."""
        return self.opening() + self.template(self.chat.before_image) + self.shown(image, regions)

    def conversation(self, turns: Sequence[Turn]) -> list[int]:
        """A whole conversation up to where the model speaks. Regions are numbered through all images.

        A text may name regions of any image shown before its turn ends. Raises `PromptError` for turns that
        make no conversation, and for more regions than the model has names for.
        """
        check_turns(turns)
        told = turns[0].role == "system"
        ids = self.opening("".join(str(part) for part in turns[0].parts) if told else None)
        named = 0
        for turn in turns[1:] if told else turns:
            known = named + sum(part.regions for part in turn.parts if isinstance(part, Shown))
            if known > self.vocabulary.capacity:
                raise PromptError(f"{known} regions, but the model can name {self.vocabulary.capacity}")
            if turn.role == "user":
                ids += self.template(self.chat.before_image)
            for part in turn.parts:
                if isinstance(part, Shown):
                    ids += self.shown(part.ids, part.regions, named)
                    named += part.regions
                elif turn.role == "user":
                    ids += self.user_text(part, known)
                else:
                    ids += self.answer_text(part, known)
            ids += self.template(self.chat.after_question if turn.role == "user" else self.chat.after_answer)
        return ids

    def question(self, text: str, regions: int) -> list[int]:
        """The rest of the user's turn and the opening of the model's."""
        return self.user_text(text, regions) + self.template(self.chat.after_question)

    def pointing(self, instruction: str, regions: int) -> list[int]:
        """The question below which labels are named and regions scored. instruction: the task's, filled."""
        return self.question(self.chat.pointing or instruction, regions)

    def naming(self, label: str, regions: int) -> list[int]:
        """`<ground>label</ground><objects>`: where the model names the regions of a label."""
        tags = self.vocabulary.tags
        spaced = " " + label if self.chat.label_space else label
        return [tags[GROUND], *self.user_text(spaced, regions), tags[GROUND_END], tags[OBJECTS]]


def _inside(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Matches after the `<` of added tokens that the tokenizer itself would not split, being marked as words.

    Tokenizers differ in what they mark so: tool calls, thoughts, in converted checkpoints even regions.
    """
    added = (token for token in tokenizer.added_tokens_decoder.values() if not token.special)
    marks = [token.content[1:] for token in added if token.content[:1] == "<" and token.content[-1:] == ">"]
    return re.compile(f"(?<=<)(?={'|'.join(map(re.escape, marks))})" if marks else "(?!)")
