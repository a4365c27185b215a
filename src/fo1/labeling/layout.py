"""`Layout`: the formats that votes are exported in."""

from __future__ import annotations

from enum import Enum


class Layout(str, Enum):
    """A tool's files. Boxes and their conventions: docs/labeling.md."""

    coco = "coco"
    yolo = "yolo"
    labelme = "labelme"
    voc = "voc"
    jsonl = "jsonl"
