"""The tokens FO1 adds to a base model's vocabulary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from transformers import PreTrainedTokenizerBase

from fo1.errors import PromptError

GROUND, GROUND_END = "<ground>", "</ground>"
OBJECTS, OBJECTS_END = "<objects>", "</objects>"
THINK, THINK_END = "<think>", "</think>"
TAGS = (GROUND, GROUND_END, OBJECTS, OBJECTS_END, THINK, THINK_END)
IMAGE_SLOT, REGION_SLOT = "<image>", "<regionfeat>"

# ASCII digits, and few enough of them to be a number rather than an attack on `int`.
REGION_NAME = re.compile(r"<region([0-9]{1,9})>")


def region_name(index: int) -> str:
    """What the model calls region `index`."""
    return f"<region{index}>"


@dataclass(frozen=True)
class RegionVocabulary:
    """Ids of the added tokens.

    first_region: id of `<region0>`; `<regionN>` is `first_region + N`, for N below `capacity`.
    tags: ids of `<ground>` … `</think>` by text; one below `first_own` is the base's own word.
    image_slot, region_slot: placeholder ids whose embeddings the splice replaces; they are never predicted.
        No image slot: the base has eyes and placeholders of its own.
    size: number of ids the model may predict: the base's own and the added ones.
    first_own: from this id on, the rows are the splice's; those of lower ids are the base's. None:
        `first_region`, all added tokens.
    """

    first_region: int
    capacity: int
    tags: dict[str, int]
    image_slot: int | None
    region_slot: int
    size: int
    first_own: int | None = None

    @classmethod
    def extend(
        cls, tokenizer: PreTrainedTokenizerBase, capacity: int, image_slot: bool = True
    ) -> RegionVocabulary:
        """Adds the tokens to a tokenizer that lacks them: regions in one run of new ids, slots last.

        A tag that the tokenizer has already (`<think>` in some) keeps its id, and with it the base's row.
        image_slot: the base needs one, having no eyes.
        Raises `PromptError` if the tokenizer has some of the regions or a slot already.
        """
        names = [region_name(i) for i in range(capacity)]
        slots = [IMAGE_SLOT, REGION_SLOT] if image_slot else [REGION_SLOT]
        words = [*names, *TAGS, *slots]
        tokenizer.add_tokens(words, special_tokens=True)
        found = cast(list[int], tokenizer.convert_tokens_to_ids(words))
        ids = dict(zip(words, found, strict=True))
        first = ids[names[0]]
        size = max(first + capacity, *(ids[tag] + 1 for tag in TAGS))
        if found[:capacity] != list(range(first, first + capacity)):
            raise PromptError("the tokenizer already has some of the region tokens, but not in one run")
        if found[-len(slots) :] != list(range(size, size + len(slots))):
            raise PromptError(f"the tokenizer has {' or '.join(slots)} already; it must be free for a slot")
        tags = {tag: ids[tag] for tag in TAGS}
        return cls(first, capacity, tags, ids.get(IMAGE_SLOT), ids[REGION_SLOT], size)

    @classmethod
    def within(cls, tokenizer: PreTrainedTokenizerBase, capacity: int, rows: int) -> RegionVocabulary:
        """Of a base whose own embedding table has the tokens' rows already (released checkpoints).

        rows: of the table; one beyond the tokenizer's is needed as the region slot.
        Raises `PromptError` if tokens or room are missing.
        """
        words = [region_name(i) for i in range(capacity)] + list(TAGS)
        known = tokenizer.get_vocab()
        missing = [word for word in words if word not in known]
        if missing:
            raise PromptError(f"the tokenizer lacks {', '.join(missing[:5])}; it is not of a region model")
        first = known[words[0]]
        if [known[word] for word in words[:capacity]] != list(range(first, first + capacity)):
            raise PromptError("the tokenizer has the region tokens, but not in one ascending run")
        if len(tokenizer) >= rows:
            raise PromptError(
                f"{len(tokenizer)} tokens fill all {rows} rows of the embedding table; a slot needs one"
            )
        return cls(first, capacity, {tag: known[tag] for tag in TAGS}, None, len(tokenizer), rows, rows)

    def region(self, index: int) -> int:
        """Id of `<regionN>`."""
        if not 0 <= index < self.capacity:
            raise ValueError(f"region {index} is outside the model's {self.capacity} regions")
        return self.first_region + index

    @property
    def added(self) -> range:
        """Ids with rows of our own, slots included."""
        first = self.first_region if self.first_own is None else self.first_own
        return range(first, max(first, (self.image_slot or 0) + 1, self.region_slot + 1))
