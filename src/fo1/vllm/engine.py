"""`Engine`: a region model in vLLM, asked offline about many images and labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike
from vllm import LLM
from vllm.exceptions import VLLMValidationError

from fo1.checkpoints.native import bundled_proposer
from fo1.decoding import Written
from fo1.errors import PromptError
from fo1.findings import Findings
from fo1.images import ImageSource
from fo1.pipeline import loaded_images
from fo1.prompts.tasks import TASKS, clean_labels
from fo1.proposals.proposer import Proposer
from fo1.reporting import check_threshold
from fo1.types import Regions
from fo1.vllm.asking import Look, Request, Talk
from fo1.vllm.starting import start
from fo1.vllm.viewing import viewed


class Engine:
    """A loaded model, asked as `FO1` and its scenes are, but about everything at once.

    model: a folder that `export` made, or any folder or hub id that it can export; then a folder of links is
        made that lives as long as the engine.
    proposer: finds boxes where none are given; by default the bundled detector.
    options: arguments of `vllm.LLM`, such as `dtype`, `tensor_parallel_size`, `gpu_memory_utilization`.
    Raises `CheckpointError` for a model that vLLM cannot run, and `Fo1Error` for options that it refuses.
    """

    def __init__(self, model: str | Path, proposer: Proposer | None = None, **options: Any) -> None:
        self.llm, self.asking, self._links = start(model, LLM, options)
        self.proposer = proposer or bundled_proposer()
        self.settings = self.asking.settings

    def look_many(
        self, images: Sequence[ImageSource], boxes: Sequence[ArrayLike | Regions | None] | None = None
    ) -> list[Look]:
        """Images with what can be pointed at in them. boxes: as for `FO1.look_many`.

        Raises `ImageError` and `RegionError`.
        """
        pixels, given = loaded_images(images, boxes)
        bare = [image for image, one in zip(pixels, given, strict=True) if one is None]
        proposed = iter(self.proposer.propose(bare) if bare else ())
        return [
            Look(image, next(proposed) if one is None else one)
            for image, one in zip(pixels, given, strict=True)
        ]

    def ask(
        self,
        looks: Sequence[Look],
        questions: Sequence[str],
        max_new_tokens: int = 48,
        constrained: bool = True,
    ) -> list[str]:
        """A free question for each look; see `Scene.ask`.

        Raises `PromptError` for an empty question, and if there is not one for each look.
        """
        if len(questions) != len(looks):
            raise PromptError(f"{len(questions)} questions for {len(looks)} images")
        asked = [
            self.asking.free(look, question, max_new_tokens, constrained)
            for look, question in zip(looks, questions, strict=True)
        ]
        said = self.write([request for _, request in asked])
        return [view.outward(one.text) for (view, _), one in zip(asked, said, strict=True)]

    def chat(self, talks: Sequence[Talk], max_new_tokens: int = 256, constrained: bool = True) -> list[str]:
        """What the model says next in each conversation; see `FO1.chat`.

        Raises `PromptError` for what is no conversation.
        """
        shown = [viewed(talk, self.asking.capacity) for talk in talks]
        said = self.write([self.asking.talk(turns, max_new_tokens, constrained) for _, turns in shown])
        return [view.outward(one.text) for (view, _), one in zip(shown, said, strict=True)]

    def detect(
        self,
        looks: Sequence[Look],
        labels: str | Sequence[str],
        threshold: float | None = None,
        constrained: bool = True,
    ) -> list[Findings]:
        """All things of each label in each image; see `Scene.detect`."""
        return self._ground("detect", looks, labels, threshold, constrained)

    def locate(
        self, looks: Sequence[Look], label: str, threshold: float | None = None, constrained: bool = True
    ) -> list[Findings]:
        """What counting counts in each image; see `Scene.locate`."""
        return self._ground("count", looks, [label], threshold, constrained)

    def find(
        self, looks: Sequence[Look], phrase: str, threshold: float | None = None, constrained: bool = True
    ) -> list[Findings]:
        """The one thing a phrase describes in each image, or nothing; see `Scene.find`."""
        return self._ground("detect", looks, [phrase], threshold, constrained, limit=1)

    def write(self, requests: Sequence[Request]) -> list[Written]:
        """Answers to requests, all in flight at once. Raises `PromptError` for a prompt that is too long."""
        try:
            outputs = self.llm.generate(
                [request.prompt for request in requests],
                [self.asking.params(request) for request in requests],
                use_tqdm=False,
            )
        except VLLMValidationError as error:
            raise PromptError(str(error)) from error
        return [
            self.asking.written(request, output.outputs[0])
            for request, output in zip(requests, outputs, strict=True)
        ]

    def _ground(
        self,
        task: str,
        looks: Sequence[Look],
        labels: str | Sequence[str],
        threshold: float | None,
        constrained: bool,
        limit: int | None = None,
    ) -> list[Findings]:
        check_threshold(threshold)
        names = clean_labels(labels)
        asked = [self.asking.grounding(look, TASKS[task], names, constrained) for look in looks]
        said = iter(self.write([request for parts in asked for _, request in parts]))
        answers = [[(view, next(said)) for view, _ in parts] for parts in asked]
        return [
            self.asking.findings(look, names, one, threshold, limit, constrained)
            for look, one in zip(looks, answers, strict=True)
        ]
