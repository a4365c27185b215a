"""RefCOCO, RefCOCO+ and RefCOCOg: a pickle of expressions beside the instances JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fo1.data.convert.annotated import Annotated, Expression
from fo1.data.convert.coco import picture, read_instances, read_objects
from fo1.data.convert.files import Images
from fo1.data.convert.objects import assemble, targets
from fo1.data.convert.plain_pickle import read_pickle
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError

WHAT = "a RefCOCO folder: refs(unc).p, refs(umd).p or refs(google).p, and instances.json"
_SPLITTERS = ("unc", "umd", "google")  # Google's split shows training images again in val


def read_refcoco(
    path: Path, images: Path | None = None, split: str = "train", problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images with referring expressions, in the order of instances.json.

    path: the folder, or one of its pickles. images: folder of the COCO train2014 images, by default the
    data set's own. split: train, val, test, testA or testB.
    Boxes are all that the image has in instances.json. These are not relied on to be all there is, so only
    expressions, names and descriptions are made of them.
    Raises `RecordError` for another layout or a pickle of more than plain data.
    """
    problems = problems or Problems()
    pickle = _pickle(path)
    refs = _by_image(read_pickle(pickle, WHAT), pickle, split, problems)
    if not refs:
        raise RecordError(f"{pickle}: has nothing in split {split!r}; give another by --split")
    data = read_instances(pickle.parent / "instances.json", problems)
    pictures = Images(images or pickle.parent, problems)
    for image in data.images:
        wanted = refs.pop(str(image.get("id")), None)
        found = picture(image, data.name, pictures) if wanted else None
        if wanted is None or found is None:
            continue
        objects = read_objects(data, image, found, problems)
        numbers = {thing.id: (number,) for number, thing in enumerate(targets(objects))}
        expressions = []
        for annotation, phrase, ref in wanted:
            if annotation in numbers:
                expressions.append(Expression(phrase, numbers[annotation]))
            else:
                problems.add("expression of an object without a box", f"{pickle.name}, ref {ref}")
        made = assemble(found, objects, (), str(image.get("id")))
        yield replace(made, exhaustive=False, expressions=tuple(dict.fromkeys(expressions)))
    for lost in refs:
        problems.add("expressions of an image that is not listed", f"{pickle.name}, image {lost}")


def _pickle(path: Path) -> Path:
    if path.is_file():
        return path
    found = next((f for s in _SPLITTERS if (f := path / f"refs({s}).p").is_file()), None)
    if found is None:
        raise RecordError(f"{path}: expected {WHAT}")
    return found


def _by_image(refs: Any, path: Path, split: str, problems: Problems) -> dict[str, list[tuple[str, str, str]]]:
    """(annotation id, phrase, ref id) of a split, by image id."""
    if not isinstance(refs, list):
        raise RecordError(f"{path}: holds no list of expressions; expected {WHAT}")
    found = defaultdict(list)
    for ref in refs:
        if not isinstance(ref, dict) or not isinstance(ref.get("sentences"), list):
            problems.add("entry without sentences", f"{path.name}: {str(ref)[:60]}")
            continue
        if ref.get("split") != split:
            continue
        name = str(ref.get("ref_id"))
        for sentence in ref["sentences"]:
            words = sentence.get("sent") or sentence.get("raw") if isinstance(sentence, dict) else None
            phrase = " ".join(str(words or "").split())
            if phrase:
                found[str(ref.get("image_id"))].append((str(ref.get("ann_id")), phrase, name))
            else:
                problems.add("empty expression", f"{path.name}, ref {name}")
    return found
