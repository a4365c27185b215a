"""Plain talk among the scenes."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from fo1.checkpoints import low_rank
from fo1.data.settings import SettingError
from fo1.model import RegionModel
from fo1.training.losses import batch_losses
from fo1.training.smol.chat import Chat, ChatCourse, PlainTalk, answered, chat_prompts, read_or_answer
from fo1.training.smol.questions import SeenScene
from fo1.training.smol.scenes import SceneCourse
from fo1.training.stage import Stage
from fo1.training.trainer import Trainer
from tiny import region_model
from training.miniature import grounding, maker, training_set

ROOT = Path(__file__).parents[3]
ASKED = ["Is it so?", "What is an apple, then?", "Hello!"]


@pytest.fixture
def model() -> RegionModel:
    return region_model()


def changed(model: RegionModel, size: float) -> None:
    """Low-rank factors that do something."""
    low_rank.attach(model.base.get_decoder(), 2)
    torch.manual_seed(3)
    for name, factor in low_rank.factors(model.base).items():
        factor.data.normal_(0, size) if name.endswith("up") else None


def course(model: RegionModel, chats: list[Chat], apart: int = 2) -> ChatCourse:
    return ChatCourse(SceneCourse(maker(model), training_set(5)), model.prompts, chats, apart)


def test_no_prompt_is_a_question_of_the_measurement() -> None:
    measured = runpy.run_path(str(ROOT / "benchmarks" / "general_ability.py"), run_name="read")["QUESTIONS"]
    prompts = chat_prompts()
    assert len(set(prompts)) == len(prompts) > 250
    assert not {one.lower() for one in prompts} & {one.lower() for one in measured}


def test_the_base_answers_as_it_did_before_training(model: RegionModel) -> None:
    before = answered(model, ASKED, most=5)
    assert [chat.question for chat in before] == ASKED * 2
    assert {chat.system is None for chat in before} == {True, False}
    ids = model.prompts.opening(before[1].system) + model.prompts.template(model.prompts.chat.before_image)
    ids += model.prompts.question(ASKED[1], 0)
    for token in before[1].answer:  # padding changes nothing, and greedy is greedy
        assert model.base(input_ids=torch.tensor([ids])).logits[0, -1].argmax() == token
        ids.append(token)
    changed(model, 0.5)
    assert answered(model, ASKED, most=5) == before


def test_answers_are_kept_in_a_file(model: RegionModel, tmp_path: Path) -> None:
    path = tmp_path / "chats.json"
    made = read_or_answer(model, ASKED, path)
    assert read_or_answer(model, [], path) == made and [one.name for one in tmp_path.iterdir()] == [path.name]


def test_drift_is_the_divergence_from_the_base(model: RegionModel) -> None:
    chats = [chat for chat in answered(model, ASKED, most=5) if chat.system is None]
    talk = PlainTalk.of(chats, model.prompts)
    assert talk.kept == sum(len(chat.answer) for chat in chats) and talk.words == talk.picks == 0
    changed(model, 0.0)
    assert batch_losses(model, [talk]).drift.item() == pytest.approx(0, abs=1e-5)
    model.base.get_decoder().apply(
        lambda layer: layer.up.data.normal_(0, 0.3) if isinstance(layer, low_rank.LowRankLinear) else None
    )
    expected = 0.0
    for chat in chats:
        start = model.prompts.prefix([], 0)[: -len(model.prompts.template(model.prompts.chat.after_image))]
        asked = start + model.prompts.question(chat.question, 0)
        ids = torch.tensor([[*asked, *chat.answer]])
        with torch.no_grad():
            now = model.base(input_ids=ids).logits[0, len(asked) - 1 : -1].log_softmax(dim=1)
            with low_rank.without(model.base):
                then = model.base(input_ids=ids).logits[0, len(asked) - 1 : -1].log_softmax(dim=1)
        expected += (then.exp() * (then - now)).sum().item()
    losses = batch_losses(model, [grounding(model), talk])
    assert expected > 0.1 and losses.drift.item() == pytest.approx(expected, rel=1e-3)
    alone = batch_losses(model, [grounding(model)])
    torch.testing.assert_close(losses.regions, alone.regions, rtol=1e-4, atol=1e-4)
    assert alone.drift == 0


def test_every_third_place_is_plain_talk_also_after_a_resume(model: RegionModel) -> None:
    chats = answered(model, ASKED, most=3)
    whole, first, second = (course(model, chats) for _ in range(3))
    expected = [whole.prepare(whole.take(count)) for count in (3, 1, 2, 6)]
    kinds = [[isinstance(one, SeenScene) for one in step] for step in expected]
    assert kinds == [[True, True, False], [True], [True, False], [True] * 4 + [False] * 2]
    for count in (3, 1):
        first.prepare(first.take(count))
    second.load_state_dict(first.state_dict())
    again = [second.prepare(second.take(count)) for count in (2, 6)]
    trees = [[one.exercises[0].tree for step in steps for one in step] for steps in (again, expected[2:])]
    assert trees[0] == trees[1]


def test_it_holds_the_base_back(model: RegionModel, tmp_path: Path) -> None:
    """The same steps with and without the weight of drift."""
    chats = answered(model, ASKED, most=5)
    rates = {"language.*.down": 1e-2, "language.*.up": 1e-2, "splice.*": 1e-2}
    drifts = []
    for weight in (0.0, 10.0):
        own = region_model()
        stage = Stage(f"drift-{weight:g}", steps=12, batch=3, rank=2, rates=rates, drift=weight, warmup=0)
        run = Trainer(own, course(own, chats), stage, tmp_path)
        assert run.run()
        assert run.history[0].drift == pytest.approx(0, abs=1e-5)
        drifts.append(run.history[-1].drift)
    assert drifts[1] < drifts[0] / 3


def test_without_chats_or_scenes_between(model: RegionModel) -> None:
    for chats, apart in (([], 4), ([Chat(None, "?", (1,))], 0)):
        with pytest.raises(SettingError, match="plain talk needs"):
            course(model, chats, apart)
