from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.vocabulary import RegionVocabulary
from fo1.training.smol.names import conflicts, held_out, table
from fo1.training.smol.questions import QuestionConfig, QuestionMaker, SeenScene
from fo1.training.smol.records import SceneRecord
from fo1.training.smol.thesaurus import Thesaurus
from tiny import byte_tokenizer
from training.miniature import maker, record, rows, same_scene

ALL_NAMES = sorted(set().union(*(table(stem) for stem in ("stamps", "emoji", "openclipart", "furniture"))))
SEEN = [name for name in ALL_NAMES if not held_out(name)]
SEEDS = range(60)
PHRASES = {"left", "right", "top", "bottom", "biggest", "smallest"}


@pytest.fixture(scope="module")
def prompts() -> PromptBuilder:
    tokenizer = byte_tokenizer()
    return PromptBuilder(tokenizer, RegionVocabulary.extend(tokenizer, 100), ChatFormat(region_slots=False))


@pytest.fixture(scope="module")
def asker(prompts: PromptBuilder) -> QuestionMaker:
    return QuestionMaker(prompts, Thesaurus(), SEEN)


@dataclass(frozen=True)
class Asked:
    question: str
    label: str
    target: Tensor

    @property
    def refers(self) -> bool:
        the, _, rest = self.label.partition(" ")
        return the == "the" and rest.split()[0] in PHRASES


def text(prompts: PromptBuilder, ids: Sequence[int]) -> str:
    return prompts.tokenizer.decode(ids)


def asked(prompts: PromptBuilder, scene: SeenScene) -> Iterator[Asked]:
    """What each pick is about, read back from the tokens."""
    (exercise,) = scene.exercises
    tree = exercise.tree
    ends = {tree.last(i): i for i in range(len(tree.ids))}
    for position, _, target in exercise.picks:
        segment = ends[position]
        written = text(prompts, tree.ids[segment])
        assert written.startswith("<ground>") and written.endswith("</ground><objects>")
        question = text(prompts, tree.ids[tree.parents[segment]])
        yield Asked(question, written.removeprefix("<ground>").removesuffix("</ground><objects>"), target)


def answers(prompts: PromptBuilder, scene: SeenScene) -> Iterator[tuple[str, str]]:
    """Question and answer of each text answer in the tree."""
    tree = scene.exercises[0].tree
    for segment, ids in enumerate(tree.ids):
        if ids[-1] == prompts.stop_id and tree.parents[segment] > 0:
            question = text(prompts, tree.ids[tree.parents[segment]])
            yield question.removesuffix(text(prompts, prompts.question("", 0))), text(prompts, ids[:-1])


def random_record(seed: int) -> SceneRecord:
    """Up to four objects of real names, some twice; regions near them and elsewhere; some uncertain names."""
    rng = np.random.default_rng(seed)
    names = [SEEN[i] for i in rng.integers(len(SEEN), size=rng.integers(0, 4))]
    names += names[: rng.integers(0, 2)]
    corners = rng.random((len(names), 2, 2)) * 0.5
    objects = np.concatenate([corners[:, 0], corners[:, 0] + 0.1 + corners[:, 1]], axis=1)
    near = np.tile(objects, (3, 1)) + rng.normal(0, 0.03, (3 * len(objects), 4))
    elsewhere = np.sort(rng.random((6, 2, 2)), axis=1).reshape(-1, 4)
    regions = np.concatenate([near, elsewhere])
    uncertain = [SEEN[i] for i in rng.integers(len(SEEN), size=rng.integers(0, 3))]
    return record(names, objects.tolist(), regions.tolist(), uncertain, seed)


def expected(scene: SceneRecord, kept: list[int], objects: list[int]) -> Tensor:
    """0 up to IoU 0.4, 1 from 0.7, a straight line between."""
    values = [max([float(scene.overlap[row, i]) for i in objects], default=0.0) for row in kept]
    return torch.tensor([min(1.0, max(0.0, (v - 0.4) / 0.3)) for v in values])


def test_labels_are_right_about_the_scene(prompts: PromptBuilder, asker: QuestionMaker) -> None:
    present = absent = 0
    for seed in SEEDS:
        scene = random_record(seed)
        sample = asker(scene, np.random.default_rng(seed))
        kept = rows(sample.features)
        for item in asked(prompts, sample):
            if item.refers:
                continue
            fits = [i for i, n in enumerate(scene.names) if asker.thesaurus.matches(item.label, n)]
            torch.testing.assert_close(item.target, expected(scene, kept, fits), atol=1e-5, rtol=0)
            assert item.label in item.question
            assert not held_out(item.label)
            if fits:
                present += 1
                assert (item.target > 0.5).any(), "a label that nothing shown answers"
                assert not any(asker.thesaurus.matches(item.label, name) for name in scene.uncertain)
            else:
                absent += 1
                assert not any(conflicts(item.label, n) for n in (*scene.names, *scene.uncertain))
    assert present > 50 and absent > 150


def test_every_pick_knows_the_phrase_written_before_it(prompts: PromptBuilder, asker: QuestionMaker) -> None:
    referring = 0
    for seed in SEEDS:
        sample = asker(random_record(seed), np.random.default_rng(seed))
        items = list(asked(prompts, sample))
        assert [item.label for item in items] == [pick.phrase for pick in sample.exercises[0].picks]
        referring += sum(item.refers for item in items)
    assert referring


def test_a_box_counts_by_its_overlap(asker: QuestionMaker) -> None:
    square = [0.0, 0.0, 0.5, 0.5]
    regions = [[0.0, 0.0, 0.5, 0.5 * share] for share in (1, 0.7, 0.55, 0.4, 0.2)]
    scene = record(["orange", "car"], [square, [0.6, 0.6, 0.9, 0.9]], regions)
    words, targets = asker.labels_and_targets(scene, ["hammer", "piano"], 2, np.random.default_rng(0))
    about = dict(zip(words, targets, strict=True))
    torch.testing.assert_close(about["orange"], torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(about["fruit"], about["orange"])
    assert "car" not in about and "vehicle" not in about, "no region covers the car"


def test_matching_labels_are_the_scenes_own_and_then_absent_ones(asker: QuestionMaker) -> None:
    for seed in SEEDS:
        scene = random_record(seed)
        words, targets = asker.labels_and_targets(scene, SEEN, 24, np.random.default_rng(seed))
        assert len(words) == len(set(words)) and targets.shape == (len(words), scene.count)
        for word, target in zip(words, targets, strict=True):
            fits = any(asker.thesaurus.matches(word, name) for name in scene.names)
            assert fits == bool((target > 0.5).any())
            known = (*scene.names, *scene.uncertain)
            assert fits or not any(conflicts(word, name) for name in known)


def test_what_may_be_there_without_a_box_is_not_asked(prompts: PromptBuilder) -> None:
    scene = record(["man", "dog"], [[0.1, 0.1, 0.4, 0.9], [0.5, 0.5, 0.9, 0.9]], uncertain=["person", "cup"])
    asker = maker(
        prompts, ["man", "dog", "cup", "mug", "hammer"], QuestionConfig(hard=0, everyday=0, general=0)
    )
    labels = {
        item.label for seed in SEEDS for item in asked(prompts, asker(scene, np.random.default_rng(seed)))
    }
    assert labels == {"dog", "hammer"}


def test_the_rng_alone_decides(prompts: PromptBuilder, asker: QuestionMaker) -> None:
    scene = random_record(3)
    fresh = QuestionMaker(prompts, Thesaurus(), SEEN)
    one, again = asker(scene, np.random.default_rng(5)), fresh(scene, np.random.default_rng(5))
    assert same_scene(one, again)
    assert not same_scene(one, asker(scene, np.random.default_rng(6)))


def test_a_subset_keeps_regions_overlaps_and_features_together(prompts: PromptBuilder) -> None:
    asker = maker(prompts, config=QuestionConfig(regions=(4, 7)))
    scene = random_record(2)
    counts, orders = set(), set()
    for seed in SEEDS:
        part = asker.subset(scene, np.random.default_rng(seed))
        kept = rows(part.features)
        counts.add(part.count)
        orders.add(kept == sorted(kept))
        assert len(kept) == len(set(kept)) == part.count == len(part.overlap)
        assert torch.equal(part.overlap, scene.overlap[kept])
        everything = [*kept, scene.count]
        for field in ("primary", "auxiliary", "evidence", "boxes"):
            assert torch.equal(getattr(part.features, field), getattr(scene.features, field)[everything])
        assert (part.names, part.uncertain) == (scene.names, scene.uncertain)
    assert counts == {4, 5, 6, 7} and orders == {True, False}


def test_few_regions_are_all_shown(asker: QuestionMaker) -> None:
    scene = record(["cup"], [[0.1, 0.1, 0.4, 0.4]])
    for seed in SEEDS:
        assert rows(asker.subset(scene, np.random.default_rng(seed)).features) == [0]


def test_every_word_is_what_follows_on_its_path(asker: QuestionMaker) -> None:
    words = 0
    for seed in SEEDS:
        (exercise,) = asker(random_record(seed), np.random.default_rng(seed)).exercises
        tree = exercise.tree
        tokens, positions, seen = tree.tokens(), tree.positions(), tree.mask()
        for before, token in exercise.words:
            after = (positions == positions[before] + 1) & (tokens == token) & seen[:, before]
            assert after.any()
            words += 1
    assert words > 200


def test_answers_name_the_object_under_the_region(prompts: PromptBuilder, asker: QuestionMaker) -> None:
    named = 0
    for seed in SEEDS:
        scene = random_record(seed)
        sample = asker(scene, np.random.default_rng(seed))
        kept = rows(sample.features)
        for question, answer in answers(prompts, sample):
            if question.startswith("Provide a brief description for <region"):
                row = kept[int(question.split("<region")[1].split(">")[0])]
                best, which = scene.overlap[row].max(dim=0)
                assert best > 0.6 and answer == f" {scene.names[which]}"
                named += 1
    assert named > 40


def test_every_answer_is_learnt_up_to_its_stop(prompts: PromptBuilder, asker: QuestionMaker) -> None:
    sample = asker(random_record(3), np.random.default_rng(0))
    texts = list(answers(prompts, sample))
    learnt = [token for _, token in sample.exercises[0].words]
    assert texts and learnt.count(prompts.stop_id) == len(texts)
    assert len(learnt) == sum(len(prompts.template(answer)) + 1 for _, answer in texts)


def test_yes_and_no_and_what_is_there(prompts: PromptBuilder, asker: QuestionMaker) -> None:
    said: dict[str, int] = {}
    for seed in range(200):
        scene = random_record(seed)
        for question, answer in answers(prompts, asker(scene, np.random.default_rng(seed))):
            if question.startswith("Is there a "):
                label = question.removeprefix("Is there a ").removesuffix(" in this image?")
                there = any(asker.thesaurus.matches(label, name) for name in scene.names)
                assert answer == (" Yes" if there else " No")
                said[answer] = said.get(answer, 0) + 1
            elif question == "What is in this image?" and scene.names:
                assert not scene.uncertain
                assert answer == " " + ", ".join(sorted(set(scene.names)))
                said["all"] = said.get("all", 0) + 1
    assert set(said) == {" Yes", " No", "all"}


# A small one on the top left, a middle one below it, a big one on the right that reaches lowest.
APPLES = [[0.05, 0.05, 0.15, 0.15], [0.3, 0.3, 0.5, 0.5], [0.6, 0.6, 0.98, 0.98]]
RIGHT_ONE = {"left": 0, "top": 0, "smallest": 0, "right": 2, "bottom": 2, "biggest": 2}


def referred(
    prompts: PromptBuilder, scene: SceneRecord, seeds: range = range(80)
) -> Iterator[tuple[str, Tensor]]:
    """Each phrase asked, with its target by original region."""
    asker = maker(prompts)
    for seed in seeds:
        sample = asker(scene, np.random.default_rng(seed))
        for item in asked(prompts, sample):
            if item.refers:
                original = torch.zeros(scene.count)
                original[rows(sample.features)] = item.target
                yield item.label, original


def test_a_phrase_picks_the_one_it_describes(prompts: PromptBuilder) -> None:
    scene = record(["apple", "apple", "apple", "car"], [*APPLES, [0.0, 0.7, 0.3, 1.0]])
    seen = set()
    for phrase, target in referred(prompts, scene):
        the, word, name = phrase.split()
        assert (the, name) == ("the", "apple")
        assert target.nonzero()[:, 0].tolist() == [RIGHT_ONE[word]]
        seen.add(word)
    assert seen == PHRASES


def test_a_phrase_that_fits_two_things_is_not_asked(prompts: PromptBuilder) -> None:
    twins = [[0.1, 0.1, 0.3, 0.3], [0.6, 0.12, 0.8, 0.32]]
    words = {phrase.split()[1] for phrase, _ in referred(prompts, record(["apple", "apple"], twins))}
    assert words == {"left", "right"}
    assert not list(referred(prompts, record(["apple", "car"], twins)))


def test_no_phrase_for_a_thing_that_no_region_covers(prompts: PromptBuilder) -> None:
    scene = record(["apple"] * 3, APPLES, [APPLES[1], APPLES[2]])
    words = {phrase.split()[1] for phrase, _ in referred(prompts, scene)}
    assert words == {"right", "bottom", "biggest"}


@pytest.mark.parametrize("scene", [record([], []), record(["apple", "apple"], APPLES[:2], [])])
def test_a_scene_without_names_or_regions_can_be_asked_about(
    prompts: PromptBuilder, scene: SceneRecord
) -> None:
    for seed in SEEDS:
        sample = maker(prompts)(scene, np.random.default_rng(seed))
        assert len(sample.features) == scene.count + 1
        assert all(not pick.target.any() for pick in sample.exercises[0].picks)


def test_as_many_labels_as_configured(prompts: PromptBuilder) -> None:
    boxes = [[x / 10, 0.1, x / 10 + 0.1, 0.4] for x in range(8)]
    names = ["orange", "car", "dog", "piano", "hammer", "chair", "shoe", "book"]
    asker = QuestionMaker(prompts, Thesaurus(), SEEN, QuestionConfig(present=2, absent=4, namings=1))
    for seed in SEEDS:
        sample = asker(record(names, boxes), np.random.default_rng(seed))
        there = [bool(item.target.any()) for item in asked(prompts, sample)]
        assert sum(there) <= 2 and len(there) - sum(there) <= 4
        described = [q for q, _ in answers(prompts, sample) if q.startswith("Provide")]
        assert len(described) == 1


def test_the_first_label_is_counted_or_detected_alone(prompts: PromptBuilder, asker: QuestionMaker) -> None:
    tasks = {"How many": 0, "Please detect": 0}
    for seed in SEEDS:
        scene = random_record(seed)
        items = [
            item for item in asked(prompts, asker(scene, np.random.default_rng(seed))) if not item.refers
        ]
        first, rest = items[0], items[1:]
        assert all(item.question != first.question for item in rest)
        assert len({item.question for item in rest}) <= 1
        tasks[next(start for start in tasks if first.question.startswith(start))] += 1
    assert min(tasks.values()) > 15
