"""Flickr30k Entities: captions whose phrases are marked, and the boxes of what they mean."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from fo1.data.convert.annotated import Annotated, Caption, Span
from fo1.data.convert.files import Images, as_boxes, need_folder, read_lines, read_xml, sound_box
from fo1.data.convert.problems import Problems
from fo1.data.convert.voc import corners
from fo1.data.record import RecordError

WHAT = "Flickr30k Entities: Sentences/*.txt and Annotations/*.xml"
# `[/EN#283585/people Two young guys] look at …`
_PHRASE = re.compile(r"\[/EN#(?P<chain>\d+)(?:/[^\s/\]]+)*\s+(?P<words>[^\]]*)\]")
_LOOSE = re.compile(r" ([,.;:!?])")  # the captions have spaces before punctuation


def read_flickr30k(
    path: Path, images: Path | None = None, split: str | None = None, problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images with grounded captions, by file name.

    images: folder of the images, by default `flickr30k-images/` or `images/` in the data set.
    split: only what `{split}.txt` lists. A phrase such as "two dogs" has several boxes. A phrase is not made
    an expression to find: a man may be one of three. Raises `RecordError` for another layout.
    """
    problems = problems or Problems()
    sentences = need_folder(path / "Sentences", WHAT)
    need_folder(path / "Annotations", WHAT)
    files = sorted(sentences.glob("*.txt"))
    if split is not None:
        listed = set(read_lines(path / f"{split}.txt"))
        files = [file for file in files if file.stem in listed]
    if images is None:
        images = next((f for f in (path / "flickr30k-images", path / "images") if f.is_dir()), path)
    pictures = Images(images, problems)
    for file in files:
        found = pictures.find_stem(file.stem, str(file))
        image = None if found is None else pictures.ref(found)
        if image is None or image.size is None:
            continue
        annotations = path / "Annotations" / f"{file.stem}.xml"
        try:
            boxes, chains = _boxes(annotations, image.size, problems)
            captions = tuple(parse_caption(line, chains) for line in read_lines(file) if line.strip())
        except RecordError as error:
            problems.add("damaged or missing annotation", str(error))
            continue
        yield Annotated(image, as_boxes(boxes), image_captions=captions, exhaustive=False, id=file.stem)


def parse_caption(line: str, chains: dict[str, list[int]]) -> Caption:
    """A marked sentence as plain text with spans. chains: boxes by the number after `EN#`.

    Phrases without a box are text only.
    """
    text, end, spans = "", 0, []
    for match in _PHRASE.finditer(line):
        text += _LOOSE.sub(r"\1", line[end : match.start()])
        words = " ".join(match["words"].split())
        if chains.get(match["chain"]) and words:
            spans.append(Span(len(text), len(text) + len(words), tuple(sorted(chains[match["chain"]]))))
        text, end = text + words, match.end()
    return Caption((text + _LOOSE.sub(r"\1", line[end:])).rstrip(), tuple(spans))


def _boxes(
    path: Path, size: tuple[int, int], problems: Problems
) -> tuple[list[tuple[float, ...]], dict[str, list[int]]]:
    """Boxes of an image, and their numbers by chain; one box may belong to several chains."""
    boxes: list[tuple[float, ...]] = []
    chains: dict[str, list[int]] = defaultdict(list)
    for number, thing in enumerate(read_xml(path).findall("object")):
        if thing.find("bndbox") is None:  # a scene, or something that cannot be seen
            continue
        box = sound_box(corners(thing, 0.0), size, f"{path}, object {number}", problems)
        if box is None:
            continue
        for name in thing.findall("name"):
            chains[(name.text or "").strip()].append(len(boxes))
        boxes.append(box)
    return boxes, chains
