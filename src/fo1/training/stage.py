"""`Stage`: what one stage of training does; `parameter_groups`: what it trains, and at which rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

import torch
from torch import nn

from fo1.checkpoints import low_rank
from fo1.data.settings import SettingError
from fo1.model import RegionModel

Precision = Literal["float32", "bfloat16"]
LANGUAGE = "language"


@dataclass(frozen=True)
class Stage:
    """One stage. rates: learning rate per pattern of parameter names; what no pattern names stays frozen.

    A name begins with `encoder.`, `splice.`, `auxiliary.`, `base.`; `language.` is the base's text decoder,
    wherever its family keeps it. The first pattern that fits decides.
    batch: images in one forward pass, on each device. accumulate: such batches in one step.
    rank: of low-rank factors beside every linear layer of the decoder, named `language.*.down` and
        `language.*.up`; 0 for none.
    words, drift: weights of the words' mean loss and of the mean drift of what is kept, beside the regions'.
    precision: "bfloat16" computes in it and keeps what is trained in float32.
    recompute: the decoder's activations in the backward pass, for memory (gradient checkpointing).
    average: the trained weights' moving average is what is measured and saved; its decay, 0 for none.
    log_every, save_every, check_every: steps between progress lines, checkpoints, validations (0: never).

    All values are our choice; the paper gives none. Raises `SettingError` for those that make no sense.
    """

    name: str
    steps: int
    rates: Mapping[str, float]
    batch: int = 4
    accumulate: int = 1
    warmup: int = 20
    weight_decay: float = 0.01
    clip: float = 1.0
    rank: int = 0
    words: float = 1.0
    drift: float = 1.0
    precision: Precision = "float32"
    recompute: bool = False
    average: float = 0.0
    log_every: int = 10
    save_every: int = 100
    check_every: int = 0

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch": 1, "accumulate": 1, "save_every": 1, "log_every": 1}
        least |= {"warmup": 0, "rank": 0, "check_every": 0, "words": 0, "drift": 0, "average": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise SettingError(
                    f"stage {self.name}: {name} must be at least {value}, got {getattr(self, name)}"
                )
        if self.precision not in get_args(Precision):
            raise SettingError(
                f"stage {self.name}: precision {self.precision!r}; known are {', '.join(get_args(Precision))}"
            )
        if not self.rates or min(self.rates.values()) <= 0 or self.clip <= 0:
            raise SettingError(f"stage {self.name}: rates and clip must be positive, and something trained")
        if self.average >= 1:
            raise SettingError(f"stage {self.name}: average must be below 1, got {self.average:g}")

    def schedule(self, step: int) -> float:
        """What the rates are multiplied with: linear warm-up, then half a cosine down to 2 %."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return 0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Group:
    """The parameters that one pattern names."""

    pattern: str
    rate: float
    named: dict[str, nn.Parameter]

    @property
    def count(self) -> int:
        """Numbers in them."""
        return sum(parameter.numel() for parameter in self.named.values())


def decoder_name(model: RegionModel) -> str:
    """Where the base keeps its text decoder: `base.model.language_model`, …"""
    decoder = model.base.get_decoder()
    return next(name for name, module in model.named_modules() if module is decoder)


def parameter_groups(model: RegionModel, stage: Stage) -> list[Group]:
    """Makes the stage's parameters trainable, and nothing else.

    Low-rank factors are put in if the stage wants them and they are not there.
    Raises `SettingError` if a pattern names nothing that an earlier one does not, or eyes of the base.
    """
    model.requires_grad_(False)
    decoder = model.base.get_decoder()
    if stage.rank and not low_rank.factors(decoder):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            low_rank.attach(decoder, stage.rank)
        decoder.to(model.device)
    groups = [Group(pattern, rate, {}) for pattern, rate in stage.rates.items()]
    for name, alias, parameter in _aliased(model):
        group = next(
            (g for g in groups if fnmatchcase(alias, g.pattern) or fnmatchcase(name, g.pattern)), None
        )
        if group is not None:
            parameter.requires_grad_(True)
            group.named[name] = parameter
    _check(model, stage, groups)
    return groups


def optimizer_groups(
    groups: Sequence[Group], stage: Stage, trained: Mapping[str, nn.Parameter]
) -> list[dict[str, Any]]:
    """For the optimiser: of each group, the matrices, which decay, and the vectors, which do not.

    trained: the parameters as they are now, by name.
    """
    made = []
    for group in groups:
        parameters = [trained[name] for name in group.named]
        for decay, chosen in (
            (stage.weight_decay, [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim <= 1]),
        ):
            if chosen:
                rates = {"lr": group.rate, "initial_lr": group.rate}
                made.append({"params": chosen, "weight_decay": decay, **rates})
    return made


def table(model: RegionModel, stage: Stage, groups: Sequence[Group]) -> str:
    """What is trained, for people: a line per pattern, then what is frozen."""
    trained = sum(group.count for group in groups)
    total = sum(parameter.numel() for parameter in model.parameters())
    width = max(len(group.pattern) for group in groups)
    lines = [f"stage {stage.name}: {stage.steps} steps of {stage.batch} × {stage.accumulate} images"]
    lines += [f"  {g.pattern:<{width}} {g.count:>13,} parameters  lr {g.rate:g}" for g in groups]
    lines.append(f"  {'frozen':<{width}} {total - trained:>13,} parameters")
    return "\n".join(lines)


def _aliased(model: RegionModel) -> Iterator[tuple[str, str, nn.Parameter]]:
    """Name, name with `language` for the decoder, parameter."""
    prefix = decoder_name(model) + "."
    for name, parameter in model.named_parameters():
        inside = name.startswith(prefix)
        yield name, f"{LANGUAGE}.{name.removeprefix(prefix)}" if inside else name, parameter


def eyes(model: RegionModel) -> set[str]:
    """Names of the parameters by which the base sees, or what sees in its place: always frozen."""
    decoder, head = model.base.get_decoder(), model.base.get_output_embeddings()
    own = {id(p) for part in (decoder, head) for p in part.parameters()}
    seeing = {name for name, p in model.base.named_parameters(prefix="base") if id(p) not in own}
    if isinstance(model.primary, nn.Module):
        seeing |= {name for name, _ in model.primary.named_parameters(prefix="primary")}
    return seeing


def _check(model: RegionModel, stage: Stage, groups: Sequence[Group]) -> None:
    for group in groups:
        if not group.named:
            raise SettingError(
                f"stage {stage.name}: {group.pattern!r} names no parameter, or only those of "
                "patterns before it"
            )
    looking = eyes(model)
    for group in groups:
        seeing = next((name for name in group.named if name in looking), None)
        if seeing is not None:
            raise SettingError(
                f"stage {stage.name}: {group.pattern!r} names {seeing}, but the model's own eyes stay "
                f"frozen; write {LANGUAGE}.* for its decoder"
            )
    wanted = torch.float32
    for group in groups:
        for name, parameter in group.named.items():
            if parameter.dtype == wanted:
                continue
            if stage.precision == "float32":
                raise SettingError(
                    f"stage {stage.name}: {name} is in {parameter.dtype}; load the model in float32, or "
                    'set precision="bfloat16"'
                )
            parameter.data = parameter.data.float()
