"""The temperature at which a model's confidence is right most often: what all log-odds are divided by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import iou
from fo1.checkpoints.native import Native
from fo1.data.images import ImageFiles
from fo1.data.quiz import Quiz
from fo1.errors import Fo1Error
from fo1.evaluation.calibration import Calibration
from fo1.pipeline import FO1

RIGHT, WRONG = 0.5, 0.3  # a region is the thing from this IoU; it is not below that
LEAST, MOST = 0.05, 20.0  # temperatures


class CalibrationError(Fo1Error):
    """Nothing to calibrate with."""


@dataclass
class Observed:
    """Regions a model was asked about; those that overlap a thing somewhat do not count.

    odds: log-odds at temperature 1. right: is the region what it was asked for? image: its number.
    """

    odds: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    image: list[int] = field(default_factory=list)
    images: int = 0
    files: ImageFiles = field(default_factory=ImageFiles)

    def add(self, model: FO1, quiz: Quiz) -> None:
        """Asks about one image. Regions are the model's own proposals."""
        self.images += 1
        if not quiz.labels:
            return
        scene = model.look(self.files.open(quiz.record.image))
        for label, scores in scene.detect(quiz.labels, threshold=0.0).confidence.items():
            things = quiz.truth.get(label, np.zeros((0, 4), np.float32))
            overlap = iou(things, scene.regions.xyxy).max(axis=0, initial=0.0)
            clear = (overlap >= RIGHT) | (overlap < WRONG)
            self.odds += (log_odds(scores[clear]) * model.settings.temperature).tolist()
            self.right += (overlap[clear] >= RIGHT).tolist()
            self.image += [self.images] * int(clear.sum())

    def temperature(self) -> float:
        """The likeliest one. Raises `CalibrationError` if all regions are right, or none."""
        return likeliest(np.array(self.odds), np.array(self.right))

    def error(self, temperature: float) -> float:
        """Calibration error at a temperature."""
        return Calibration.of(chances(np.array(self.odds), temperature).tolist(), self.right).error

    def error_elsewhere(self) -> float | None:
        """Calibration error of each half of the images at the other half's temperature; None if a half has
        none of its own."""
        odds, right = np.array(self.odds), np.array(self.right)
        even = np.array(self.image) % 2 == 0
        scores = np.empty(len(odds))
        for mine in (even, ~even):
            try:
                scores[mine] = chances(odds[mine], likeliest(odds[~mine], right[~mine]))
            except CalibrationError:
                return None
        return Calibration.of(scores.tolist(), self.right).error


def calibrated(model: FO1, temperature: float) -> FO1:
    """The same model at another temperature; its threshold moves along, so that it decides as before."""
    from fo1.checkpoints.attached import Parts

    old, described = model.settings, model.description
    threshold = old.threshold
    if 0 < threshold < 1:
        odds = log_odds(np.array([threshold])) * old.temperature
        threshold = round(float(chances(odds, temperature)[0]), 4)
    if isinstance(described, Native):
        config = replace(described.config, temperature=temperature, threshold=threshold)
        described = replace(described, config=config)
    elif isinstance(described, Parts):
        described = replace(described, config=replace(described.config, temperature=temperature))
    return FO1(model.model, replace(old, temperature=temperature, threshold=threshold), described)


def likeliest(odds: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The temperature under which what is right is likeliest. odds, right: (M,).

    Its inverse is where the likelihood's slope is 0, which is found by halving: the likelihood is concave.
    Raises `CalibrationError` if all are right, or none.
    """
    if not right.any() or right.all():
        which = "every region is right" if right.size and right.all() else "no region is right"
        raise CalibrationError(f"{which}, so no temperature follows; give records with more labelled boxes")
    low, high = 1 / MOST, 1 / LEAST
    for _ in range(50):
        middle = (low + high) / 2
        slope = float(((right - chances(odds, 1 / middle)) * odds).sum())
        low, high = (middle, high) if slope > 0 else (low, middle)
    return 2 / (low + high)


def chances(odds: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Log-odds → chances."""
    return np.exp(-np.logaddexp(0, -odds / temperature))


def log_odds(chances: NDArray[np.floating]) -> NDArray[np.float64]:
    """Chances → log-odds, as far as float32 can tell them from 0 and 1."""
    sure = np.clip(chances.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(sure / (1 - sure))
