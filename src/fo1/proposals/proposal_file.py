"""`ProposalFile`: proposals written as they come, for `CachedProposals` to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fo1.errors import RegionError
from fo1.proposals.cached import MADE_BY, pixel_key
from fo1.types import Regions


class ProposalFile:
    """One line of JSON per image; the first says by which proposer they were made.

    A file that is there is gone on with; a last line that a killed run left torn is dropped.
    made_by: the proposer's key: its model, words and thresholds.
    Raises `RegionError` for a file that another proposer made, or that cannot be written.
    """

    def __init__(self, path: str | Path, made_by: str) -> None:
        self.path = Path(path)
        self._done: set[str] = set()
        head = json.dumps({MADE_BY: made_by}, ensure_ascii=False)
        try:
            lines = self._whole_lines() if self.path.exists() else []
            if not lines:
                self.path.write_text(head + "\n", encoding="utf-8")
        except OSError as error:
            raise RegionError(f"{path} cannot be written: {error.strerror}") from error
        if lines and lines[0] != head:
            raise RegionError(f"{path} was made by {lines[0][:300]}, not by {made_by}; choose another file")
        self._done = {json.loads(line)["pixels"] for line in lines[1:]}

    def __len__(self) -> int:
        return len(self._done)

    def __contains__(self, image: Image.Image) -> bool:
        """Are there proposals for these pixels?"""
        return pixel_key(image) in self._done

    def add(
        self, name: str, image: Image.Image, regions: Regions, sources: Sequence[str] | None = None
    ) -> None:
        """Appends the boxes of an upright image; it is on its way to the disk when this returns.

        sources: who found each.
        """
        key = pixel_key(image)
        record: dict[str, Any] = {"image": name, "pixels": key, "size": list(image.size)}
        record |= {"boxes": regions.xyxy.tolist(), "scores": regions.scores.tolist()}
        record |= {} if regions.labels is None else {"labels": list(regions.labels)}
        record |= {} if sources is None else {"sources": list(sources)}
        try:
            # A file name need not be valid Unicode; as \udcXX it is at least valid JSON.
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        except OSError as error:
            raise RegionError(f"{self.path} cannot be written: {error.strerror}") from error
        self._done.add(key)

    def _whole_lines(self) -> list[str]:
        """The lines that end, without their ends; what follows them is cut off."""
        data = self.path.read_bytes()
        whole = data.rpartition(b"\n")[0] + b"\n" if b"\n" in data else b""
        try:
            lines = whole.decode("utf-8").split("\n")[:-1]  # file names may hold other ends of lines
            ours = not lines or all(isinstance(json.loads(line), dict) for line in lines)
        except ValueError:
            ours = False
        if not ours or (not whole and data):
            raise RegionError(f"{self.path} is there and holds no proposals; choose another file")
        if len(whole) < len(data):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        return lines
