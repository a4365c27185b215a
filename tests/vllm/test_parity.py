"""vLLM says what the core says: the same prompts, the same answers, the same chances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fo1 import FO1, Message
from fo1.decoding import generate, prompt
from fo1.messages import conversation
from fo1.scene import Scene
from tiny import picture
from vllm_models import Ascending, boxes

pytest.importorskip("vllm.config")
pytestmark = pytest.mark.vllm

from vllm import SamplingParams  # noqa: E402

from fo1.vllm.asking import Look  # noqa: E402
from fo1.vllm.engine import Engine  # noqa: E402

SIZES = [(168, 126), (90, 200), (64, 64)]
COUNTS = [0, 1, 100, 5]
CLOSE = 1e-4


@pytest.fixture(scope="module")
def shown(core: FO1, engine: Engine) -> list[tuple[Scene, Look]]:
    """Images of several sizes with 0, 1, 100 and 5 regions, as the core and the engine see them."""
    pairs = []
    for number, size in enumerate(SIZES):
        for count in COUNTS:
            image, given = picture(number, size), boxes(size, count, seed=number)
            pairs.append((core.look(image, given), *engine.look_many([image], [given])))
    return pairs


def test_a_mixed_batch(core: FO1, engine: Engine, shown: list[tuple[Scene, Look]]) -> None:
    """All in flight at once: the same prompt ids, greedy ids, and chances of every token at every step."""
    requests = [engine.asking.free(look, "What is it?", 8, constrained=False)[1] for _, look in shown]
    params = [engine.asking.params(request) for request in requests]
    for one in params:
        one.logprobs = -1
    outputs = engine.llm.generate([r.prompt for r in requests], params, use_tqdm=False)
    words = range(core.model.prompts.vocabulary.size)
    for (scene, _), output in zip(shown, outputs, strict=True):
        ids = prompt(core.model, scene.encoded, "What is it?")
        (want,) = generate(core.model, [ids], [[scene.encoded]], 8, watched=words)
        (got,) = output.outputs
        assert output.prompt_token_ids == ids
        assert want.watched is not None
        said = [token for token in got.token_ids if token not in core.model.stop_ids]
        assert tuple(said) == want.ids
        for step, scores in zip(got.logprobs, want.watched, strict=False):
            wanted = scores.log_softmax(-1)
            likely = [word for word in words if wanted[word] > -50]
            found = np.array([step[word].logprob for word in likely])
            assert np.abs(found - wanted[likely].numpy()).max() < CLOSE


def test_conversations(core: FO1, engine: Engine, shown: list[tuple[Scene, Look]]) -> None:
    """Several turns, with a system message, two images whose regions are numbered on, and regions named."""
    (first, one), (second, two) = shown[1], shown[7]
    turns = [
        ("system", ["Be brief."]),
        ("user", [one, "What is <region0>?"]),
        ("assistant", ["<ground>cup</ground><objects><region0></objects>"]),
        ("user", ["And here? ", two, "Compare <region0> and <region5>."]),
    ]
    scenes = {id(one): first, id(two): second}
    messages = [Message(role, [scenes.get(id(part), part) for part in parts]) for role, parts in turns]
    assert engine.chat([turns], 8, constrained=False) == [core.chat(messages, 8, constrained=False)]


@pytest.mark.parametrize("labels", [["cat"], ["cup", "橙子", "like <region1>, say"]])
def test_detection(
    labels: Sequence[str],
    core: FO1,
    engine: Engine,
    shown: list[tuple[Scene, Look]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Answers keep to the same form and every region has the same score."""
    monkeypatch.setattr("fo1.scoring.Grammar", Ascending)
    found = engine.detect([look for _, look in shown], labels)
    for (scene, _), got in zip(shown, found, strict=True):
        want = scene.detect(list(labels))
        assert got.answer.text == want.answer.text
        assert got.labels == want.labels
        np.testing.assert_array_equal(got.regions, want.regions)
        np.testing.assert_allclose(got.scores, want.scores, atol=CLOSE)
        for label in labels:
            np.testing.assert_allclose(got.confidence[label], want.confidence[label], atol=CLOSE)
            assert got.absence[label] == pytest.approx(want.absence[label], abs=CLOSE)


def test_more_regions_than_names(core: FO1, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked about in groups."""
    monkeypatch.setattr("fo1.scoring.Grammar", Ascending)
    image, given = picture(3, SIZES[0]), boxes(SIZES[0], 130, seed=3)
    (look,) = engine.look_many([image], [given])
    (got,), want = engine.detect([look], "cat"), core.look(image, given).detect("cat")
    np.testing.assert_allclose(got.confidence["cat"], want.confidence["cat"], atol=CLOSE)
    np.testing.assert_array_equal(got.regions, want.regions)


def test_a_chat_template_writes_the_same(core: FO1, engine: Engine) -> None:
    """A server's client sends boxes apart from its messages."""
    image, given = picture(0, SIZES[0]), boxes(SIZES[0], 3, seed=0)
    parts = [{"type": "image_pil", "image_pil": image}, {"type": "text", "text": "What is <region1>?\nSay."}]
    answer = {"role": "assistant", "content": "A <region1>."}
    for system in ([], [{"role": "system", "content": "Be brief."}]):
        messages = [*system, {"role": "user", "content": parts}, answer, {"role": "user", "content": "Sure?"}]
        (output,) = engine.llm.chat(
            [messages],
            SamplingParams(temperature=0, max_tokens=4, detokenize=False),
            use_tqdm=False,
            mm_processor_kwargs={"bbox_list": given.tolist()},
        )
        scene = core.look(image, given)
        talk = [Message(m["role"], m["content"]) for m in messages]
        talk[len(system)] = Message("user", [scene, parts[1]["text"]])
        turns = conversation(core.model, talk).turns
        assert output.prompt_token_ids == core.model.prompts.conversation(turns)
