"""Trains the adapter: loss on answers, learning-rate schedule, budget and early stopping.

The loop is written here and not taken from a trainer class: the loss, the order of the rows, the
schedule over a budget of steps and seconds, the answer to a full memory and the exact resume all
differ from those of `transformers.Trainer`.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from vox_assets.compute.nll import score_rows
from vox_assets.compute.tokens import MASKED, TokenRow
from vox_assets.store.files import atomic_directory
from vox_assets.training.adapter import assemble
from vox_assets.training.plan.spec import TrainingSpec, write_json
from vox_assets.training.program.blocks import packed_batch, separate_batch
from vox_assets.training.program.model import Layout
from vox_assets.training.program.ranks import Ranks
from vox_assets.training.program.reports import Log
from vox_assets.training.program.run_state import (
    CHECKPOINT_WHOLE,
    Interrupt,
    Progress,
    best_dir,
    checkpoint_dir,
    checkpoints,
    read_progress,
    step_of,
)

#: The learning rate rises to its peak until the first share of the run and falls to zero from the
#: second. It is constant in between, as in the QLoRA paper; a short run gains most from the decay.
WARMUP_UNTIL = 0.05
DECAY_FROM = 0.5

MAX_GRADIENT_NORM = 1.0

#: Minimum relative improvement of the watched loss for early stopping.
MIN_IMPROVEMENT = 1e-3

CHECKPOINTS_KEPT = 2
#: File of a checkpoint with the weights of the adapter and the state of the optimiser.
STATE = "state.pt"


class Trainer:
    """Trains the adapter of `model` on packed blocks until the budget is spent.

    Step n takes the n-th run of `blocks_per_step` blocks over all ranks. Each rank takes every
    `ranks.count`-th of them, in micro-batches of as many blocks as its memory holds.
    """

    def __init__(
        self,
        spec: TrainingSpec,
        model: Any,
        layout: Layout,
        blocks: Dataset,
        steps: int,
        watched: Sequence[TokenRow],
        ranks: Ranks,
        interrupt: Interrupt,
        log: Log,
    ) -> None:
        self.model = model
        self.layout = layout
        self.steps = steps
        self.step = 0
        self.progress = Progress()
        #: Why the training has ended; None while it goes on.
        self.stopped_by: str | None = None
        #: True if one of the ranks was interrupted.
        self.interrupted = False
        self.log_path = spec.work_dir / "progress.jsonl"
        self.ranks = ranks
        self._spec = spec
        self._blocks = blocks
        self._watched = watched
        self._interrupt = interrupt
        self._log = log
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(
            self._trained, lr=spec.rank.learning_rate, weight_decay=0.0
        )
        self._started = time.monotonic()
        self._seconds_before = 0.0
        self._tokens_before = 0
        self._evaluation_seconds = 0.0

    def train(self) -> None:
        """Train from the current step until the budget is spent or a rank is interrupted."""
        self._started = time.monotonic()
        if self.ranks.any(self._interrupt.requested):
            self._stop_interrupted()
        elif self._due() and self.progress.evaluated_step != self.step:
            # Before the first step, or where an interrupt came before the evaluation.
            self._evaluate()
        while self.stopped_by is None:
            self._take_step()

    # Time and schedule

    def elapsed(self) -> float:
        """Return the seconds of training, including those before an interruption."""
        return self._seconds_before + time.monotonic() - self._started

    def share_used(self, step: int) -> float:
        """Return the spent share of the budget: the larger of the shares of steps and seconds.

        The seconds are the mean over all ranks after the last step. With a clock per rank the
        learning rates would differ, and so would the weights.
        """
        return max(step / self.steps, self.progress.seconds / self._spec.training.max_seconds)

    def speed(self) -> float:
        """Return the packed tokens per second since this process started training."""
        seconds = max(self.elapsed() - self._seconds_before, 1e-9)
        return (self.progress.tokens - self._tokens_before) / seconds

    # One step

    def _take_step(self) -> None:
        """Train on the blocks of one step; then evaluate, save or stop as all ranks agree."""
        per_step, training = self._spec.training.blocks_per_step, self._spec.training
        first = self.step * per_step
        numbers = range(first + self.ranks.rank, first + per_step, self.ranks.count)
        share = [self._blocks[number] for number in numbers]
        # Dropout of the base, if it has any, is the same after a resume.
        torch.manual_seed(
            training.seed * 1_000_003 + self.step * self.ranks.count + self.ranks.rank
        )
        own_nll, own_answer_tokens = self._backward(share)
        rate = self._spec.rank.learning_rate * rate_factor(self.share_used(self.step))
        count = self.ranks.count
        nll, answer_tokens, tokens, interrupted, seconds, evaluation_seconds = self.ranks.total(
            own_nll,
            own_answer_tokens,
            sum(len(block["input_ids"]) for block in share),
            float(self._interrupt.requested),
            self.elapsed() / count,
            self._evaluation_seconds / count,
        )
        self.ranks.add_gradients(self._trained)
        self._update(answer_tokens, rate)
        self.step += 1
        self.progress.seconds = seconds
        self.progress.tokens += round(tokens)
        self._write_step(nll / max(1.0, answer_tokens), rate)

        # Leave time for the final evaluation, estimated by the duration of the last one.
        out_of_time = seconds + evaluation_seconds >= training.max_seconds
        due = self._due()
        if interrupted:
            self._stop_interrupted()
        elif out_of_time:
            self.stopped_by = f"the budget of {training.max_seconds} s is spent"
        elif self.step >= self.steps:
            self.stopped_by = "all steps are done"
        if not interrupted and (due or self.stopped_by is not None):
            self._evaluate()
        if interrupted or (due and not out_of_time):
            self._save()

    def _due(self) -> bool:
        return self.step % self._spec.training.eval_every_steps == 0

    def _backward(self, blocks: Sequence[Any]) -> tuple[float, int]:
        """Add the gradient of the summed NLL; return the sum and its number of tokens.

        When the memory is full, the share is repeated in smaller micro-batches, which gives the
        same gradient. Raises MemoryError if one block does not fit.
        """
        while True:
            try:
                return self._backward_by(self.layout.micro, blocks)
            except torch.OutOfMemoryError as error:
                detail = str(error).partition("\n")[0]
            # Outside the handler, because the error keeps the activations alive.
            self._optimiser.zero_grad()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.layout.shrink(self.model, detail)
            self._log(f"memory is full: going on with {self.layout}")

    def _backward_by(self, micro: int, blocks: Sequence[Any]) -> tuple[float, int]:
        total = torch.zeros((), dtype=torch.float64, device=self.ranks.device)
        tokens = 0
        make = packed_batch if self.layout.packed else separate_batch
        self.model.train()
        for start in range(0, len(blocks), micro):
            batch = make(blocks[start : start + micro], self.layout.pad_id)
            # Labels stay on the CPU; their positions are found without a wait for the device.
            labels = batch.pop("labels")
            placed = {
                name: values.to(self.ranks.device, non_blocking=True)
                for name, values in batch.items()
            }
            nll = self.model(**placed, labels=labels, answer_nll=True)
            nll.sum().backward()
            total += nll.detach().sum()
            tokens += int((labels[:, 1:] != MASKED).sum())
        return float(total), tokens

    def _update(self, answer_tokens: float, rate: float) -> None:
        """Move the weights by the gradient per answer token of all ranks."""
        for parameter in self._trained:
            if parameter.grad is not None:
                parameter.grad.div_(max(1.0, answer_tokens))
        torch.nn.utils.clip_grad_norm_(self._trained, MAX_GRADIENT_NORM)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self._optimiser.zero_grad()

    def _stop_interrupted(self) -> None:
        self.interrupted = True
        self.stopped_by = f"interrupted: {self._interrupt.reason or 'another rank'}"

    # Evaluation for early stopping

    def _evaluate(self) -> None:
        """Score the watched rows, each on one rank; save the adapter if it is to be kept.

        Without patience the loss decides nothing, so the latest weights are the ones to keep.
        """
        start = time.monotonic()
        scores = score_rows(self.model, self._watched[self.ranks.rank :: self.ranks.count])
        total, tokens = self.ranks.total(
            sum(score.nll for score in scores), sum(score.tokens for score in scores)
        )
        nll = total / tokens if tokens else math.nan
        self._evaluation_seconds = time.monotonic() - start
        progress = self.progress
        if math.isnan(progress.first_nll):
            progress.first_nll = nll
        self._write({"step": self.step, "watched_nll": nll, "seconds": round(self.elapsed(), 1)})
        self._log(f"step {self.step}: held-out loss {nll:.4f} (untrained {progress.first_nll:.4f})")
        progress.evaluated_step = self.step
        if self.step == 0:
            return
        patience = self._spec.training.patience
        if patience is None or nll < progress.best_nll * (1 - MIN_IMPROVEMENT):
            progress.best_nll, progress.best_step = nll, self.step
            progress.looks_without_gain = 0
            if self.ranks.main:
                assemble.save_weights(self.model, best_dir(self._spec, self.step))
        else:
            progress.looks_without_gain += 1
            if progress.looks_without_gain >= patience:
                count = progress.looks_without_gain
                self.stopped_by = f"held-out loss has not fallen for {count} evaluations"

    # Checkpoints and progress

    def _save(self) -> None:
        """Write a checkpoint on rank 0; it appears complete or not at all."""
        if not self.ranks.main:
            return
        with atomic_directory(checkpoint_dir(self._spec, self.step)) as folder:
            weights = {n: p.detach() for n, p in self.model.named_parameters() if p.requires_grad}
            state = {"adapter": weights, "optimiser": self._optimiser.state_dict()}
            torch.save(state, folder / STATE)
            write_json(folder / CHECKPOINT_WHOLE, asdict(self.progress))
        for folder in checkpoints(self._spec)[:-CHECKPOINTS_KEPT]:
            shutil.rmtree(folder)

    def resume(self, checkpoint: Path) -> None:
        """Continue after a checkpoint; delete the lines of later steps from the log."""
        state = torch.load(checkpoint / STATE, map_location=self.ranks.device, weights_only=True)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(state["adapter"][name])
        self._optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(**json.loads((checkpoint / CHECKPOINT_WHOLE).read_text()))
        self._seconds_before = self.progress.seconds
        self._tokens_before = self.progress.tokens
        self.step = step_of(checkpoint)
        self.progress.resumed_from.append(self.step)
        if self.ranks.main:
            lines = read_progress(self.log_path)
            kept = [line for line in lines if line["step"] <= self.step]
            self.log_path.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def _write_step(self, loss: float, rate: float) -> None:
        seconds = self.elapsed()
        per_step = seconds / self.step
        left = min((self.steps - self.step) * per_step, self._spec.training.max_seconds - seconds)
        line = {
            "step": self.step,
            "steps": self.steps,
            "loss": round(loss, 5),
            "learning_rate": rate,
            "tokens": self.progress.tokens,
            "tokens_per_second": round(self.speed(), 1),
            "seconds": round(seconds, 3),
            "seconds_left": round(max(left, 0.0), 1),
        }
        self._write(line)
        self._log(
            f"step {self.step}/{self.steps}  loss {line['loss']:.4f}  "
            f"{line['tokens_per_second']:.0f} tokens/s  {line['seconds_left']:.0f} s left"
        )

    def _write(self, line: dict[str, Any]) -> None:
        if self.ranks.main:
            with self.log_path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


def rate_factor(share: float) -> float:
    """Return the learning rate relative to its peak: warm-up, constant, decay to zero."""
    if share < WARMUP_UNTIL:
        return max(share, 0.2 * WARMUP_UNTIL) / WARMUP_UNTIL
    return min(1.0, max(0.0, (1 - share) / (1 - DECAY_FROM)))
