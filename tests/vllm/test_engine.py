"""Caches, many requests at once, and bad input."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formed
from fo1 import FO1, Message
from fo1.errors import Fo1Error, ImageError, PromptError, RegionError
from fo1.prompts.parsing import named_regions
from fo1.types import Regions
from tiny import picture
from vllm_models import boxes

pytest.importorskip("vllm.config")
pytestmark = pytest.mark.vllm

from fo1.vllm.asking import Look  # noqa: E402
from fo1.vllm.engine import Engine  # noqa: E402
from fo1.vllm.exported import export  # noqa: E402

SIZE = (168, 126)


@pytest.fixture
def look(engine: Engine) -> Look:
    return engine.look_many([picture(0, SIZE)], [boxes(SIZE, 100, seed=0)])[0]


def cached(engine: Engine, look: Look, question: str) -> int:
    """Tokens of the prompt that were not read again."""
    _, request = engine.asking.free(look, question, 2, constrained=False)
    (output,) = engine.llm.generate([request.prompt], [engine.asking.params(request)], use_tqdm=False)
    return output.num_cached_tokens or 0


def test_questions_about_one_image_share_what_was_read(engine: Engine, look: Look) -> None:
    """The same image with other boxes, and another image with the same boxes, share nothing."""
    engine.llm.reset_prefix_cache()
    moved = Look(look.image, Regions.of(boxes(SIZE, 100, seed=1), SIZE))
    other = Look(picture(1, SIZE), look.regions)
    block = engine.llm.llm_engine.vllm_config.cache_config.block_size
    assert cached(engine, look, "What is it?") == 0
    assert cached(engine, look, "How many are there?") >= block
    assert cached(engine, moved, "What is it?") == 0
    assert cached(engine, other, "What is it?") == 0
    assert cached(engine, moved, "How many are there?") >= block


def test_two_hundred_requests_in_flight(engine: Engine) -> None:
    """Each answer is what it is alone."""
    rng = np.random.default_rng(0)
    looks, questions = [], []
    for number in range(200):
        size = [(168, 126), (90, 200), (64, 64)][number % 3]
        image, given = picture(number % 7, size), boxes(size, int(rng.integers(0, 12)), seed=number % 5)
        looks += engine.look_many([image], [given])
        questions.append(["What is it?", "Describe <region0>.", "How many?"][int(rng.integers(3))])
    together = engine.ask(looks, questions, 6, constrained=False)
    for number in range(0, 200, 10):
        (alone,) = engine.ask([looks[number]], [questions[number]], 6, constrained=False)
        assert alone == together[number]


def test_free_text_is_well_formed(engine: Engine, look: Look) -> None:
    """Only regions that exist are named, and lists are lists, wherever the text is cut."""
    few = Look(look.image, look.regions.take(range(5)))
    for text in engine.ask([few] * 4, ["What?", "Why?", "Which <region1>?", "Name all."], 60):
        assert all(number < 5 for number in named_regions(text))
        formed.text_lists(closed(text))


def closed(text: str) -> str:
    """A text that was cut, with the tags that it leaves open closed."""
    open_tags: list[str] = []
    for end, tag in re.findall(r"<(/?)(objects|ground|think)>", text):
        if not end:
            open_tags.append(tag)
        elif open_tags:
            open_tags.pop()
    return text + "".join(f"</{tag}>" for tag in reversed(open_tags))


IMAGE = picture(0, SIZE)
BAD: dict[str, tuple[Any, dict[str, Any], type[Fo1Error]]] = {
    "not a number": ({"image": IMAGE, "boxes": [[0, 0, float("nan"), 3]]}, {}, RegionError),
    "too many boxes": ({"image": IMAGE, "boxes": boxes(SIZE, 101, seed=0)}, {}, RegionError),
    "another image's": ({"image": IMAGE, "boxes": Regions.of([[0, 0, 9, 9]], (10, 10))}, {}, RegionError),
    "inverted": ({"image": IMAGE, "boxes": [[5, 5, 1, 1]]}, {}, RegionError),
    "not four numbers": ({"image": IMAGE, "boxes": [[5, 5, 1]]}, {}, RegionError),
    "no image": ({"boxes": [[0, 0, 9, 9]]}, {}, ImageError),
    "no picture": (42, {}, ImageError),
    "two images": ([IMAGE, IMAGE], {}, PromptError),
    "sent apart, not a number": (IMAGE, {"bbox_list": [[0, 0, 1, float("inf")]]}, RegionError),
    "sent apart, for two": (IMAGE, {"bbox_list": [[[0, 0, 1, 1]], [[0, 0, 1, 1]]]}, RegionError),
    "sent apart, no boxes": (IMAGE, {"bbox_list": "junk"}, RegionError),
    "sent apart, a number": (IMAGE, {"bbox_list": 5}, RegionError),
    "sent apart, by name": (IMAGE, {"bbox_list": {"a": 1}}, RegionError),
    "sent apart, of several lengths": (IMAGE, {"bbox_list": [[[0, 0, 1], [0, 0, 1, 1]]]}, RegionError),
    "too large to count": ({"image": IMAGE, "boxes": [[0, 0, 1, 10**400]]}, {}, RegionError),
}


@pytest.mark.parametrize(("item", "apart", "error"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_and_the_engine_lives_on(
    item: Any, apart: dict[str, Any], error: type[Fo1Error], engine: Engine, look: Look
) -> None:
    _, request = engine.asking.free(look, "What is it?", 4, constrained=False)
    good, params = request.prompt, engine.asking.params(request)
    (before,) = engine.llm.generate([good], [params], use_tqdm=False)
    bad = {**good, "multi_modal_data": {"image": item}, "mm_processor_kwargs": apart}
    with pytest.raises(error):
        engine.llm.generate([good, bad], [params, params], use_tqdm=False)
    (after,) = engine.llm.generate([good], [params], use_tqdm=False)
    assert after.outputs[0].token_ids == before.outputs[0].token_ids


@pytest.mark.parametrize("apart", [True, False])
def test_a_clients_own_id_stands_for_no_boxes(apart: bool, engine: Engine, look: Look) -> None:
    """The same id for an image with other boxes: nothing read with those before is used again."""
    _, request = engine.asking.free(look, "What is it?", 4, constrained=False)
    params = engine.asking.params(request)

    def answer(boxes: Any, **more: Any) -> tuple[int | None, Any]:
        item = look.image if apart else {"image": look.image, "boxes": boxes}
        kwargs = {"bbox_list": boxes.tolist()} if apart else {}
        asked = {**request.prompt, "multi_modal_data": {"image": item}, "mm_processor_kwargs": kwargs, **more}
        (output,) = engine.llm.generate([asked], [params], use_tqdm=False)  # type: ignore[list-item]
        return output.num_cached_tokens, output.outputs[0].cumulative_logprob

    moved, own = boxes(SIZE, 100, seed=7), {"multi_modal_uuids": {"image": ["mine"]}}
    engine.llm.reset_prefix_cache()
    _, want = answer(moved)
    engine.llm.reset_prefix_cache()
    answer(look.regions.xyxy, **own)
    assert answer(moved, **own) == (0, want)


def test_a_list_without_boxes(engine: Engine, look: Look) -> None:
    """However it comes, it means that there are no regions."""
    _, request = engine.asking.free(look, "What is it?", 4, constrained=False)
    bare = {**request.prompt, "multi_modal_data": {"image": look.image}}
    asked = [bare, *({**bare, "mm_processor_kwargs": {"bbox_list": boxes}} for boxes in ([], [[]]))]
    said = engine.llm.generate(asked, engine.asking.params(request), use_tqdm=False)  # type: ignore[arg-type]
    assert len({tuple(one.prompt_token_ids or ()) for one in said}) == 1


def test_a_conversation_of_more_regions_than_names(engine: Engine, core: FO1, look: Look) -> None:
    """Those named are shown, then the best, as the core shows them."""
    other = Look(picture(1, SIZE), Regions.of(boxes(SIZE, 60, seed=2), SIZE))
    talk = [("user", [look, other, "What is <region150>?"])]
    scenes = [core.look(one.image, one.regions) for one in (look, other)]
    want = core.chat([Message("user", [*scenes, "What is <region150>?"])], 8, constrained=False)
    assert engine.chat([talk], 8, constrained=False) == [want]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"tensor_parallel_size": "two"}, "tensor_parallel_size"),
        ({"max_model_len": 10**9}, "max_model_len"),
        ({"dtype": "int7"}, "dtype"),
    ],
)
def test_what_vllm_refuses_is_one_line(options: dict[str, Any], why: str, folder: Path) -> None:
    with pytest.raises(Fo1Error, match=f"^vLLM: .*{why}") as caught:
        Engine(folder, **options)
    assert "\n" not in str(caught.value)


def test_links_where_files_cannot_be_linked_hard(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Nothing is copied to another file system."""
    monkeypatch.setattr("os.link", lambda *given: (_ for _ in ()).throw(OSError("cross-device link")))
    files = list(export(folder, tmp_path / "served").rglob("*.safetensors"))
    assert files and all(file.is_symlink() and file.is_file() for file in files)


def test_an_image_must_be_there(engine: Engine) -> None:
    with pytest.raises(ImageError):
        engine.look_many([None])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "asked",
    [
        lambda engine, look: engine.ask([look], [" "]),
        lambda engine, look: engine.ask([look], ["a long question " * 300]),
        lambda engine, look: engine.ask([look, look], ["one question"]),
        lambda engine, look: engine.detect([look], ""),
        lambda engine, look: engine.detect([look], "cat", threshold=2),
        lambda engine, look: engine.chat([[("assistant", ["Hello"])]]),
    ],
)
def test_questions_that_make_no_sense(asked: Callable[..., Any], engine: Engine, look: Look) -> None:
    with pytest.raises(PromptError):
        asked(engine, look)
    assert engine.ask([look], ["What?"], 4)
