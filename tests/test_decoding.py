from __future__ import annotations

import pytest
import torch

from fo1.decoding import WordsOnly, Written, generate, generate_text
from fo1.errors import PromptError
from fo1.model import Encoded, RegionModel
from fo1.types import Regions
from scripted import saying
from tiny import picture, region_model


@pytest.fixture(scope="module")
def encoded(tiny_model: RegionModel) -> list[Encoded]:
    """Pictures with six, two and no regions."""
    images = [picture(0), picture(1), picture(2)]
    two = Regions.of([[0, 0, 40, 30], [10, 10, 70, 50]], (80, 60))
    return tiny_model.encode(images, [None, two, Regions.empty((80, 60))])


@pytest.mark.parametrize("dynamic", [True, False])
def test_answers_do_not_depend_on_the_batch(dynamic: bool) -> None:
    model = region_model(dynamic=dynamic)
    two = Regions.of([[0, 0, 40, 30], [10, 10, 70, 50]], (80, 60))
    images = model.encode([picture(0), picture(1), picture(2)], [None, two, Regions.empty((80, 60))])
    questions = ["What is <region1>?", "How many?", "<region1> is not here"]
    together = generate_text(model, images, questions, max_new_tokens=8)
    alone = [
        generate_text(model, [i], [q], max_new_tokens=8)[0] for i, q in zip(images, questions, strict=True)
    ]
    assert [answer.ids for answer in together] == [answer.ids for answer in alone]
    assert len({answer.text for answer in together}) == 3
    for one, other in zip(together, alone, strict=True):
        assert len(one.chances) == len(one.ids) and one.chances == pytest.approx(other.chances, abs=1e-4)


def test_text_is_words_only(tiny_model: RegionModel, encoded: list[Encoded]) -> None:
    first = tiny_model.prompts.vocabulary.first_region
    scores = torch.zeros(2, first + 5)
    processed = WordsOnly(first)(torch.zeros(2, 1), scores)
    assert (processed[:, first:] < -1e30).all() and (processed[:, :first] == 0).all()
    (answer,) = generate_text(tiny_model, encoded[:1], ["What?"], max_new_tokens=12)
    assert "<region" not in answer.text and "<ground>" not in answer.text


def test_nothing_to_ask(tiny_model: RegionModel, encoded: list[Encoded]) -> None:
    assert generate_text(tiny_model, [], []) == []
    for empty in ("", " \n"):
        with pytest.raises(PromptError, match="question is empty"):
            generate_text(tiny_model, encoded[:2], ["What?", empty])


def test_questions_and_images_must_match(tiny_model: RegionModel, encoded: list[Encoded]) -> None:
    with pytest.raises(PromptError, match="1 questions for 2 images"):
        generate_text(tiny_model, encoded[:2], ["What?"])


@pytest.fixture(scope="module")
def static() -> tuple[RegionModel, list[Encoded]]:
    """A model that writes region names, and pictures with six, two and no regions."""
    model = region_model(dynamic=False)
    two = Regions.of([[0, 0, 40, 30], [10, 10, 70, 50]], (80, 60))
    return model, model.encode([picture(i) for i in range(3)], [None, two, Regions.empty((80, 60))])


def test_written_ends_before_the_end_and_knows_its_chances(static: tuple[RegionModel, list[Encoded]]) -> None:
    model, (six, *_) = static
    with saying(model, " a<region1>\n", chances={"<region1>": 0.25}):
        (said,) = generate_text(model, [six], ["What?"])
    assert said.ids == tuple(model.prompts.template(" a<region1>\n")) and said.text == "a<region1>"
    assert said.chances == pytest.approx([0.9, 0.9, 0.25, 0.9], abs=1e-5)
    with saying(model, ""):
        assert generate_text(model, [six], ["What?"]) == [Written((), "", ())]


def test_chances_are_those_of_the_models_own_distribution(static: tuple[RegionModel, list[Encoded]]) -> None:
    model, (six, *_) = static
    (said,) = generate_text(model, [six], ["What?"], max_new_tokens=5)
    prompt = model.prompts.prefix(six.sight.ids, 6) + model.prompts.question("What?", 6)
    with torch.inference_mode(), model.bound([six]):
        logits = model.base(torch.tensor([prompt + list(said.ids)])).logits[0, len(prompt) - 1 : -1]
    expected = logits.softmax(-1)[torch.arange(len(said.ids)), list(said.ids)]
    assert said.ids == tuple(logits.argmax(-1).tolist())
    assert said.chances == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize(("beams", "penalty"), [(2, 1.0), (3, 1.0), (1, 1.5), (3, 1.5)])
@pytest.mark.parametrize("dynamic", [True, False])
def test_beams_and_penalties_do_not_depend_on_the_batch(
    static: tuple[RegionModel, list[Encoded]],
    tiny_model: RegionModel,
    encoded: list[Encoded],
    dynamic: bool,
    beams: int,
    penalty: float,
) -> None:
    model, images = (tiny_model, encoded) if dynamic else static
    questions = ["What is <region1>?", "How many?", "<region1> is not here"]
    together = generate_text(model, images, questions, 8, beams, penalty)
    alone = [
        generate_text(model, [i], [q], 8, beams, penalty)[0] for i, q in zip(images, questions, strict=True)
    ]
    assert [answer.ids for answer in together] == [answer.ids for answer in alone]
    assert len({answer.ids for answer in together}) == 3
    if beams > 1:
        assert together[0].chances == ()


def total(model: RegionModel, one: Encoded, said: Written) -> float:
    """The log-probability of an answer."""
    prompt = model.prompts.prefix(one.sight.ids, 6) + model.prompts.question("What?", 6)
    with torch.inference_mode(), model.bound([one]):
        logits = model.base(torch.tensor([prompt + list(said.ids)])).logits[0, len(prompt) - 1 : -1]
    return float(logits.log_softmax(-1)[torch.arange(len(said.ids)), list(said.ids)].sum())


def test_more_beams_find_likelier_answers(static: tuple[RegionModel, list[Encoded]]) -> None:
    model, (six, *_) = static
    greedy, wide = (generate_text(model, [six], ["What?"], 6, beams)[0] for beams in (1, 20))
    assert total(model, six, wide) > total(model, six, greedy)


def test_a_penalty_counts_the_answer_but_not_the_prompt(static: tuple[RegionModel, list[Encoded]]) -> None:
    """Prompts of these models hold slots, for which there are no logits that could be made less likely."""
    model, (six, *_) = static
    plain, fresh = (
        generate_text(model, [six], ["What?"], 12, repetition_penalty=penalty)[0] for penalty in (1, 1e4)
    )
    assert plain.ids[0] == fresh.ids[0]
    assert len(set(fresh.ids)) == len(fresh.ids)


def test_text_without_images_beside_text_with(static: tuple[RegionModel, list[Encoded]]) -> None:
    model, (six, two, _) = static
    template = model.prompts.template
    image = model.prompts.prefix(six.sight.ids, 6) + model.prompts.shown(two.sight.ids, 2, first=6)
    prompts, shown = [template("hello"), image, template("a longer hello")], [[], [six, two], []]
    together = generate(model, prompts, shown, 6)
    assert together[1].ids == generate(model, prompts[1:2], shown[1:2], 6)[0].ids
    # Alone, words are as if the base had never heard of regions.
    for number in (0, 2):
        ids = torch.tensor([prompts[number]])
        with torch.inference_mode():
            plain = model.base.generate(ids, max_new_tokens=6, do_sample=False, eos_token_id=[257])
        assert list(together[number].ids) == [i for i in plain[0, ids.shape[1] :].tolist() if i != 257]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens and beams must be at least 1, got 0 and 1"),
        ({"beams": 0}, "must be at least 1, got 48 and 0"),
        ({"repetition_penalty": 0.0}, "must be above 0, got 0"),
        ({"repetition_penalty": float("nan")}, "must be above 0, got nan"),
    ],
)
def test_settings_that_make_no_sense(
    tiny_model: RegionModel, encoded: list[Encoded], settings: dict[str, float], message: str
) -> None:
    with pytest.raises(PromptError, match=message):
        generate_text(tiny_model, encoded[:1], ["What?"], **settings)


def test_a_bases_own_settings_change_nothing(static: tuple[RegionModel, list[Encoded]]) -> None:
    model, (six, *_) = static
    want = generate_text(model, [six], ["What?"], 6)
    config = model.base.generation_config
    kept = config.to_dict()
    config.update(do_sample=True, temperature=9.0, repetition_penalty=5.0, num_beams=4, top_p=0.9)
    try:
        assert generate_text(model, [six], ["What?"], 6) == want
    finally:
        config.update(**kept)
