"""General ability: any model of this package as a model of lmms-eval, which has the benchmarks.

lmms-eval finds it by itself (entry point "lmms_eval.models") once both are installed:

    python -m lmms_eval --model fo1 --model_args pretrained=MODEL --tasks mmbench_en_dev,mme --batch_size 1

Written for lmms-eval 0.7. It brings torchvision, so give it an environment of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from PIL import Image

from fo1.errors import Fo1Error, PromptError
from fo1.loading import load
from fo1.messages import Message

MAX_NEW_TOKENS = 128


def manifest() -> ModelManifest:
    """What lmms-eval reads at the entry point."""
    return ModelManifest(model_id="fo1", simple_class_path=f"{__name__}.LmmsModel")


class LmmsModel(lmms):
    """Answers with whole images and their own tokens; no regions are shown.

    pretrained, device, dtype: as `fo1.load` takes them. Other arguments of lmms-eval's are accepted: requests
    are answered one by one, greedily or with beams.
    Raises `CheckpointError`.
    """

    def __init__(
        self, pretrained: str = "fo1-smol", device: str | None = None, dtype: str | None = None, **_: Any
    ) -> None:
        super().__init__()
        self.model = load(pretrained, device=device, dtype=dtype)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One answer a request, in order. Raises `PromptError` for what no image model can look at."""
        return [self._answer(*request.args) for request in requests]

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Not offered."""
        raise Fo1Error("fo1 answers single questions; choose tasks of the kind generate_until")

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Not offered."""
        raise Fo1Error("fo1 gives no likelihoods of given answers; choose tasks of the kind generate_until")

    def _answer(
        self,
        context: str,
        options: dict[str, Any],
        visuals: Callable[[Any], Sequence[Any]],
        document: int,
        task: str,
        split: str,
    ) -> str:
        images = visuals(self.task_dict[task][split][document])
        other = next((one for one in images if not isinstance(one, Image.Image)), None)
        if other is not None:
            raise PromptError(f"{task}, document {document}: fo1 reads images, not {type(other).__name__}")
        scenes = self.model.look_many(images, [np.zeros((0, 4))] * len(images))
        said = self.model.chat(
            [Message("user", (*scenes, context.replace("<image>", "").strip()))],
            int(options.get("max_new_tokens", MAX_NEW_TOKENS)),
            int(options.get("num_beams", 1)),
        )
        until = options.get("until", ())
        for stop in [until] if isinstance(until, str) else until:
            said = said.partition(stop)[0]
        return said
