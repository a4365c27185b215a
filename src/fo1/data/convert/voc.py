"""Pascal VOC: one XML for each image."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.files import Images, need_folder, read_lines, read_xml, sound_box, tidy
from fo1.data.convert.objects import Object, assemble
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError

WHAT = "Annotations/*.xml and JPEGImages/ (Pascal VOC), or a folder of such XML files"


def read_voc(
    path: Path, images: Path | None = None, split: str | None = None, problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images of a VOC folder (with `Annotations/`) or of a folder of its XML files, by file name.

    images: by default `JPEGImages/` if there is one, else beside the XML. split: only what
        `ImageSets/Main/{split}.txt` lists. All names that any file uses and an image does not are absent.
    `difficult` objects are ignored; parts of objects are left out. Boxes of the VOC challenges count pixels
    from 1, last pixel included; everybody else's are taken as they are.
    Raises `RecordError` for another layout.
    """
    problems = problems or Problems()
    files = xml_files(path)
    if split is not None:
        listed = {
            line.split()[0] for line in read_lines(path / "ImageSets/Main" / f"{split}.txt") if line.strip()
        }
        files = [file for file in files if file.stem in listed]
    if images is None:
        images = next((f for f in (path / "JPEGImages", path / "images") if f.is_dir()), files[0].parent)
    pictures = Images(images, problems)
    trees = [(file, tree) for file in files if (tree := _tree(file, problems)) is not None]
    names = {
        name: None for _, tree in trees for o in tree.iter("object") if (name := tidy(o.findtext("name")))
    }
    for file, tree in trees:
        place = str(file)
        name = (tree.findtext("filename") or "").strip()
        found = pictures.find(name, place) if Path(name).suffix else pictures.find_stem(file.stem, place)
        image = None if found is None else pictures.ref(found)
        if image is not None and image.size is not None:
            yield assemble(image, list(_objects(tree, image.size, place, problems)), names, file.stem)


def xml_files(path: Path) -> list[Path]:
    """The XML files of a folder or of its `Annotations/`. Raises `RecordError` if there is none."""
    folder = path / "Annotations" if (path / "Annotations").is_dir() else need_folder(path, WHAT)
    files = sorted(folder.glob("*.xml"))
    if not files:
        raise RecordError(f"{path}: has no XML files; expected {WHAT}")
    return files


def corners(thing: ET.Element, offset: float) -> list[str | float] | None:
    """x1 y1 x2 y2 of an object as written, `offset` less at the top left; None if it has no box."""
    box = thing.find("bndbox")
    if box is None:
        return None
    x1, y1, x2, y2 = (box.findtext(key, "").strip() for key in ("xmin", "ymin", "xmax", "ymax"))
    try:
        return [float(x1) - offset, float(y1) - offset, x2, y2]
    except ValueError:
        return None


def _tree(file: Path, problems: Problems) -> ET.Element | None:
    try:
        return read_xml(file)
    except RecordError as error:
        problems.add("damaged XML", str(error))
        return None


def _objects(tree: ET.Element, size: tuple[int, int], place: str, problems: Problems) -> Iterator[Object]:
    for number, element in enumerate(tree.findall("object")):
        thing = read_object(tree, element, size, f"{place}, object {number}", problems)
        if thing is not None:
            yield thing


def read_object(
    tree: ET.Element, element: ET.Element, size: tuple[int, int], place: str, problems: Problems
) -> Object | None:
    """One object of a document, on an image of (width, height); None, and a problem, if it has no name."""
    label = tidy(element.findtext("name"))
    if label is None:
        problems.add("category without name", place)
        return None
    origin = f"{tree.findtext('folder', '')} {tree.findtext('source/database', '')}"
    box = sound_box(corners(element, 1.0 if "VOC" in origin else 0.0), size, place, problems)
    return Object(label, box, element.findtext("difficult", "0").strip() == "1")
