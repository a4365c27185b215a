"""`spread`: an engine of many processes or machines, through Ray Data (`pip install 'fo1[ray]'`).

Two stages run on Ray, with workers and resources of their own: images are read, and boxes proposed if a
proposer is named; a model encodes and answers. The third, writing, is the caller's. A row of Ray's is a batch
of images, cut as the plain engine cuts it and handed back in the order of the sources, so what is written is
the same. Ray starts a worker that died anew and repeats what it had begun; as one process writes, and only
what came back, an image is written once.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from fo1.errors import Fo1Error
from fo1.labeling.ledger import Ledger, Row
from fo1.labeling.pipeline import Ask, Engine, Picture, batches, proposed, rows_of
from fo1.labeling.resources import Resources
from fo1.proposals.proposer import Proposer, key_of

if TYPE_CHECKING:
    from fo1.labeling.sources import Source

BLOCKS = 5000
"""Most tasks of a stage: a run of more batches has several in each."""

Loaded = TypeVar("Loaded")
Known: TypeAlias = Callable[[Any, "str | None"], dict[str, Any]]
Packed: TypeAlias = dict[str, bytes]
"""A row of Ray's: "batch", what one stage hands to the next, pickled."""


class Reader:
    """The first stage. load: of the proposer, called where it works; None if the model proposes."""

    def __init__(self, load: Callable[[], Proposer] | None = None) -> None:
        self._load = load
        self._finder: Proposer | None = None

    def __call__(self, row: Packed) -> Packed:
        pictures = [Picture.read(source) for source in pickle.loads(row["batch"])]
        if self._load is None:
            return {"batch": pickle.dumps((pictures, None))}
        try:
            self._finder = self._load() if self._finder is None else self._finder
        except Fo1Error as error:
            return {"batch": pickle.dumps(error)}
        return {"batch": pickle.dumps((proposed(pictures, self._finder), key_of(self._finder, "")))}


class Answerer:
    """The second stage. load: of the model, called where it works. ask: what is asked of it.

    known: what of it decides its answers; None: `facts`.
    """

    def __init__(
        self, load: Callable[[], Any], ask: Callable[[Any], Ask], known: Known | None = None
    ) -> None:
        self._load, self._ask, self._known = load, ask, known
        self._ready: tuple[Ask, dict[str, Any]] | None = None

    def __call__(self, row: Packed) -> Packed:
        read = pickle.loads(row["batch"])
        if isinstance(read, Fo1Error):
            return row
        pictures, key = read
        try:
            self._ready = self._ready or self._begun()
        except Fo1Error as error:
            return {"batch": pickle.dumps(error)}
        asked, known = self._ready
        return {"batch": pickle.dumps((rows_of(pictures, asked), known | {"proposals": key}))}

    def _begun(self) -> tuple[Ask, dict[str, Any]]:
        from fo1.labeling.facts import facts  # brings torch, without which readers start quicker

        model = self._load()
        return self._ask(model), (self._known or facts)(model, None)


def spread(
    ledger: Ledger,
    load: Callable[[], Any],
    ask: Callable[[Any], Ask],
    finder: Callable[[], Proposer] | None,
    resources: Resources,
    batch: int,
    known: Known | None = None,
) -> Engine:
    """The engine. ledger: told what the workers' models are. Other arguments: see the stages, and `answered`.

    Runs on the cluster that RAY_ADDRESS names, or that runs here, or else on this machine alone.
    Raises `Fo1Error` without Ray, if the workers do not fit, and for what a worker cannot load.
    """
    ray, data = _connected()
    load = partial(_in_folder, os.getcwd(), load)
    finder = None if finder is None else partial(_in_folder, os.getcwd(), finder)
    workers = resources.fitted(ray.cluster_resources())

    def engine(sources: Sequence[Source]) -> Iterator[list[Row]]:
        rows = [{"batch": pickle.dumps(group)} for group in batches(sources, batch)]
        stream = _stages(data, rows, (load, ask, known), finder, resources, workers)
        settled = None
        for row in stream.iter_rows():
            answer = pickle.loads(row["batch"])
            if isinstance(answer, Fo1Error):
                raise answer
            found, told = answer
            if told != settled:
                ledger.settle(told)
                settled = told
            yield found

    return engine


def _in_folder(folder: str, load: Callable[[], Loaded]) -> Loaded:
    """Paths mean what they mean to who began the run, also where Ray was started elsewhere."""
    with suppress(OSError):  # another machine need not have the folder
        os.chdir(folder)
    return load()


def _stages(
    data: Any,
    rows: list[Packed],
    answerer: tuple[Callable[[], Any], Callable[[Any], Ask], Known | None],
    finder: Callable[[], Proposer] | None,
    resources: Resources,
    workers: int,
) -> Any:
    stream = data.from_items(rows, override_num_blocks=min(len(rows), BLOCKS))
    stream.context.execution_options.preserve_order = True
    stream.context.enable_progress_bars = stream.context.print_on_execution_start = False
    shares = {"num_cpus": resources.reader_cpus, "num_gpus": resources.reader_gpus}
    if finder is None:
        stream = stream.map(Reader(), **shares)
    else:
        pool = data.ActorPoolStrategy(size=resources.readers)
        stream = stream.map(Reader, fn_constructor_args=(finder,), compute=pool, **shares)
    pool = data.ActorPoolStrategy(size=workers)
    shares = {"num_cpus": resources.cpus, "num_gpus": resources.gpus}
    return stream.map(Answerer, fn_constructor_args=answerer, compute=pool, **shares)


def _connected() -> tuple[Any, Any]:
    """Ray, quiet and running, and Ray Data."""
    # Read as Ray is imported. It would say at every start that it reports use to its makers, and do so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray: Any = import_module("ray")
        data = import_module("ray.data")
    except ImportError as error:
        raise Fo1Error(f"this needs Ray ({error}); run: pip install 'fo1[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    return ray, data
