"""What is asked about an annotated image: every task that its annotations can answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fo1.data.convert.annotated import Annotated, Caption
from fo1.data.plurals import plural
from fo1.data.record import Dialogue, Record, Turn
from fo1.data.settings import SettingError, check_share
from fo1.data.wordings import worded
from fo1.prompts.tasks import MAX_LABEL

_SPECIAL = re.compile(r"</?\s*(?:ground|objects|think|image|region\w*)\s*>", re.IGNORECASE)


@dataclass(frozen=True)
class TaskConfig:
    """Which questions are asked of an image. All defaults are our choice; the paper gives none.

    tasks: names, see `TASK_NAMES`. labels, absent: most present and absent labels in one detection question.
    per_task: most dialogues of one task. paraphrases: share of questions not in the released wording.

    Raises `SettingError` for values that make no sense.
    """

    tasks: tuple[str, ...] = ()
    labels: int = 5
    absent: int = 2
    per_task: int = 3
    paraphrases: float = 0.5

    def __post_init__(self) -> None:
        check_share("paraphrases", self.paraphrases)
        unknown = [task for task in self.tasks if task not in _MAKERS]
        if unknown:
            raise SettingError(f"unknown task {unknown[0]!r}; known are {', '.join(TASK_NAMES)}")
        if not self.tasks:
            object.__setattr__(self, "tasks", TASK_NAMES)
        if self.labels < 1 or self.absent < 0 or self.per_task < 1:
            raise SettingError(
                f"labels {self.labels}, absent {self.absent}, per_task {self.per_task}: at least 1, 0 and 1"
            )


def make_dialogues(
    image: Annotated, rng: np.random.Generator, config: TaskConfig | None = None
) -> tuple[Dialogue, ...]:
    """Dialogues about an image, in the order of `config.tasks`; regions are its boxes, by number.

    Only labels all of whose objects have a box are listed, counted or searched by example. Everything random
    is drawn from `rng`.
    """
    config = config or TaskConfig()
    return tuple(talk for task in config.tasks for talk in _MAKERS[task](image, _Asking(rng, config)))


def make_record(
    image: Annotated, source: str, rng: np.random.Generator, config: TaskConfig | None = None
) -> Record:
    """One record with all dialogues of an image. source: name of the data set.

    `meta` says what negatives and proposals need to know: "exhaustive" false, "partial" and "absent" labels,
    "ignored" boxes. Labels that are absent only because the data set's other images have them are not listed.
    """
    incomplete = sorted(image.partial | {label for label, _ in image.ignored})
    federated = image.absent if image.federated else ()
    notes = {
        "exhaustive": None if image.exhaustive else False,
        "partial": incomplete or None,
        "absent": list(federated) if image.federated else None,
        "ignored": [{"label": name, "box": list(box)} for name, box in image.ignored] or None,
    }
    unlabelled = len(image.boxes) != len(image.labels) or (not image.labels and not image.exhaustive)
    return Record(
        image=image.image,
        boxes=image.boxes,
        dialogues=make_dialogues(image, rng, config),
        scores=image.scores or None,
        source=source,
        labels=None if unlabelled else image.labels,
        id=image.id,
        meta={**image.meta, **{key: value for key, value in notes.items() if value is not None}},
    )


@dataclass(frozen=True)
class _Asking:
    """The random choices of one image."""

    rng: np.random.Generator
    config: TaskConfig

    def dialogue(self, task: str, about: str, answer: str) -> Dialogue:
        question = worded(task, about, self.rng, self.config.paraphrases)
        return Turn("user", question), Turn("assistant", answer)

    def some(self, items: Iterable[object], most: int | None = None) -> list[int]:
        """Numbers of some of the items in random order, by default as many as a task may have dialogues."""
        order = self.rng.permutation(len(list(items)))
        return [int(i) for i in order[: self.config.per_task if most is None else most]]


def grounding(phrase: str, boxes: Iterable[int]) -> str:
    """`<ground>phrase</ground><objects>…</objects>`, regions ascending; `None` if there are none."""
    return f"<ground>{phrase}</ground>{objects(boxes)}"


def objects(boxes: Iterable[int]) -> str:
    """`<objects>…</objects>`, regions ascending, each once; `None` if there are none."""
    names = "".join(map(region, sorted(set(boxes))))
    return f"<objects>{names or None}</objects>"


def region(number: int) -> str:
    """The name of a region (`prompts.vocabulary.region_name`, without what that module loads)."""
    return f"<region{number}>"


def is_plain(text: str | None) -> bool:
    """Can it stand in a prompt: not empty, not too long, no tags of our own?"""
    return text is not None and 0 < len(text.strip()) and len(text) <= MAX_LABEL and not _SPECIAL.search(text)


def _complete(image: Annotated) -> dict[str, list[int]]:
    """Boxes by label, of labels that can be listed."""
    groups = image.by_label()
    return {label: boxes for label, boxes in groups.items() if is_plain(label) and image.is_complete(label)}


def _detect(image: Annotated, asking: _Asking) -> list[Dialogue]:
    """Several labels at once, absent ones among them. Labels with a comma are asked for alone."""
    present = _complete(image)
    names = list(present)
    queue = [names[i] for i in asking.some(names, len(names))]
    denied = [label for label in image.absent if is_plain(label) and "," not in label]
    # Drawn at once, so that no absent label is asked for twice.
    spare = [denied[i] for i in asking.some(denied, asking.config.absent * asking.config.per_task)]
    made: list[Dialogue] = []
    while (queue or (spare and not made)) and len(made) < asking.config.per_task:
        asked = _group(queue, int(asking.rng.integers(1, asking.config.labels + 1)))
        if not asked or "," not in asked[0]:
            extra = int(asking.rng.integers(0 if asked else 1, asking.config.absent + 1))
            asked += [spare.pop() for _ in range(min(extra, len(spare)))]
        asked = [asked[i] for i in asking.some(asked, len(asked))]
        answer = "".join(grounding(label, present.get(label, ())) for label in asked)
        made.append(asking.dialogue("detect", ", ".join(asked), answer))
    return made


def _group(queue: list[str], most: int) -> list[str]:
    """Takes the labels of the next question off the queue."""
    taken: list[str] = []
    while queue and len(taken) < most and not (taken and "," in taken[0] + queue[0]):
        taken.append(queue.pop(0))
    return taken


def _count(image: Annotated, asking: _Asking) -> list[Dialogue]:
    present: dict[str, Sequence[int]] = {**_complete(image)}
    labels = list(present)
    denied = [label for label in image.absent if is_plain(label)]
    chosen = [labels[i] for i in asking.some(labels)]
    # Now and then nothing is to be counted.
    if denied and asking.config.absent and asking.rng.random() < 0.25:
        chosen = [*chosen[: asking.config.per_task - 1], denied[int(asking.rng.integers(len(denied)))]]
    made = []
    for label in chosen:
        boxes = present.get(label, ())
        several = plural(label) if asking.rng.random() < 0.5 else None
        # Glasses are not several of "glass" where both are labels.
        asked = label if several is None or several in labels or several in denied else several
        made.append(asking.dialogue("count", asked, f"{grounding(asked, boxes)} {len(boxes)}"))
    return made


def _refer(image: Annotated, asking: _Asking) -> list[Dialogue]:
    usable = [e for e in image.expressions if is_plain(e.phrase)]
    chosen = [usable[i] for i in asking.some(usable)]
    return [asking.dialogue("detect", e.phrase, grounding(e.phrase, e.boxes)) for e in chosen]


def _per_box(task: str, texts: Sequence[str | None], asking: _Asking) -> list[Dialogue]:
    known = [(number, text) for number, text in enumerate(texts) if text is not None and is_plain(text)]
    chosen = [known[i] for i in asking.some(known)]
    return [asking.dialogue(task, region(number), text) for number, text in chosen]


def _visual_prompt(image: Annotated, asking: _Asking) -> list[Dialogue]:
    groups = _complete(image)
    several, single = (
        [boxes for boxes in groups.values() if (len(boxes) > 1) is many] for many in (True, False)
    )
    chosen = [several[i] for i in asking.some(several)]
    # Now and then there is no other.
    if single and len(chosen) < asking.config.per_task and asking.rng.random() < 0.25:
        chosen.append(single[int(asking.rng.integers(len(single)))])
    made = []
    for boxes in chosen:
        example = boxes[int(asking.rng.integers(len(boxes)))]
        others = objects(number for number in boxes if number != example)
        made.append(asking.dialogue("visual-prompt", region(example), others))
    return made


def _caption(image: Annotated, asking: _Asking) -> list[Dialogue]:
    usable = [c for c in image.image_captions if c.spans and not _SPECIAL.search(c.text)]
    chosen = [usable[i] for i in asking.some(usable)]
    return [asking.dialogue("caption", "", grounded(caption)) for caption in chosen]


def grounded(caption: Caption) -> str:
    """The caption with its spans as groundings."""
    text, end = "", 0
    for span in caption.spans:
        text += caption.text[end : span.start] + grounding(caption.text[span.start : span.end], span.boxes)
        end = span.end
    return text + caption.text[end:]


_MAKERS: dict[str, Callable[[Annotated, _Asking], list[Dialogue]]] = {
    "detect": _detect,
    "count": _count,
    "refer": _refer,
    "name": lambda image, asking: _per_box("name", image.labels, asking),
    "visual-prompt": _visual_prompt,
    "describe": lambda image, asking: _per_box("describe", image.captions, asking),
    "read": lambda image, asking: _per_box("read", image.texts, asking),
    "caption": _caption,
    "ask": lambda image, asking: list(image.talks),
}

TASK_NAMES = tuple(_MAKERS)
