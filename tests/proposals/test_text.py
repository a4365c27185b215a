from __future__ import annotations

from PIL import Image

from fo1.boxes import iou
from fo1.proposals.proposer import Selection
from fo1.proposals.text import TextProposer
from written import reader, sheet


def test_boxes_around_lines() -> None:
    page, places = sheet([((30, 40), "Open daily"), ((90, 150), "9 to 5")], (400, 240), 32)
    proposer = TextProposer(reader())
    found, none = proposer.propose([page, Image.new("RGB", (200, 100), "white")])
    assert len(found) == 2 and found.labels == ("text", "text") and found.scores.min() > 0.5
    assert iou(places, found.xyxy).max(axis=1).min() > 0.5
    assert len(none) == 0 and none.image_size == (200, 100)
    one = TextProposer(proposer.reader, selection=Selection(top_k=1))
    assert len(one.propose([page])[0]) == 1 and one.key != proposer.key
