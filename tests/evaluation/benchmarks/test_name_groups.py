from __future__ import annotations

import pytest

from fo1.evaluation.benchmarks.name_groups import NameGroup


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("cup", NameGroup.coco),
        ("mug", NameGroup.coco),  # an everyday word for COCO's cup, and for a class of ImageNet's
        ("ball", NameGroup.coco),
        ("goldfish", NameGroup.imagenet),
        ("parrot", NameGroup.imagenet),  # an everyday word for its macaw
        ("pencil", NameGroup.taught),
        ("saucer", NameGroup.new),
        ("", NameGroup.new),
    ],
)
def test_the_first_that_holds(name: str, group: NameGroup) -> None:
    assert NameGroup.of(name) is group
