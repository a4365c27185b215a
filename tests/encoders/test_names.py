"""Everyday words for classes; the class lists themselves are tested with their networks."""

from __future__ import annotations

from fo1.encoders import names

CLASSES = names.coco() + names.imagenet()


def fits(word: str) -> list[int]:
    return [index for alias, index in names.everyday() if alias == word]


def test_every_everyday_word_is_a_plain_one_for_a_class_that_exists() -> None:
    assert len(names.everyday()) > 500
    assert len(set(names.everyday())) == len(names.everyday())
    assert all(0 <= index < len(CLASSES) == 1080 for _, index in names.everyday())
    assert all(word and word == word.strip().lower() for word, _ in names.everyday())
    assert all(word.replace(" ", "").isalpha() for word, _ in names.everyday())


def test_a_dog_is_any_of_imagenets_breeds() -> None:
    assert fits("dog") == [80 + i for i in range(151, 269)]
    assert (CLASSES[fits("dog")[0]], CLASSES[fits("dog")[-1]]) == ("Chihuahua", "Mexican hairless dog")


def test_single_classes_spans_and_both_lists() -> None:
    assert [CLASSES[i] for i in fits("tiger")] == ["tiger"]
    assert [CLASSES[i] for i in fits("sofa")] == ["couch", CLASSES[80 + 831]]
    assert [CLASSES[i] for i in fits("fridge")] == ["refrigerator"]
    assert fits("antelope") == [80 + 351, 80 + 352, 80 + 353]
    assert len(fits("bird")) == 16 + 21 + 20


def test_coco_comes_first() -> None:
    assert fits("mug") == [names.coco().index("cup"), 80 + 504]
    assert CLASSES[80 + 504] == "coffee mug"
