from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from fo1.hazards import hazards
from fo1.model import Encoded, RegionModel
from fo1.prompts.tasks import TASKS
from fo1.rating import Rating
from fo1.scoring import LABELS_PER_QUESTION, QUESTIONS_PER_PASS, named_scores, region_scores
from fo1.types import Regions
from scripted import saying
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
    count = LABELS_PER_QUESTION * QUESTIONS_PER_PASS + 2
    labels = [f"thing {i}" for i in range(count)] + ["cup"]  # "cup" is in the second pass
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


def test_with_one_question_for_all_labels_only_their_names_are_read(
    tiny_model: RegionModel, encoded: list[Encoded]
) -> None:
    chat = tiny_model.prompts.chat
    one = replace(encoded[0], begun={})
    try:
        tiny_model.prompts.chat = replace(chat, pointing="Point.")
        together = region_scores(tiny_model, one, DETECT, ["cup", "dog"])
        alone = region_scores(tiny_model, one, DETECT, ["dog"])
    finally:
        tiny_model.prompts.chat = chat
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=0)
    (read,) = one.begun
    said = bytes(token for token in read if token < 256)
    assert b"cup" not in said and b"dog" not in said
    usual = region_scores(tiny_model, encoded[0], DETECT, ["cup", "dog"])
    assert not torch.allclose(together, usual, atol=1e-3)


@pytest.mark.parametrize("count", [50, 130])
def test_many_labels_are_asked_in_questions_of_ten(
    tiny_model: RegionModel, encoded: list[Encoded], count: int
) -> None:
    labels = [f"thing {'and another ' * (i % 7)}{i}" for i in range(count)]  # short questions and long ones
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


def boxes(count: int) -> Regions:
    return Regions.of([[i, i, i + 20, i + 20] for i in range(count)], (80, 60))


def test_groups_do_not_see_each_other() -> None:
    model = region_model(capacity=4)
    (nine,) = model.encode([picture(0)], [boxes(9)])
    together = region_scores(model, nine, DETECT, ["cup", "dog"])
    assert together.shape == (2, 9)
    for rows in (range(4), range(4, 8), range(8, 9)):
        alone = region_scores(model, nine.take(rows), DETECT, ["cup", "dog"])
        torch.testing.assert_close(together[:, list(rows)], alone)


def test_a_region_that_a_label_names_is_seen_by_every_group() -> None:
    model = region_model(capacity=4)
    (nine,) = model.encode([picture(0)], [boxes(9)])
    # The labels' own letters are not the point here; their numbers differ from group to group.
    model.phrase_embeddings = lambda phrases: torch.zeros(len(phrases), 32)
    together = region_scores(model, nine, DETECT, ["like <region7>", "cup"])
    alone = region_scores(model, nine.take([3, 4, 5, 7]), DETECT, ["like <region3>", "cup"])
    torch.testing.assert_close(together[:, 3:6], alone[:, :3])
    assert not torch.allclose(together[0, 3:6], region_scores(model, nine, DETECT, ["like it"])[0, 3:6])


@pytest.fixture(scope="module")
def writer() -> tuple[RegionModel, Encoded]:
    """A model that writes names of up to four regions, and a picture with nine."""
    model = region_model(dynamic=False, capacity=4)
    (nine,) = model.encode([picture(0)], [boxes(9)])
    return model, nine


def line(label: str, *regions: int) -> str:
    named = "".join(f"<region{i}>" for i in regions)
    return f"<ground>{label}</ground><objects>{named}</objects>"


def free(model: RegionModel, encoded: Encoded, labels: Sequence[str]) -> Rating:
    return named_scores(model, encoded, DETECT, labels, constrained=False)


def test_named_regions_score_as_their_names_when_they_were_written(
    writer: tuple[RegionModel, Encoded],
) -> None:
    model, nine = writer
    text = line("Dog", 2, 0) + line("a bird", 1) + line(" cup ", 3)
    with saying(model, text, chances={"<region0>": 0.4, "<region3>": 0.7}):
        said = free(model, nine.take(range(4)), ["cup", "dog"])
    assert said.scores == pytest.approx(np.array([[0, 0, 0, 0.7], [0.4, 0, 0.9, 0]]), abs=1e-5)
    assert said.named.tolist() == [[False, False, False, True], [True, False, True, False]]
    assert said.absence is None and said.answer.text == text
    assert [g.phrase for g in said.answer.groundings] == ["Dog", "a bird", "cup"]


def test_a_region_named_for_two_labels_has_two_scores(writer: tuple[RegionModel, Encoded]) -> None:
    """The second `<region1>` is likelier; of repeats for one label the best counts."""
    model, nine = writer
    with saying(model, line("cup", 1) + line("dog", 1, 2, 2)):
        written = free(model, nine.take(range(4)), ["cup", "dog"]).answer
    model_says = iter([0.2, 0.8, 0.3, 0.6])
    region = model.prompts.vocabulary.first_region

    def rate(_: object, __: object, logits: torch.Tensor) -> torch.Tensor:
        token = int(logits[0, -1].argmax())
        if region <= token < region + 4:
            chance = torch.tensor(next(model_says))
            logits[0, -1, token] = chance.logit() + torch.tensor(logits.shape[-1] - 1.0).log()
        return logits

    with saying(model, written.text):
        handle = model.base.lm_head.register_forward_hook(rate)
        scores = free(model, nine.take(range(4)), ["cup", "dog"]).scores
        handle.remove()
    assert scores == pytest.approx(np.array([[0, 0.2, 0, 0], [0, 0.8, 0.6, 0]]), abs=1e-5)


def test_one_label_is_meant_whatever_the_answer_calls_it(writer: tuple[RegionModel, Encoded]) -> None:
    model, nine = writer
    for text in (line("cups", 1, 3), "<region1> and <region3>", "<objects><region1><region3>"):
        with saying(model, text):
            said = free(model, nine.take(range(4)), ["cup"])
        assert np.flatnonzero(said.named[0]).tolist() == [1, 3] and said.answer.text == text


def test_a_name_spelled_in_letters_is_no_surer_than_the_answer(writer: tuple[RegionModel, Encoded]) -> None:
    model, nine = writer
    with saying(model, model.prompts.user_text("<region2>", 0), usual=0.3):
        said = free(model, nine.take(range(4)), ["cup"])
    assert said.scores[0] == pytest.approx([0, 0, 0.3, 0], abs=1e-5) and said.answer.text == "<region2>"


def test_groups_answer_one_after_another_in_global_numbers(writer: tuple[RegionModel, Encoded]) -> None:
    model, nine = writer
    texts = line("cup", 3, 0), line("cup") + line("dog", 1), line("cup", 0, 2)
    with saying(model, *texts):
        said = free(model, nine, ["cup", "dog"])
    assert said.answer.text == "\n".join(
        [line("cup", 3, 0), line("cup") + line("dog", 5), line("cup", 8, 11)]
    )
    assert said.answer.unknown_regions == (11,), "region 2 of a group of one is none of the nine"
    assert [np.flatnonzero(row).tolist() for row in said.named] == [[0, 3, 8], [5]]


@pytest.mark.parametrize("constrained", [True, False])
def test_named_scores_of_nothing(writer: tuple[RegionModel, Encoded], constrained: bool) -> None:
    model, nine = writer
    with saying(model):  # and nothing is asked
        said = named_scores(model, nine.take([]), DETECT, ["cup", "dog"], constrained)
        assert said.scores.shape == said.named.shape == (2, 0) and said.answer.groundings == ()
        assert said.absence is None or said.absence.tolist() == [1, 1]
        assert named_scores(model, nine, DETECT, [], constrained).scores.shape == (0, 9)


# Decoded by the task's grammar


def step(model: RegionModel, encoded: Encoded, labels: Sequence[str], said: str) -> np.ndarray:
    """Chances of the next token after `said`, of a picture with four regions: regions, then stopping."""
    prompts, tags = model.prompts, model.prompts.vocabulary.tags
    ids = prompts.prefix(encoded.sight.ids, 4) + prompts.question(DETECT.fill(*labels), 4)
    with torch.inference_mode(), model.bound([encoded]):
        logits = model.base(torch.tensor([ids + prompts.answer_text(said, 4)])).logits[0, -1].double()
    first = prompts.vocabulary.first_region
    chances = logits.softmax(-1)[[*range(first, first + 4), tags["</objects>"], prompts.template("None")[0]]]
    stop = chances[4] + chances[5] * said.endswith("<objects>")
    return np.append(chances[:4].numpy(), stop)


def test_every_region_has_its_hazard(writer: tuple[RegionModel, Encoded]) -> None:
    """Read off the model's own distributions, recomputed one by one for the answer that it wrote."""
    model, nine = writer
    four = nine.take(range(4))
    said = named_scores(model, four, DETECT, ["cup", "dog"])
    assert [g.phrase for g in said.answer.groundings] == ["cup", "dog"]
    written = ""
    for number, (label, found) in enumerate(zip(["cup", "dog"], said.answer.groundings, strict=True)):
        written += f"<ground>{label}</ground><objects>"
        steps = [step(model, four, ["cup", "dog"], written)]
        assert said.absence[number] == pytest.approx(steps[0][-1] / steps[0].sum(), rel=1e-3)
        for region in found.regions:
            written += f"<region{region}>"
            steps.append(step(model, four, ["cup", "dog"], written))
        written = said.answer.text[: said.answer.text.index("</objects>", len(written)) + len("</objects>")]
        expected = hazards(np.log(steps), found.regions)
        assert said.scores[number] == pytest.approx(expected, rel=1e-3) and (expected > 0).all()
        assert np.flatnonzero(said.named[number]).tolist() == sorted(found.regions)


def test_an_answer_in_form_is_kept(writer: tuple[RegionModel, Encoded]) -> None:
    model, nine = writer
    text = line("cup", 1, 3) + "<ground>dog</ground><objects>None</objects>"
    with saying(model, text):
        said = named_scores(model, nine.take(range(4)), DETECT, ["cup", "dog"])
    assert said.answer.text == text
    assert [(g.phrase, g.regions) for g in said.answer.groundings] == [("cup", (1, 3)), ("dog", ())]
    assert said.absence[0] < 0.5 < said.absence[1]
    assert (said.scores > 0.5).tolist() == said.named.tolist() == [[False, True, False, True], [False] * 4]


def test_a_count_may_be_told_after_the_list(writer: tuple[RegionModel, Encoded]) -> None:
    model, nine = writer
    text = line("cup", 1) + " There is 1."
    for task, kept in ((TASKS["count"], text), (DETECT, line("cup", 1))):
        with saying(model, text):
            assert named_scores(model, nine.take(range(4)), task, ["cup"]).answer.text == kept


def test_labels_that_look_like_tags_confuse_nobody(writer: tuple[RegionModel, Encoded]) -> None:
    """They are echoed as they are, and what they name is not found for them."""
    model, nine = writer
    labels = ["like <region7>", "<objects>", "</ground><region1>"]
    said = named_scores(model, nine, DETECT, labels)
    assert [g.phrase for g in said.answer.groundings] == labels * 4 and said.answer.unknown_regions == ()
    assert said.answer.text.count("<ground>like <region7></ground><objects>") == 4
    found = [sorted({r for g in said.answer.groundings[i::3] for r in g.regions}) for i in range(3)]
    assert [np.flatnonzero(row).tolist() for row in said.named] == found


def test_groups_score_all_regions_and_agree_that_there_is_none(writer: tuple[RegionModel, Encoded]) -> None:
    model, nine = writer
    together = named_scores(model, nine, DETECT, ["cup"])
    groups = [nine.take(rows) for rows in (range(4), range(4, 8), range(8, 9))]
    alone = [named_scores(model, group, DETECT, ["cup"]) for group in groups]
    assert together.scores[0] == pytest.approx(np.concatenate([one.scores[0] for one in alone]), rel=1e-3)
    assert together.absence[0] == pytest.approx(np.prod([one.absence[0] for one in alone]), rel=1e-3)
    assert (together.scores > 0).all()
