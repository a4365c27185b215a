"""Answers piece by piece, as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from fo1.decoding import check, rules, words
from fo1.grammar import Grammar
from fo1.model import Encoded, RegionModel
from fo1.prefixes import batched, beginning
from fo1.prompts.parsing import Answer, parse_answer
from fo1.views import View

# What more text may change at the end of a text: half a character, white space, a tag or region name begun.
_OPEN = re.compile(r"(?:\ufffd|\s|<[a-z0-9/]{0,16})+$")


@dataclass(frozen=True)
class Piece:
    """Some more of an answer's text. Tags and region names are never divided."""

    text: str


def stream(
    model: RegionModel,
    prompt: Sequence[int],
    shown: Encoded,
    view: View,
    max_new_tokens: int = 48,
    repetition_penalty: float = 1.0,
    grammars: Sequence[Grammar] = (),
) -> Iterator[Piece | Answer]:
    """The answer to one prompt about one image, in the user's numbers: pieces, and at the end the whole.

    The pieces make up the text that `generate` would return. Nothing runs but while the next piece is asked
    for: whoever stops asking has stopped the work. Other questions may be asked of the model meanwhile.
    Raises `PromptError` for settings that make no sense.
    """
    check(max_new_tokens, 1, repetition_penalty)
    return _pieces(model, view, _tokens(model, prompt, shown, max_new_tokens, repetition_penalty, grammars))


def settled(text: str) -> str:
    """The part of an unfinished text that no further token changes."""
    return _OPEN.sub("", text)


def _pieces(model: RegionModel, view: View, tokens: Iterator[int]) -> Iterator[Piece | Answer]:
    ids: list[int] = []
    sent = text = ""
    for token in tokens:
        ids.append(token)
        text = words(model, ids)
        told = view.outward(settled(text))
        if len(told) > len(sent) and told.startswith(sent):
            yield Piece(told[len(sent) :])
            sent = told
    text = view.outward(text)
    if text != sent:
        yield Piece(text.removeprefix(sent))
    yield parse_answer(text, view.total)


def _tokens(
    model: RegionModel,
    prompt: Sequence[int],
    shown: Encoded,
    max_new_tokens: int,
    repetition_penalty: float,
    grammars: Sequence[Grammar],
) -> Iterator[int]:
    """The likeliest token at every step, up to the end, which is left out: those of `generate`.

    Positions and cache are given at every step, so that other prompts may be read in between.
    """
    family, read = model.family, 0
    said = torch.tensor([prompt], device=model.device)
    bound = rules(model, grammars, len(prompt), max_new_tokens, repetition_penalty)
    cache = DynamicCache(config=model.base.config.get_text_config())
    with model.lock, torch.inference_mode():
        places, sights = family.positions(said[0], shown.sight), [shown.sight]
        begun = beginning(model, prompt, shown)
        if begun is not None:
            cache, read, sights = begun.cache(), len(begun.ids), []
    for _ in range(max_new_tokens):
        new, at = said[:, read:], places[:, None, read:]
        with model.lock, torch.inference_mode(), model.bound([shown]):
            logits = model.base(
                input_ids=new,
                position_ids=batched(at),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                **family.inputs(new, sights),
            ).logits[:, -1]
            token = bound(said, logits.float()).argmax(dim=-1)  # type: ignore[arg-type]
        if int(token) in model.stop_ids:
            return
        yield int(token)
        read, sights = said.shape[1], []
        said = torch.cat([said, token[:, None]], dim=1)
        places = torch.cat([places, (places.max() + 1).expand(len(places), 1)], dim=1)
