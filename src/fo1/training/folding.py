"""`fold`: low-rank factors into the weights they stand beside; `check_savable`: will that be all?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fo1.checkpoints import low_rank
from fo1.checkpoints.native import Native
from fo1.data.settings import SettingError
from fo1.pipeline import FO1

STORED = ("encoder.", "splice.", "lexicon.")


def fold(model: FO1) -> None:
    """Merges all factors into the base, which is then made of plain layers again.

    A native checkpoint holds no base, so there they join those that were merged when it was loaded.
    """
    base = model.model.base
    factors = {name: value.detach().clone() for name, value in low_rank.factors(base).items()}
    for parent in list(base.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, low_rank.LowRankLinear):
                setattr(parent, name, child.linear)
    low_rank.merge(base, factors)
    if isinstance(model.description, Native):
        model.description = replace(
            model.description, factors=low_rank.joined(model.description.factors, factors)
        )


def check_savable(model: FO1, trained: Iterable[str]) -> None:
    """Raises `SettingError` if a native checkpoint could not hold what is trained, by names of parameters."""
    if not isinstance(model.description, Native):
        return
    lost = [name for name in trained if not name.startswith(STORED) and not name.endswith((".down", ".up"))]
    if lost:
        raise SettingError(
            f"{model.name} is stored without its base and with its encoders as they came, so {lost[0]} "
            "cannot be trained; train encoder.*, splice.* and, with rank=…, language.*.down and language.*.up"
        )
