"""`fo1 track`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from fo1.cli import common
from fo1.cli.jsonfile import dumps
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, Model, Proposer, Settings, Threads, Threshold
from fo1.errors import Fo1Error

MOT = (".txt", ".csv")


def track(
    video: Annotated[str, typer.Argument(metavar="VIDEO", show_default=False)],
    labels: Annotated[str, typer.Option("--labels", "-l", help='What to follow: "car, bus".')],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help="tracks.jsonl, or tracks.txt for MOTChallenge's."),
    ],
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Look at every N-th frame.")] = 5,
    patience: Annotated[int, typer.Option(min=0, help="Frames looked at that a thing may be missing.")] = 5,
    threshold: Threshold = None,
    model: Model = DEFAULT_MODEL,
    proposer: Proposer = None,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Find things in a video and follow them: each keeps its number from frame to frame.

    \b
    Examples:
      fo1 track street.mp4 --labels "car, bus" --out tracks.jsonl
      fo1 track street.mp4 -l car -o tracks.txt --every 2 --threshold 0.6
    """
    common.need("video", "av")
    from fo1.labeling.video import Video
    from fo1.prompts.tasks import clean_labels
    from fo1.tracking import Tracker, rows, to_mot

    names = clean_labels(labels)
    film = Video(video)
    count = -(-len(film) // every)
    with _written(out) as file:
        loaded = common.load_model(Settings(model, device, dtype, threads, proposer))
        tracker, ids = Tracker(patience=patience), set()
        with common.counted(video, count) as done:
            for frame in range(0, count * every, every):
                found = loaded.look(film.frame(frame)).detect(names, threshold)
                numbers = tracker.update(found)
                ids.update(numbers)
                for row in rows(frame, found, numbers):
                    file.write((to_mot(row) if out.suffix.lower() in MOT else dumps(row)) + "\n")
                done(1)
    common.note(f"{len(ids)} tracks in {count} frames: {out}")


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """The file, opened before the model is loaded. Raises `Fo1Error`."""
    try:
        with path.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise Fo1Error(f"--out {path} cannot be written: {error.strerror}") from error
