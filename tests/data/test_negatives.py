from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from fo1.data.negatives import NegativeMix, Negatives, denied, is_list, joined
from fo1.data.presence import Corpus, Presence
from fo1.data.record import Dialogue, ImageRef, Record, Turn
from fo1.data.settings import SettingError
from fo1.prompts.parsing import parse_answer
from fo1.prompts.tasks import TASKS
from fo1.training.smol import names

FRUIT = ("apple", "banana", "cherry", "lemon", "orange")
SIBLINGS = {fruit: tuple(other for other in FRUIT if other != fruit) for fruit in FRUIT}
COUNTS = {"apple": 5, "banana": 5, "lemon": 5, "person": 900, "car": 60, "knife": 30, "plate": 20, "mug": 5}


def corpus() -> Corpus:
    found = Corpus()
    found.images.update(COUNTS)
    for pair in (("apple", "knife"), ("apple", "plate")):
        found.add(pair)
    return found


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def siblings(label: str) -> tuple[str, ...]:
    return SIBLINGS.get(label, ())


def maker(conflicts: Callable[[str, str], bool] = lambda a, b: a == b, **mix: object) -> Negatives:
    return Negatives(corpus(), NegativeMix(**mix), siblings, conflicts)  # type: ignore[arg-type]


def grounded(label: str, *regions: int) -> str:
    return f"<ground>{label}</ground><objects>{''.join(f'<region{i}>' for i in regions)}</objects>"


def detection(*labels: str, between: str = "") -> Dialogue:
    return (
        Turn("user", TASKS["detect"].fill(*labels)),
        Turn("assistant", between.join(grounded(label, i) for i, label in enumerate(labels))),
    )


def record(*labels: str, dialogues: tuple[Dialogue, ...] | None = None, **meta: object) -> Record:
    asked = (detection(*labels),) if labels and dialogues is None else dialogues or ()
    boxes = [[20.0 * i, 0, 20 * i + 10, 10] for i in range(len(labels))]
    return Record(ImageRef("a.jpg", (400, 300)), np.array(boxes), asked, labels=labels, meta=meta)


def chosen(negatives: Negatives, presence: Presence, runs: int = 300, count: int = 1) -> Counter[str]:
    r = rng()
    return Counter(label for _ in range(runs) for label in negatives.choose(presence, count, r))


def test_kinds() -> None:
    there = Presence(("apple",))
    assert set(chosen(maker(kinds={"random": 1}), there)) == set(COUNTS) - {"apple"}
    assert chosen(maker(kinds={"random": 1}), there).most_common(1)[0][1] < 100
    assert chosen(maker(kinds={"frequent": 1}), there)["person"] > 200
    assert set(chosen(maker(kinds={"sibling": 1}), there)) == set(SIBLINGS["apple"])
    assert set(chosen(maker(kinds={"together": 1}), there)) == {"knife", "plate"}


def test_kinds_are_mixed_by_weight() -> None:
    found = chosen(maker(kinds={"sibling": 3, "together": 1}), Presence(("apple",)), 2000)
    share = sum(found[label] for label in ("knife", "plate")) / 2000
    assert 0.2 < share < 0.3


def test_a_kind_with_nothing_to_offer_leaves_its_turn() -> None:
    found = chosen(maker(kinds={"sibling": 1, "together": 1, "random": 1e-9}), Presence(("person",)))
    assert sum(found.values()) == 300
    assert chosen(maker(kinds={"sibling": 1}), Presence(("person",))) == {}
    assert chosen(maker(kinds={"sibling": 1, "together": 1}), Presence()) == {}


@pytest.mark.parametrize("kind", ["random", "frequent", "sibling", "together"])
def test_never_what_conflicts(kind: str) -> None:
    def conflicts(a: str, b: str) -> bool:
        return a == b or {a, b} in ({"apple", "lemon"}, {"apple", "knife"}, {"mug", "person"})

    there = Presence(("apple",), unsure=("mug",))
    found = chosen(maker(conflicts, kinds={kind: 1}), there)
    assert found and not set(found) & {"apple", "lemon", "knife", "mug", "person"}


def test_nor_two_that_conflict_with_each_other() -> None:
    negatives = maker(lambda a, b: a == b or {a, b} == {"person", "car"}, kinds={"frequent": 1})
    r = rng()
    for _ in range(50):
        found = negatives.choose(Presence(), 4, r)
        assert len(set(found)) == len(found) and not {"person", "car"} <= set(found)


@pytest.mark.parametrize("kind", ["random", "frequent", "sibling"])
def test_federated_data_denies_only_what_is_known_to_be_absent(kind: str) -> None:
    there = Presence(("apple",), unsure=("lemon",), absent=("banana", "lemon", "zebra"))
    found = chosen(maker(kinds={kind: 1}), there)
    expected = {"random": {"banana", "zebra"}, "frequent": {"banana"}, "sibling": {"banana"}}
    assert set(found) == expected[kind]
    assert chosen(maker(), Presence(("apple",), absent=())) == {}


def test_it_works_with_the_projects_own_names() -> None:
    found = Corpus()
    found.images.update({name: 1 for name in ("orange", "tangerine", "fruit", "car", "dog", "lemon", "man")})
    negatives = Negatives(found, NegativeMix(), names.siblings, names.conflicts)
    labels = chosen(negatives, Presence(("orange",)), 200)
    assert {"car", "dog", "man"} <= set(labels) and "fruit" not in labels and "orange" not in labels
    assert not any(names.conflicts(label, "orange") for label in labels)


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.5, 0, 99), (2.3, 0, 99), (1.0, 0, 2), (0.0, 3, 5)])
def test_how_many(ratio: float, least: int, most: int) -> None:
    mix, r = NegativeMix(ratio, least, most), rng()
    numbers = [mix.number(3, r) for _ in range(4000)]
    assert least <= min(numbers) and max(numbers) <= most
    assert np.mean(numbers) == pytest.approx(min(max(ratio * 3, least), most), abs=0.05)


def test_alone() -> None:
    asked = record("apple", "car")
    changed = maker(alone=1.0, least=3, ratio=0)(asked, rng())
    assert changed.dialogues[0] == asked.dialogues[0] and len(changed.dialogues) == 4
    for dialogue in changed.dialogues[1:]:
        (found,) = parse_answer(dialogue[1].text, 2).groundings
        assert dialogue[1].text == denied(found.phrase) and found.regions == ()
        assert dialogue[0].text == TASKS["detect"].fill(found.phrase)


def test_among_what_is_present() -> None:
    asked = record("apple", "car")
    places = set()
    for seed in range(30):
        changed = maker(alone=0.0, least=2, ratio=0)(asked, rng(seed))
        (dialogue,) = changed.dialogues
        answers = parse_answer(dialogue[1].text, 2).groundings
        labels = [found.phrase for found in answers]
        assert dialogue[0].text == TASKS["detect"].fill(*labels) and len(labels) == 4
        assert {found.phrase: found.regions for found in answers if found.regions} == {
            "apple": (0,),
            "car": (1,),
        }
        assert dialogue[1].text.count("None") == 2
        places.add(tuple(found.regions != () for found in answers))
    assert len(places) == 6


def test_wordings_are_used_in_turn() -> None:
    negatives = Negatives(corpus(), NegativeMix(alone=1, least=8), wordings=("Any {}?", "Where is {}?"))
    said = {turn.text.split()[0] for turn in (d[0] for d in negatives(record("apple"), rng()).dialogues[1:])}
    assert said == {"Any", "Where"}


def test_two_runs_are_equal_whatever_the_order_of_counting() -> None:
    other = Corpus()
    for pair in (("apple", "plate"), ("apple", "knife")):
        other.add(pair)
    other.images.update(dict(reversed(COUNTS.items())))
    asked = record("apple", "car")
    runs = [Negatives(c, NegativeMix(least=5), siblings)(asked, rng(3)) for c in (corpus(), other)]
    assert runs[0].to_json() == runs[1].to_json()
    assert runs[0].to_json() != Negatives(corpus(), NegativeMix(least=5), siblings)(asked, rng(4)).to_json()


def test_a_picture_of_nothing_and_one_nobody_labelled() -> None:
    assert len(maker(least=2)(record(), rng()).dialogues) == 2
    unlabelled = Record(ImageRef("a.jpg"), np.zeros((1, 4)), (detection("apple"),))
    assert maker(least=2)(unlabelled, rng()).to_json() == unlabelled.to_json()


def test_nothing_is_asked_twice() -> None:
    asked = record("apple", dialogues=((Turn("user", "mug?"), Turn("assistant", denied("mug"))),))
    for seed in range(30):
        changed = maker(least=8)(asked, rng(seed))
        labels = [f.phrase for d in changed.dialogues for f in parse_answer(d[1].text, 1).groundings]
        assert labels.count("mug") == 1 and len(set(labels)) == len(labels)


def test_labels_that_cannot_stand_in_a_list_or_a_text() -> None:
    odd = Corpus()
    odd.images.update({"bread, sliced": 1, "<region3>": 1})
    changed = Negatives(odd, NegativeMix(alone=0, least=2))(record("apple"), rng())
    assert changed.dialogues[0] == detection("apple")
    assert [d[1].text for d in changed.dialogues[1:]] == [denied("bread, sliced")]


def test_presence_can_be_said() -> None:
    unlabelled = Record(ImageRef("a.jpg"), np.zeros((1, 4)))
    assert len(maker(least=2)(unlabelled, rng(), Presence(("apple",))).dialogues) == 2


@pytest.mark.parametrize(
    ("dialogue", "expected"),
    [
        (detection("apple"), True),
        (detection("apple", "the left car", between="\n"), True),
        ((Turn("system", "Hi."), *detection("apple")), True),
        (detection("a cup, or two", "apple"), False),
        (detection("object"), False),  # "object indexes" is in the instruction too
        ((*detection("apple"), *detection("car")), False),
        ((Turn("user", "How many apples?"), Turn("assistant", grounded("apples", 0) + "1")), False),
        ((Turn("user", "What is there?"), Turn("assistant", grounded("apple", 0))), False),
        ((Turn("user", "Describe <region0>."), Turn("assistant", "An apple.")), False),
        ((Turn("user", "car, apple?"), detection("apple", "car")[1]), False),
    ],
)
def test_which_dialogues_can_take_one_more(dialogue: Dialogue, expected: bool) -> None:
    assert is_list(dialogue) is expected


def test_what_separates_answers_stays() -> None:
    (question, answer) = joined(detection("a cup", "cars", between="\n"), "dog", rng(1))
    assert answer.text.count("\n") == 2 and denied("dog") in answer.text.split("\n")
    assert question.text.count(", ") == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ratio": -1}, "none is negative"),
        ({"least": 5, "most": 3}, "least"),
        ({"alone": 2}, "alone"),
        ({"kinds": {"likely": 1}}, "known are random, frequent"),
        ({"kinds": {"random": 0}}, "one positive"),
        ({"kinds": {"random": 2, "sibling": -1}}, "none is negative"),
        ({"kinds": {}}, "one positive"),
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        NegativeMix(**wrong)  # type: ignore[arg-type]


def test_a_corpus_without_labels() -> None:
    with pytest.raises(SettingError, match="no labels"):
        Negatives(Corpus())
