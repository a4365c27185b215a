"""`Team`: the processes that train one model together, on one machine or many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from fo1.data.settings import SettingError
from fo1.model import RegionModel
from fo1.training.losses import Losses, Prepared, batch_losses
from fo1.training.stage import eyes


class Learner(nn.Module):
    """The losses as a module's forward, which is where sharded weights are put together."""

    def __init__(self, model: RegionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: list[Prepared]) -> Losses:
        return batch_losses(self.model, batch)


def launched_sharded() -> bool:
    """Does `accelerate launch` say that weights are to be split?

    Raises `SettingError` for settings that cannot be followed.
    """
    said = os.environ.get
    if said("ACCELERATE_USE_DEEPSPEED") == "true":
        raise SettingError(
            "DeepSpeed is not supported; FSDP2 splits the same: take those of `fo1 machines gpus_fsdp2`"
        )
    sharded = said("ACCELERATE_USE_FSDP") == "true"
    if sharded and said("FSDP_VERSION") != "2":
        raise SettingError("only FSDP's version 2 is supported; set fsdp_version: 2 in accelerate's settings")
    if sharded and said("FSDP_OFFLOAD_PARAMS") == "true":
        raise SettingError("weights are not offloaded; leave fsdp_offload_params out of the settings")
    return sharded


class Team:
    """What `torchrun` or `accelerate launch` started; a team of one otherwise.

    sharded: every process holds a part of each weight, gradient and optimiser state (FSDP2), and layers are
    put together when they run. Otherwise each holds them all, and only gradients are exchanged.
    """

    def __init__(self, sharded: bool = False) -> None:
        launched_sharded()  # refuses before accelerate follows
        self.state = PartialState(cpu=not torch.accelerator.is_available())
        self.sharded = sharded and self.state.num_processes > 1

    @property
    def rank(self) -> int:
        return int(self.state.process_index)

    @property
    def size(self) -> int:
        return int(self.state.num_processes)

    @property
    def leads(self) -> bool:
        """Is this the process that writes files?"""
        return self.rank == 0

    def shard(self, learner: Learner) -> None:
        """Splits the weights, if the team is sharded: one unit per decoder layer, one for the rest.

        The eyes stay whole: they are frozen, and run before the learner does. So do single numbers, which
        cannot be split.
        """
        if not self.sharded:
            return
        model = learner.model
        kinds = set(model.base._no_split_modules or ())
        for module in list(model.base.get_decoder().modules()):
            if type(module).__name__ in kinds:
                fully_shard(module)
        seeing = eyes(model)
        whole = {p for name, p in model.named_parameters() if name in seeing or not p.ndim}
        fully_shard(learner, ignored_params=whole)

    @contextmanager
    def whole_weights(self, learner: Learner) -> Iterator[None]:
        """Within this context every process holds all weights, so that the model can be asked; all come."""
        sharded = [module for module in learner.modules() if isinstance(module, FSDPModule)]
        for module in sharded:
            module.unshard()
            module.set_reshard_after_forward(False, recurse=False)
        try:
            yield
        finally:
            for module in sharded:
                module.set_reshard_after_forward(True, recurse=False)
                module.reshard()

    def total(self, *values: float) -> list[float]:
        """Each value's sum over the team."""
        return self._agreed(values, dist.ReduceOp.SUM)

    def most(self, value: float) -> float:
        """The largest of the team's values."""
        return self._agreed([value], dist.ReduceOp.MAX)[0]

    def _agreed(self, values: Iterable[float], how: dist.ReduceOp.RedOpType) -> list[float]:
        summed = torch.tensor(list(values), dtype=torch.float64, device=self.state.device)
        if self.size > 1:
            dist.all_reduce(summed, how)
        return cast(list[float], summed.tolist())

    def share_gradients(self, trained: Iterable[nn.Parameter]) -> None:
        """Sums the gradients over the team; zero where nothing was learnt, so that all have the same ones."""
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            elif isinstance(parameter, DTensor):
                parameter.grad.mul_(self.size)  # the backward pass made a mean of them
            if self.size > 1 and not isinstance(parameter, DTensor):
                dist.all_reduce(parameter.grad)

    def clip_gradients(self, trained: Iterable[nn.Parameter], most: float) -> float:
        """Scales the gradients of all to a norm of at most that; returns what it was."""
        parameters = list(trained)
        split = [p for p in parameters if isinstance(p, DTensor)]
        plain = [p for p in parameters if not isinstance(p, DTensor)]
        norms = [nn.utils.get_total_norm([p.grad for p in of if p.grad is not None]) for of in (split, plain)]
        total = torch.stack([self.whole(norm).float() for norm in norms]).norm()
        for of in (split, plain):
            nn.utils.clip_grads_with_norm_(of, most, total.to(self.state.device))
        return float(total)

    def whole(self, value: Tensor) -> Tensor:
        """A weight put together, on the CPU. All processes must ask."""
        full = value.full_tensor() if isinstance(value, DTensor) else value
        return full.detach().cpu()

    @torch.no_grad()
    def assign(self, target: Tensor, value: Tensor) -> None:
        """Writes a whole weight into one that may be sharded."""
        if isinstance(target, DTensor):
            target.copy_(distribute_tensor(value.to(target.device), target.device_mesh, target.placements))
        else:
            target.copy_(value)

    def optimizer_state(self, learner: Learner, optimizer: torch.optim.Optimizer) -> Mapping[str, object]:
        """By names of parameters, so that it is the same for any number of processes."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return get_optimizer_state_dict(learner, optimizer, options=options)

    def restore_optimizer(
        self, learner: Learner, optimizer: torch.optim.Optimizer, state: Mapping[str, object]
    ) -> None:
        """The reverse of `optimizer_state`."""
        options = StateDictOptions(full_state_dict=True)
        set_optimizer_state_dict(learner, optimizer, dict(state), options=options)  # type: ignore[arg-type]

    def wait(self) -> None:
        """For all to come here."""
        self.state.wait_for_everyone()
