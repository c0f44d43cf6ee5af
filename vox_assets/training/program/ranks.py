"""Connects the processes of a training: one per GPU, or one on a CPU.

All decisions of a run follow from sums over all processes, so that no process waits for one that
has decided otherwise. Gradients are summed here and not by DistributedDataParallel: a process that
runs out of memory can then repeat its share of a step without the others noticing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist


class Ranks:
    """The processes of one training; `rank` is this one's number, `device` its device."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            # Before anything asks for memory or a dtype: both are those of the current device.
            torch.cuda.set_device(self.device)
        if self.count > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

    @property
    def main(self) -> bool:
        """True in the process that writes files and reports."""
        return self.rank == 0

    def total(self, *values: float) -> list[float]:
        """Sum each value over all processes; every process gets the same sums."""
        if self.count == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return [float(value) for value in sums.tolist()]

    def any(self, condition: bool) -> bool:
        """Return the same answer in every process: whether the condition holds in one of them."""
        return self.total(float(condition))[0] > 0

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes; a missing one counts as zero."""
        if self.count == 1:
            return
        trained = list(parameters)
        flat = torch.cat(
            [
                (p.grad if p.grad is not None else torch.zeros_like(p)).detach().flatten()
                for p in trained
            ]
        )
        dist.all_reduce(flat)
        sizes = [parameter.numel() for parameter in trained]
        for parameter, part in zip(trained, torch.split(flat, sizes), strict=True):
            parameter.grad = part.view_as(parameter)

    def close(self) -> None:
        """Leave the group; the process ends or trains again on its own afterwards."""
        if self.count > 1:
            dist.destroy_process_group()
