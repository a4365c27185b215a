"""`NameGroup`: where the bundled model could know a name from. Figures of `fo1-scenes` are split by it."""

from __future__ import annotations

from enum import Enum
from functools import cache

from fo1.checkpoints.bundled import bundled
from fo1.checkpoints.native import read_lexicon
from fo1.encoders import names

BUNDLED = "fo1-smol"


class NameGroup(str, Enum):
    """The first that holds, whatever model is asked.

    coco: a class of the detector, or an everyday word for one (`encoders/names/everyday.json`). imagenet: the
    same of the classifier. taught: in the names of the composed data (`names.txt` of the bundled model).
    """

    coco = "COCO"
    imagenet = "ImageNet"
    taught = "taught"
    new = "new"

    @classmethod
    def of(cls, name: str) -> NameGroup:
        """The group of a label."""
        return _groups().get(name, cls.new)


@cache
def _groups() -> dict[str, NameGroup]:
    taught = read_lexicon(bundled()[BUNDLED])
    coco = names.coco()
    everyday = [
        (word, NameGroup.coco if number < len(coco) else NameGroup.imagenet)
        for word, number in reversed(names.everyday())  # COCO's last, so that they hold
    ]
    # Later ones hold.
    return {
        **dict.fromkeys(filter(None, taught), NameGroup.taught),
        **dict.fromkeys(names.imagenet(), NameGroup.imagenet),
        **dict(everyday),
        **dict.fromkeys(coco, NameGroup.coco),
    }
