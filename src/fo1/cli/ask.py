"""`fo1 ask`."""

from __future__ import annotations

from typing import Annotated

import typer

from fo1.cli.inputs import check_words, expand, read_boxes
from fo1.cli.options import (
    DEFAULT_MODEL,
    Boxes,
    Device,
    Dtype,
    Images,
    Json,
    Model,
    Proposer,
    Settings,
    Threads,
    TopK,
)
from fo1.cli.telling import tell
from fo1.errors import PromptError

EXAMPLE = 'fo1 ask fruit.jpg "What fruit is cut open?"'


def ask(
    images: Images,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In quotes.", show_default=False)],
    json: Json = None,
    boxes: Boxes = None,
    top_k: TopK = None,
    proposer: Proposer = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Ask a question in your own words.

    <region3> in it means region 3, as fo1 detect shows it. Of more regions than the model can read at once
    it sees those that the question names, then the best.

    \b
    Example:
      fo1 ask fruit.jpg "What fruit is cut open?"
    """
    check_words(images, question, "question", EXAMPLE)
    found = expand(images)
    if not question.strip():
        raise PromptError("the question is empty")
    given = None if boxes is None else read_boxes(boxes, found)
    chosen = Settings(model, device, dtype, threads, proposer)
    tell(found, lambda scene: scene.ask(question), chosen, json, given, top_k)
