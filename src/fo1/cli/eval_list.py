"""`fo1 eval list`."""

from __future__ import annotations


def list_benchmarks() -> None:
    """List the benchmarks: what each measures, its splits, and what its folder must hold.

    \b
    Example:
      fo1 eval list
    """
    from rich.console import Console
    from rich.text import Text

    from fo1.evaluation.benchmarks import BENCHMARKS

    console = Console(highlight=False, markup=False, emoji=False)
    for name in BENCHMARKS.names():
        benchmark = BENCHMARKS.get(name)()
        home = "" if benchmark.home is None else f"; by default {benchmark.home}"
        console.print(Text(name, style="bold"), soft_wrap=True)
        for line in (
            benchmark.description,
            f"splits: {', '.join(benchmark.splits)}",
            f"--data: {benchmark.layout}{home}",
        ):
            console.print(f"  {line}", soft_wrap=True)
