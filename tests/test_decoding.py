from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fo1.decoding import LABELS_PER_PASS, LABELS_PER_QUESTION, WordsOnly, generate_text, region_scores
from fo1.errors import PromptError
from fo1.model import Encoded, RegionModel
from fo1.prompts.tasks import TASKS
from fo1.types import Regions
from tiny import BOXES, embeddings, picture, plain_evidence, region_model

DETECT = TASKS["detect"]


@pytest.fixture(scope="module")
def encoded(tiny_model: RegionModel) -> list[Encoded]:
    """Pictures with six, two and no regions."""
    images = [picture(0), picture(1), picture(2)]
    two = Regions.of([[0, 0, 40, 30], [10, 10, 70, 50]], (80, 60))
    return tiny_model.encode(images, [None, two, Regions.empty((80, 60))])


def test_scores_are_chances_of_every_region_for_every_label(
    tiny_model: RegionModel, encoded: list[Encoded]
) -> None:
    scores = region_scores(tiny_model, encoded[0], DETECT, ["cup", "dog"])
    assert scores.shape == (2, len(BOXES)) and scores.dtype == torch.float32
    assert ((scores > 0) & (scores < 1)).all()
    assert scores.std() > 0.05


def test_scores_are_the_pointers_where_the_answer_names_regions(
    tiny_model: RegionModel, encoded: list[Encoded]
) -> None:
    """One label alone, as a plain sequence through the base's own forward, beside the label's words."""
    one, prompts = encoded[0], tiny_model.prompts
    ids = (
        prompts.prefix(one.sight.ids, 6) + prompts.question(DETECT.fill("cup"), 6) + prompts.naming("cup", 6)
    )
    with tiny_model.splice.bound([one.embeddings], [one.image_tokens]), torch.inference_mode():
        hidden = tiny_model.base.model(torch.tensor([ids])).last_hidden_state[0, -1:]
    words = tiny_model.base.get_input_embeddings().weight[prompts.template("cup")]
    expected = tiny_model.splice.pointer(hidden, one.embeddings, words.mean(dim=0, keepdim=True)).sigmoid()
    scores = region_scores(tiny_model, one, DETECT, ["cup"])
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)


def test_scores_count_what_the_classifiers_say() -> None:
    """A region called by a label's very word gains by that alone; its neighbours do not."""
    model = region_model(classes=4)
    (one,) = model.encode([picture(0)], [None])
    labels = [f"thing {i}" for i in range(LABELS_PER_PASS + 2)] + ["cup"]  # "cup" is in the second pass
    words = embeddings(4, 6)
    words[3] = model.phrase_embeddings(["cup"])[0]
    model.encoder.evidence = plain_evidence(words[:2], words[2:])
    called = torch.zeros(len(BOXES), 4)
    plain = region_scores(model, replace(one, evidence=called), DETECT, labels).logit()
    called[2, 3] = 0.5
    said = region_scores(model, replace(one, evidence=called), DETECT, labels).logit()
    gain = model.encoder.evidence.support_gain[1].item()
    assert (said - plain)[-1, 2].item() == pytest.approx(0.5 * gain, abs=1e-3)
    assert (said - plain)[:, [0, 1, 3, 4, 5]].abs().max() < 1e-4


def test_labels_of_one_question_do_not_see_each_others_answers(
    tiny_model: RegionModel, encoded: list[Encoded]
) -> None:
    scores = region_scores(tiny_model, encoded[0], DETECT, ["cup", "dog", "cup"])
    torch.testing.assert_close(scores[0], scores[2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("count", [50, 130])
def test_many_labels_are_asked_in_questions_of_ten(
    tiny_model: RegionModel, encoded: list[Encoded], count: int
) -> None:
    labels = [f"thing {i}" for i in range(count)]
    assert LABELS_PER_PASS % LABELS_PER_QUESTION == 0  # else a pass would cut a question short
    asked = [labels[i : i + LABELS_PER_QUESTION] for i in range(0, count, LABELS_PER_QUESTION)]
    expected = torch.cat([region_scores(tiny_model, encoded[1], DETECT, few) for few in asked])
    together = region_scores(tiny_model, encoded[1], DETECT, labels)
    assert together.shape == (count, 2)
    torch.testing.assert_close(together, expected, atol=1e-5, rtol=0)


def test_temperature_divides_logits(tiny_model: RegionModel, encoded: list[Encoded]) -> None:
    plain = region_scores(tiny_model, encoded[0], DETECT, ["cup"]).logit()
    cooler = region_scores(tiny_model, encoded[0], DETECT, ["cup"], temperature=2.0).logit()
    torch.testing.assert_close(cooler, plain / 2, atol=1e-4, rtol=1e-4)


def test_no_regions_no_labels(tiny_model: RegionModel, encoded: list[Encoded]) -> None:
    assert region_scores(tiny_model, encoded[2], DETECT, ["cup", "dog"]).shape == (2, 0)
    assert region_scores(tiny_model, encoded[0], DETECT, []).shape == (0, 6)


def test_a_static_vocabulary_has_no_scores() -> None:
    model = region_model(dynamic=False)
    (one,) = model.encode([picture(0)], [None])
    with pytest.raises(ValueError, match="dynamic region vocabulary"):
        region_scores(model, one, DETECT, ["cup"])


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
