"""The plots of a report, as PNG files (matplotlib, the extra `eval`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fo1.evaluation.analysis import BoxAnalysis, Curve, Errors
from fo1.evaluation.calibration import BINS, Calibration
from fo1.evaluation.extras import extra

ORANGE, BLUE, GREEN, GREY = "#e8701a", "#1e78c8", "#32a05a", "#9a9a9a"
SIZE, DPI = (5.0, 4.0), 110  # inches


def plot_all(folder: Path, analysis: BoxAnalysis) -> dict[str, str]:
    """Draws everything there is to see into a folder: title → file name."""
    curves = {confidence.value: curve for confidence, curve in analysis.curves.items()}
    plots = {"Precision and recall": "pr.png", "Calibration": "calibration.png"}
    plots |= {"Errors by size": "sizes.png", "Errors by number of labels": "labels.png"}
    pr_curves(folder / "pr.png", curves)
    reliability(folder / "calibration.png", analysis.calibration())
    error_bars(folder / "sizes.png", analysis.by_size, "size of the box (COCO)")
    error_bars(folder / "labels.png", analysis.by_labels, "labels asked at once")
    return plots


def pr_curves(path: Path, curves: Mapping[str, Curve]) -> None:
    """One curve per confidence."""
    with _axes(path) as axes:
        for (name, curve), colour in zip(curves.items(), (ORANGE, BLUE, GREEN), strict=False):
            recall, precision = curve.points()
            axes.plot(recall, precision, color=colour, label=f"{name} confidence")
        axes.set(xlabel="recall at IoU 0.5, all labels", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left")


def reliability(path: Path, calibration: Calibration) -> None:
    """The share that is right by confidence, over how many boxes there are of each."""
    edges = np.arange(BINS) / BINS
    with _axes(path) as axes:
        axes.bar(edges, calibration.right, width=1 / BINS, align="edge", color=ORANGE, edgecolor="white")
        share = calibration.count / max(calibration.count.sum(), 1)
        axes.step([*edges, 1], [*share, share[-1]], where="post", color=GREY, label="share of boxes")
        axes.plot([0, 1], [0, 1], "--", color="black", linewidth=1, label="perfect")
        axes.set(xlabel="the model's confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
        axes.set_title(f"expected calibration error {calibration.error:.3f}", fontsize=10)
        axes.legend(loc="upper left")


def error_bars(path: Path, groups: Mapping[str, Errors], title: str) -> None:
    """Found, missed and wrong boxes of each group."""
    places = np.arange(len(groups))
    rows = list(groups.values())
    bars = {
        "found": ([row.hits for row in rows], GREEN),
        "missed": ([row.things - row.hits for row in rows], GREY),
        "wrong": ([row.wrong for row in rows], ORANGE),
    }
    with _axes(path) as axes:
        for number, (name, (counts, colour)) in enumerate(bars.items()):
            axes.bar(places + (number - 1) * 0.27, counts, width=0.25, color=colour, label=name)
        axes.set(xlabel=title, ylabel="boxes at IoU 0.5")
        axes.set_xticks(places, list(groups))
        axes.legend()


@contextmanager
def _axes(path: Path) -> Iterator[Any]:
    """Axes to draw on; the picture is written when the context ends."""
    figure = extra("matplotlib.figure").Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    # The canvas is chosen here, so no screen is needed and pyplot's global state stays untouched.
    canvas = extra("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    yield figure.add_subplot()
    canvas.print_png(str(path))
