"""The networks say what the original ONNX graphs say; see scripts/convert_ppocr.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from fo1.errors import CheckpointError
from fo1.reading.finder import TextFinder
from fo1.reading.reader import FINDER, RECOGNISER, Reader
from fo1.reading.recogniser import Recogniser
from written import reader, sheet

# A line (48, 160, 3) and a page (96, 160, 3) of a written scene, and what onnxruntime made of them: chances
# (20, 335), of the letters that were kept, and the map (96, 160).
KNOWN = np.load(Path(__file__).parent / "ppocr.npz")


def pixels(array: NDArray[np.uint8]) -> torch.Tensor:
    image = Image.fromarray(array)
    return Recogniser.READER([image], image.size, like=torch.zeros(1))


@torch.inference_mode()
def test_as_the_original_networks() -> None:
    ours = reader()
    chances = ours.recogniser(pixels(KNOWN["line"]))[0].numpy()
    np.testing.assert_allclose(chances, KNOWN["chances"], atol=2e-3)
    found = ours.finder(pixels(KNOWN["page"]))[0].numpy()
    np.testing.assert_allclose(found, KNOWN["map"], atol=2e-2)
    assert found.max() > 0.99
    assert ours.recogniser.read([Image.fromarray(KNOWN["line"])])[0].text == "coffee"


def test_a_line_reads_the_same_whatever_is_read_with_it() -> None:
    recogniser = reader().recogniser
    lines = [
        sheet([((4, 4), word)], (width, 40))[0]
        for word, width in (("one", 90), ("two 2", 100), ("three", 300))
    ]
    together = recogniser.read(lines)
    assert [line.text for line in together] == ["one", "two 2", "three"]
    assert all(line.score > 0.9 for line in together)
    for line, picture in zip(together, lines, strict=True):
        (alone,) = recogniser.read([picture])
        assert alone.text == line.text and alone.score == pytest.approx(line.score, abs=1e-3)


def test_repeated_letters_stay_apart_and_blank_pictures_say_nothing() -> None:
    recogniser = reader().recogniser
    chances = torch.zeros(6, len(recogniser.letters) + 1)
    a, b = (recogniser.letters.index(letter) + 1 for letter in "ab")
    for place, (letter, chance) in enumerate([(a, 0.5), (a, 1.0), (0, 1.0), (a, 0.75), (b, 1.0), (b, 0.5)]):
        chances[place, letter] = chance
    text, score = recogniser._decoded(chances)
    assert text == "aab" and score == pytest.approx((0.5 + 0.75 + 1.0) / 3)
    assert recogniser.read([Image.new("RGB", (60, 20), "white")]) == [("", 0.0)]
    assert recogniser.read([]) == []


def test_folders_without_a_reader_and_with_a_broken_one(tmp_path: Path) -> None:
    assert Reader.of(tmp_path) is None
    save_file({"a": torch.zeros(1)}, tmp_path / FINDER)
    save_file({"a": torch.zeros(1)}, tmp_path / RECOGNISER)
    broken = Reader.of(tmp_path)
    assert broken is not None  # nothing is read yet
    with pytest.raises(CheckpointError, match=FINDER):
        _ = broken.finder
    with pytest.raises(CheckpointError, match="names no letters"):
        _ = broken.recogniser
    (tmp_path / RECOGNISER).write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=RECOGNISER):
        _ = broken.recogniser


def test_small_images_are_enlarged_and_large_ones_shrunk() -> None:
    finder = TextFinder()
    assert finder._longest((400, 300)) == 800  # at most twice
    assert finder._longest((1000, 600)) == round(1000 * 736 / 600)
    assert finder._longest((1200, 900)) == 1200
    assert finder._longest((9000, 50)) == finder._longest((4000, 3000)) == 1536
