"""`Asking`: questions about images → requests to vLLM, and what it returns → what the core makes of answers.

It knows no engine, so the offline one, a server and a Ray stage can all use it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedTokenizerBase
from vllm import CompletionOutput, SamplingParams
from vllm.sampling_params import MAX_LOGPROB_TOKEN_IDS, StructuredOutputsParams

from fo1.decoding import Written, check
from fo1.errors import PromptError
from fo1.findings import Findings
from fo1.opening import settings_of
from fo1.prompts.conversation import Role, Shown, Turn
from fo1.prompts.parsing import named_regions
from fo1.prompts.tasks import TaskSpec
from fo1.rating import Rating, read_freely, read_lists, watched_ids
from fo1.reporting import report
from fo1.scoring import WORDS_TO_SPARE
from fo1.types import Regions
from fo1.views import View, views
from fo1.vllm.exported import Exported, image_mark
from fo1.vllm.lark import lark_grammar
from fo1.vllm.prompting import MarkedPrompts


@dataclass(frozen=True, eq=False)
class Look:
    """An image and what can be pointed at in it; boxes are its pixels."""

    image: Image.Image
    regions: Regions


Part = str | Look
Talk = Sequence[tuple[Role, Sequence[Part]]]
"""A conversation: who says what, in turns; the user shows looks."""


@dataclass(frozen=True, eq=False)
class Request:
    """What vLLM is asked. ids: the prompt, with a mark for each image. looks: what its images show.

    most: tokens it may write. watched: tokens whose chances are wanted at every step. grammar: of its answer,
    as `lark_grammar` writes it. banned: tokens it never says.
    """

    ids: Sequence[int]
    looks: Sequence[Look]
    most: int
    watched: Sequence[int] = ()
    grammar: str | None = None
    banned: Sequence[int] = ()

    @property
    def prompt(self) -> dict[str, Any]:
        """As vLLM takes it."""
        prompt: dict[str, Any] = {"prompt_token_ids": list(self.ids)}
        items = [{"image": look.image, "boxes": look.regions.xyxy} for look in self.looks]
        return {**prompt, "multi_modal_data": {"image": items}} if items else prompt

    def params(self, stops: Sequence[int]) -> SamplingParams:
        """How vLLM is to decode: greedily, nothing left out. stops: tokens that end an answer."""
        return SamplingParams(
            temperature=0.0,
            max_tokens=self.most,
            stop_token_ids=list(stops),
            detokenize=False,
            skip_special_tokens=False,
            logprobs=None if self.watched else 0,
            logprob_token_ids=list(self.watched) or None,
            logit_bias=dict.fromkeys(self.banned, -100.0) or None,
            structured_outputs=None
            if self.grammar is None
            else StructuredOutputsParams(grammar=self.grammar),
        )


class Asking:
    """Writes requests for one exported model and reads the answers to them."""

    def __init__(
        self, exported: Exported, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.exported = exported
        self.settings = settings_of(exported.config)
        self.prompts = MarkedPrompts(tokenizer, exported.vocabulary, exported.chat)
        self.mark = image_mark(config)

    @property
    def capacity(self) -> int:
        """Most regions that one prompt can hold."""
        return self.exported.vocabulary.capacity

    def params(self, request: Request) -> SamplingParams:
        """How vLLM is to decode the answer."""
        return request.params(self.exported.stops)

    def free(self, look: Look, question: str, most: int, constrained: bool = True) -> tuple[View, Request]:
        """A free question, and which regions its prompt shows. Raises `PromptError` if it is empty."""
        view = View.best(look.regions.scores, self.capacity, named_regions(question))
        grammar = lark_grammar(self.prompts, len(view.rows)) if constrained else None
        return view, self._request(look, view, view.inward(question), most, grammar=grammar)

    def talk(self, turns: Talk, most: int, constrained: bool = True) -> Request:
        """What the model says next. Regions are numbered through all images.

        Raises `PromptError` for what is no conversation, and for more regions than the model has names for.
        """
        check(most)
        looks = [part for _, parts in turns for part in parts if isinstance(part, Look)]
        count = sum(len(look.regions) for look in looks)
        marked = [
            Turn(role, [Shown(self.mark, len(p.regions)) if isinstance(p, Look) else p for p in parts])
            for role, parts in turns
        ]
        grammar = lark_grammar(self.prompts, count) if constrained else None
        return Request(
            self.prompts.conversation(marked), looks, most, grammar=grammar, banned=self._banned(count)
        )

    def grounding(
        self, look: Look, task: TaskSpec, labels: Sequence[str], constrained: bool = True
    ) -> list[tuple[View, Request]]:
        """Asks for the regions of labels, in parts if there are more than the model has names for.

        Asks nothing where there are no regions.
        """
        named = [number for label in labels for number in named_regions(label)]
        words = WORDS_TO_SPARE + sum(len(self.prompts.phrase(label)) + 8 for label in labels)
        most = words + min(self.capacity, len(look.regions))
        none = self.prompts.template("None")[0]
        watched = watched_ids(self.exported.vocabulary, none) if constrained else []
        if len(watched) > MAX_LOGPROB_TOKEN_IDS:
            raise PromptError(
                f"vLLM tells of {MAX_LOGPROB_TOKEN_IDS} tokens at once, too few for the scores of "
                f"{self.capacity} regions; ask with constrained=False"
            )
        asked = []
        for view in views(len(look.regions), self.capacity, named) if len(look.regions) else ():
            names = [view.inward(label) for label in labels]
            grammar = lark_grammar(self.prompts, len(view.rows), task.answer, names) if constrained else None
            asked.append((view, self._request(look, view, task.fill(*names), most, watched, grammar)))
        return asked

    def rating(
        self,
        labels: Sequence[str],
        total: int,
        answers: Sequence[tuple[View, Written]],
        constrained: bool = True,
    ) -> Rating:
        """What the answers to `grounding` say of all regions; without regions there are none."""
        if not answers:
            return Rating(np.zeros((len(labels), total), np.float32), np.ones(len(labels), np.float32))
        temperature = self.exported.config.temperature
        read = partial(read_lists, temperature=temperature) if constrained else read_freely
        return read(self.exported.vocabulary, labels, total, answers)

    def findings(
        self,
        look: Look,
        labels: Sequence[str],
        answers: Sequence[tuple[View, Written]],
        threshold: float | None,
        limit: int | None = None,
        constrained: bool = True,
    ) -> Findings:
        """What was found by `grounding`; see `report`."""
        rating = self.rating(labels, len(look.regions), answers, constrained)
        usual, crowded = self.settings.threshold, len(answers) > 1
        return report(look.regions, labels, rating, threshold, usual, crowded, limit)

    def written(self, request: Request, said: CompletionOutput) -> Written:
        """An answer as the core reads one."""
        ids = list(said.token_ids)
        end = next((i for i, token in enumerate(ids) if token in self.exported.stops), len(ids))
        steps: Sequence[Any] = said.logprobs or ()
        chances = [math.exp(step[token].logprob) for token, step in zip(ids[:end], steps, strict=False)]
        text = str(self.prompts.tokenizer.decode(ids[:end])).strip()
        watched = _watched(steps, request.watched) if request.watched else None
        return Written(tuple(ids[:end]), text, tuple(chances), watched)

    def _request(
        self,
        look: Look,
        view: View,
        question: str,
        most: int,
        watched: Sequence[int] = (),
        grammar: str | None = None,
    ) -> Request:
        check(most)
        if not question.strip():
            raise PromptError("the question is empty")
        count = len(view.rows)
        ids = self.prompts.prefix(self.mark, count) + self.prompts.question(question, count)
        shown = Look(look.image, look.regions if view.complete else look.regions.take(view.rows))
        return Request(ids, [shown], most, watched, grammar, self._banned(count))

    def _banned(self, regions: int) -> Sequence[int]:
        """Who has no regions says what the base says."""
        own = self.exported.own_rows
        return () if regions else range(own.start, max(own.start, self.exported.vocabulary.size))


def _watched(steps: Sequence[Any], tokens: Sequence[int]) -> Tensor:
    """(T, W) log-probabilities of the tokens at each step."""
    return torch.tensor([[step[token].logprob for token in tokens] for step in steps])
