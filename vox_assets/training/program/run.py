"""The training program: `python -m vox_assets.training.program.run --spec SPEC.json`.

A process of its own, so that running out of memory ends one step and not the orchestrator; the same
program runs on a CPU, one GPU or several under `accelerate launch`. It resumes what an interrupted
run of the same digest left, and an adapter appears under its digest only when it is whole. What is
trained and how much is decided by the spec; files of the finished adapter are `adapter`'s.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import os
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from datasets import Dataset, concatenate_datasets
from peft import LoraConfig
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer, pack_dataset

from vox_assets.compute.models import preferred_dtype
from vox_assets.compute.nll import add_answer_nll, score_rows, token_weighted
from vox_assets.compute.tokens import MASKED, TokenRow, load_tokenizer, preflight
from vox_assets.mix.build import EVAL, TRAIN, draw_order, watch_ids
from vox_assets.store.progress import quiet_libraries
from vox_assets.training.adapter import manifest as adapter
from vox_assets.training.plan.spec import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    TrainingRefusedError,
    TrainingSpec,
    rows_digest,
    write_json,
)

#: Share of the run that climbs to the peak rate, and from which share on it falls to zero. The
#: middle is constant, as in the QLoRA paper; the fall is what a short run gains most from.
WARMUP_UNTIL = 0.05
DECAY_FROM = 0.5
MAX_GRADIENT_NORM = 1.0
#: Tokens of watched rows that one early-stopping look may read: some seconds on two cores.
WATCH_TOKENS = 6000
#: A look counts as better from this relative fall of the watched loss on.
MIN_IMPROVEMENT = 1e-3
#: Bytes of activations per token and layer are about 2 * (12 * hidden + 6 * intermediate) in
#: bfloat16 with LoRA on every linear layer (measured on SmolLM2-135M: 1.0 GB per 1,024 tokens);
#: they may take this share of the memory at hand before checkpointing trades time for it.
ACTIVATION_SHARE = 0.5
CHECKPOINTS_KEPT = 2
#: Rows that are packed together: enough to fill blocks to some 98 %, few enough that the order of
#: the draw, and with it the shares of a run that ends early, is kept.
PACK_WINDOW = 256
#: Lines of progress that go to the orchestrator's log, at most one in as many seconds: it keeps
#: every line of every run.
SECONDS_BETWEEN_REPORTS = 10.0
#: Written last into a checkpoint: without it a kill came first, and the folder is not resumed.
CHECKPOINT_WHOLE = "whole.json"

Say = Callable[[str], None]

_STEP_LINE = re.compile(r"step \d+/")


@dataclass
class Progress:
    """What early stopping and the budget know; travels with every checkpoint."""

    seconds: float = 0.0
    tokens: int = 0
    best_nll: float = math.inf
    best_step: int = 0
    looks_without_gain: int = 0
    first_nll: float = math.nan
    resumed_from: list[int] = field(default_factory=list)


class Interrupt:
    """Notices that this process should end: a signal, or the launcher that started it is gone.

    Dagster signals only its direct child, the launcher, which dies without telling this process.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._parent = os.getppid()

    def listen(self) -> None:
        """Take SIGINT and SIGTERM as requests; both come here, for Dagster sends the former."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.reason = signal.Signals(number).name

    @property
    def requested(self) -> bool:
        if self.reason is None and os.getppid() != self._parent:
            self.reason = "the launcher ended"
        return self.reason is not None


class AnswerTrainer(SFTTrainer):
    """TRL's trainer with the answer-only kernel, a budgeted schedule and an exact resume."""

    #: Set by `_run` before training.
    budget: Budget
    adapter_dtype: torch.dtype

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        self.budget.count_tokens(inputs.pop("block_tokens"))
        nll = model(**inputs, answer_nll=True)
        count = num_items_in_batch if num_items_in_batch is not None else max(1, len(nll))
        # The count is that of all ranks, and DDP averages gradients over ranks.
        return nll.sum() / count * self.accelerator.num_processes

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        # The blocks come in the order of the draw, epoch after epoch.
        return torch.utils.data.SequentialSampler(train_dataset or self.train_dataset)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer or self.optimizer, lambda step: rate_factor(self.budget.share_used(step))
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        metrics = self.budget.look()
        # The event takes back the request, which would otherwise stand again when the epoch ends.
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_checkpoint(*args, **kwargs)
        set_adapter_dtype(self.model, self.adapter_dtype)


class Budget(TrainerCallback):
    """Steps, seconds, looks at held-out loss, checkpoints and progress lines of one run."""

    #: Set by `_run` before training.
    trainer: AnswerTrainer

    def __init__(
        self,
        spec: TrainingSpec,
        steps: int,
        watched: Sequence[TokenRow],
        interrupt: Interrupt,
        say: Say,
    ) -> None:
        self.spec = spec
        self.steps = steps
        self.progress = Progress()
        self.stopped_by = "all steps are done"
        self.log_path = spec.work_dir / "progress.jsonl"
        self._watched = watched
        self._interrupt = interrupt
        self._say = say
        self._started = time.monotonic()
        self._seconds_before = 0.0
        self._tokens_before = 0
        self._look_seconds = 0.0
        self._tokens_of_step = 0

    # Accounts

    def resume(self, checkpoint: Path) -> None:
        """Take up the progress of a checkpoint; lines of later steps leave the log."""
        self.progress = Progress(**json.loads((checkpoint / CHECKPOINT_WHOLE).read_text()))
        self._seconds_before = self.progress.seconds
        self._tokens_before = self.progress.tokens
        step = _step_of(checkpoint)
        self.progress.resumed_from.append(step)
        if _is_main():
            lines = read_progress(self.log_path)
            kept = [line for line in lines if line["step"] <= step]
            self.log_path.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def elapsed(self) -> float:
        """Seconds of training, those before an interruption included."""
        return self._seconds_before + time.monotonic() - self._started

    def share_used(self, step: int) -> float:
        """Share of the budget that is spent, by steps or by seconds, whichever is further.

        Seconds are those that all ranks agreed on after the last step: with clocks of their own
        their rates would differ, and with them their weights.
        """
        return max(step / self.steps, self.progress.seconds / self.spec.training.max_seconds)

    def count_tokens(self, tokens: torch.Tensor) -> None:
        self._tokens_of_step += int(tokens.sum())

    def speed(self) -> float:
        """Packed tokens per second of this process since it started training."""
        seconds = max(self.elapsed() - self._seconds_before, 1e-9)
        return (self.progress.tokens - self._tokens_before) / seconds

    # Looks at held-out loss

    def look(self) -> dict[str, float]:
        """Score the watched rows, keep the adapter when it is the best so far."""
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        begun = time.monotonic()
        nll = token_weighted(score_rows(model, self._watched))
        self._look_seconds = time.monotonic() - begun
        step, progress = self.trainer.state.global_step, self.progress
        if math.isnan(progress.first_nll):
            progress.first_nll = nll
        self._write({"step": step, "watched_nll": nll, "seconds": round(self.elapsed(), 1)})
        self._say(f"step {step}: held-out loss {nll:.4f} (untrained {progress.first_nll:.4f})")
        if step == 0:
            return {"eval_nll": nll}
        if nll < progress.best_nll * (1 - MIN_IMPROVEMENT):
            progress.best_nll, progress.best_step = nll, step
            progress.looks_without_gain = 0
            if _is_main():
                adapter.save_weights(model, best_dir(self.spec, step))
        else:
            progress.looks_without_gain += 1
            if progress.looks_without_gain >= self.spec.training.patience:
                self._stop(f"held-out loss has not fallen for {progress.looks_without_gain} looks")
        return {"eval_nll": nll}

    # Trainer events

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.monotonic()
        if state.global_step == 0:
            self.look()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        ranks = self.trainer.accelerator.num_processes
        interrupted, seconds, tokens, look_seconds = self._over_ranks(
            float(self._interrupt.requested),
            self.elapsed() / ranks,
            float(self._tokens_of_step),
            self._look_seconds / ranks,
        )
        self.progress.seconds = seconds
        self.progress.tokens += round(tokens)
        self._tokens_of_step = 0
        # The last look belongs to the budget too.
        out_of_time = seconds + look_seconds >= self.spec.training.max_seconds
        if interrupted:
            self._stop(f"interrupted: {self._interrupt.reason or 'another rank'}")
            control.should_save = True
        elif out_of_time:
            self._stop(f"the budget of {self.spec.training.max_seconds} s is spent")
            control.should_evaluate = True
        elif state.global_step % self.spec.training.eval_every_steps == 0:
            control.should_evaluate = control.should_save = True
        if state.global_step >= self.steps:
            control.should_evaluate = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        step, seconds = state.global_step, self.elapsed()
        per_step = seconds / max(step, 1)
        left = min((self.steps - step) * per_step, self.spec.training.max_seconds - seconds)
        line = {
            "step": step,
            "steps": self.steps,
            "loss": round(float(logs["loss"]), 5),
            "learning_rate": float(logs.get("learning_rate", 0.0)),
            "tokens": self.progress.tokens,
            "tokens_per_second": round(self.speed(), 1),
            "seconds": round(seconds, 3),
            "seconds_left": round(max(left, 0.0), 1),
        }
        self._write(line)
        self._say(
            f"step {step}/{self.steps}  loss {line['loss']:.4f}  "
            f"{line['tokens_per_second']:.0f} tokens/s  {line['seconds_left']:.0f} s left"
        )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if _is_main():
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_json(checkpoint / CHECKPOINT_WHOLE, asdict(self.progress))

    def _stop(self, reason: str) -> None:
        self.stopped_by = reason
        self.trainer.control.should_training_stop = True

    def _over_ranks(self, *values: float) -> list[float]:
        """Each value summed over all ranks, which thereby decide alike."""
        accelerator = self.trainer.accelerator
        if accelerator.num_processes == 1:
            return list(values)
        mine = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
        return accelerator.reduce(mine, reduction="sum").tolist()

    def _write(self, line: dict[str, Any]) -> None:
        if _is_main():
            with self.log_path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


def rate_factor(share: float) -> float:
    """Learning rate at a share of the budget, as a share of the peak: climb, hold, fall to zero."""
    if share < WARMUP_UNTIL:
        return max(share, 0.2 * WARMUP_UNTIL) / WARMUP_UNTIL
    return min(1.0, max(0.0, (1 - share) / (1 - DECAY_FROM)))


def collate_blocks(pad_id: int) -> Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]:
    """Packed blocks side by side, each with positions that restart at every row.

    TRL's padding-free collator lays all blocks end to end, where attention costs the square of the
    sum; transformers builds the same block-diagonal mask from positions in two dimensions.
    """

    def collate(blocks: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(len(block["input_ids"]) for block in blocks)
        shape = (len(blocks), longest)
        ids = torch.full(shape, pad_id)
        labels = torch.full(shape, MASKED)
        positions = torch.zeros(shape, dtype=torch.long)
        for index, block in enumerate(blocks):
            size = len(block["input_ids"])
            ids[index, :size] = torch.tensor(block["input_ids"])
            labels[index, :size] = torch.tensor(block["labels"])
            # Padding is one more row of its own, which nothing attends to.
            lengths = [*block["seq_lengths"], longest - size]
            positions[index] = torch.cat([torch.arange(length) for length in lengths])
        # The first token of a row is predicted from the row before it.
        labels[positions == 0] = MASKED
        sizes = torch.tensor([len(block["input_ids"]) for block in blocks])
        return {
            "input_ids": ids,
            "labels": labels,
            "position_ids": positions,
            "block_tokens": sizes,
        }

    return collate


def set_adapter_dtype(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Give every trained tensor `dtype`: a resumed adapter comes back as float32."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def needs_checkpointing(config: Any, micro_tokens: int) -> bool:
    """Whether the activations of `micro_tokens` tokens would crowd the memory at hand."""
    text = config.get_text_config()
    intermediate = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    per_token = 2 * text.num_hidden_layers * (12 * text.hidden_size + 6 * intermediate)
    if torch.cuda.is_available():
        available = torch.cuda.mem_get_info()[0]
    else:
        import psutil  # type: ignore[import-untyped]

        available = psutil.virtual_memory().available
    return per_token * micro_tokens > ACTIVATION_SHARE * available


def best_dir(spec: TrainingSpec, step: int) -> Path:
    """Where the weights of a look that was the best so far are kept."""
    return spec.work_dir / f"best-{step}"


def read_progress(path: Path) -> list[dict[str, Any]]:
    """Lines of a progress log; a line that a kill cut short is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def run(spec: TrainingSpec, interrupt: Interrupt, say: Say) -> dict[str, Any]:
    """Train what `spec` describes, or take up where an interrupted run of it stopped.

    Returns facts for the orchestrator with `status` one of `complete`, `already complete` and
    `interrupted`. Raises TrainingRefusedError, by name, for a mix other than the spec's, rows that
    preflight rejects, a damaged adapter under this digest, and a digest that is being trained.
    """
    if spec.adapter_dir.exists():
        faults = adapter.verify(spec.adapter_dir)
        if faults:
            raise TrainingRefusedError(
                f"adapter {spec.adapter_dir} is there and damaged: {'; '.join(faults)}; "
                f"remove it to train it again"
            )
        say(f"adapter {spec.digest} is complete already")
        return {"status": "already complete", "digest": spec.digest}
    try:
        mix = pl.read_parquet(spec.mix_path)
    except OSError as error:
        raise TrainingRefusedError(f"mix {spec.mix_path} cannot be read: {error}") from error
    found = rows_digest(mix)
    if found != spec.rows_digest:
        raise TrainingRefusedError(
            f"{spec.mix_path} holds rows {found}, but the spec was made for {spec.rows_digest}"
        )
    spec.work_dir.mkdir(parents=True, exist_ok=True)
    with _alone(spec):
        owner = spec.work_dir / "spec.json"
        if owner.exists() and TrainingSpec.read(owner).digest != spec.digest:
            raise TrainingRefusedError(
                f"work folder {spec.work_dir} belongs to digest {TrainingSpec.read(owner).digest}, "
                f"not to {spec.digest}: it is not resumed"
            )
        if _is_main():
            spec.write(owner)
        return _run(spec, mix, interrupt, say)


def _run(spec: TrainingSpec, mix: pl.DataFrame, interrupt: Interrupt, say: Say) -> dict[str, Any]:
    tokenizer = load_tokenizer(spec.base_path)
    # Sorted, so that the same rows train alike in whatever order they were stored.
    mix = mix.sort("pair_id")
    train_rows, eval_rows = (
        preflight(
            mix.filter(pl.col("split") == side).select("pair_id", "messages").iter_rows(),
            tokenizer,
            spec.context,
        )
        for side in (TRAIN, EVAL)
    )
    watched = _watched(eval_rows, watch_ids(mix))
    say(f"preflight: {len(train_rows)} training rows and {len(eval_rows)} held-out rows are whole")

    weight_of = dict(mix.select("pair_id", "weight").iter_rows())
    weights = np.array([weight_of[row.pair_id] for row in train_rows])
    world = int(os.environ.get("WORLD_SIZE", "1"))
    # Blocks of one rank and step; more ranks than blocks take one each.
    micro = max(1, spec.training.blocks_per_step // world)
    blocks, block, steps = training_stream(train_rows, weights, spec, micro * world)
    trainer = _trainer(spec, tokenizer, blocks, block, micro)
    trainer.args.max_steps = steps
    say(
        f"{steps} steps of {micro * world} packed blocks of {block} tokens, "
        f"rank {spec.rank.rank}: {spec.rank.reason}"
    )
    budget = Budget(spec, steps, watched, interrupt, say)
    budget.trainer, trainer.budget = trainer, budget
    trainer.add_callback(budget)

    checkpoint = _last_whole_checkpoint(spec)
    if checkpoint is not None:
        say(f"resuming from step {_step_of(checkpoint)}")
        budget.resume(checkpoint)
    elif _is_main():
        budget.log_path.unlink(missing_ok=True)
    if not interrupt.requested:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    facts = _facts(spec, budget, trainer)
    if interrupt.requested:
        say(f"interrupted ({interrupt.reason}) at step {trainer.state.global_step}")
        return {"status": "interrupted", **facts}
    if _is_main():
        _finish(spec, mix, tokenizer, trainer, facts)
    trainer.accelerator.wait_for_everyone()
    return {"status": "complete", **facts}


def training_stream(
    rows: Sequence[TokenRow], weights: np.ndarray, spec: TrainingSpec, per_step: int
) -> tuple[Dataset, int, int]:
    """All blocks of a run in the order in which they are trained, their size, and the steps.

    `per_step` blocks, over all ranks, make one optimiser step. Every epoch is a weighted draw of
    all rows without replacement, so no row comes twice before every other came once. Rows are
    packed within PACK_WINDOW of the draw.
    """
    # The longest row has to fit, for packing cuts what does not.
    block = max(spec.training.block_tokens, max(len(row.input_ids) for row in rows))
    parts = _packed_epoch(rows, weights, spec.training.seed, 0, block)
    per_epoch = math.ceil(sum(map(len, parts)) / per_step)
    steps = min(spec.training.max_steps, max(1, round(per_epoch * spec.rank.epochs)))
    epoch = 1
    while sum(map(len, parts)) < steps * per_step:
        parts += _packed_epoch(rows, weights, spec.training.seed, epoch, block)
        epoch += 1
    return concatenate_datasets(parts).select(range(steps * per_step)), block, steps


def _packed_epoch(
    rows: Sequence[TokenRow], weights: np.ndarray, seed: int, epoch: int, block: int
) -> list[Dataset]:
    order = draw_order(weights, seed, epoch)
    parts = []
    for start in range(0, len(order), PACK_WINDOW):
        window = [rows[index] for index in order[start : start + PACK_WINDOW]]
        columns = [{"input_ids": row.input_ids, "labels": row.labels} for row in window]
        packed = pack_dataset(Dataset.from_list(columns).with_format("arrow"), block, "bfd")
        # Best-fit-decreasing gives the longest rows first.
        parts.append(packed.with_format(None).shuffle(seed=seed + epoch))
    return parts


def _trainer(
    spec: TrainingSpec, tokenizer: Any, blocks: Dataset, block: int, micro: int
) -> AnswerTrainer:
    from transformers import AutoConfig

    dtype = getattr(torch, preferred_dtype())
    checkpointing = needs_checkpointing(AutoConfig.from_pretrained(spec.base_path), micro * block)
    arguments = SFTConfig(
        output_dir=str(spec.work_dir / "checkpoints"),
        seed=spec.training.seed,
        learning_rate=spec.rank.learning_rate,
        max_grad_norm=MAX_GRADIENT_NORM,
        per_device_train_batch_size=micro,
        max_steps=spec.training.max_steps,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        gradient_checkpointing=checkpointing,
        use_cpu=not torch.cuda.is_available(),
        # The model itself is in the fast type: autocast would only add conversions.
        bf16=False,
        model_init_kwargs={"dtype": preferred_dtype(), "use_safetensors": True},
        logging_steps=1,
        save_strategy="no",
        eval_strategy="no",
        save_total_limit=CHECKPOINTS_KEPT,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = AnswerTrainer(
        model=spec.base_path,
        processing_class=tokenizer,
        args=arguments,
        train_dataset=blocks,
        data_collator=collate_blocks(tokenizer.pad_token_id),
        quantization_config=adapter.quantisation(dtype),
        peft_config=LoraConfig(
            r=spec.rank.rank,
            lora_alpha=spec.rank.alpha,
            target_modules="all-linear",
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
        ),
    )
    # Budget prints the lines; the default callback repeats them as dictionaries.
    trainer.remove_callback(PrinterCallback)
    trainer.adapter_dtype = dtype
    set_adapter_dtype(trainer.model, dtype)
    add_answer_nll(trainer.model.get_base_model())
    return trainer


def _finish(
    spec: TrainingSpec,
    mix: pl.DataFrame,
    tokenizer: Any,
    trainer: AnswerTrainer,
    facts: dict[str, Any],
) -> None:
    """Put the best weights and everything around them under the digest, in one move."""
    weights = best_dir(spec, facts["best_step"])
    if not weights.exists():
        adapter.save_weights(trainer.model, weights)
    final = spec.work_dir / "final"
    shutil.rmtree(final, ignore_errors=True)
    adapter.assemble(final, weights, tokenizer, spec, mix, facts)
    final.replace(spec.adapter_dir)
    shutil.rmtree(spec.work_dir, ignore_errors=True)


def _facts(spec: TrainingSpec, budget: Budget, trainer: AnswerTrainer) -> dict[str, Any]:
    progress = budget.progress
    lines = read_progress(budget.log_path)
    losses = [line["loss"] for line in lines if "loss" in line]
    tail = losses[-max(1, len(losses) // 5) :]
    return {
        "digest": spec.digest,
        "adapter": str(spec.adapter_dir),
        "steps": trainer.state.global_step,
        "planned_steps": budget.steps,
        "stopped_by": budget.stopped_by,
        "resumed_from": progress.resumed_from,
        "tokens": progress.tokens,
        "seconds": round(budget.elapsed(), 1),
        "tokens_per_second": round(budget.speed(), 1),
        "peak_memory_bytes": peak_memory_bytes(),
        "first_loss": losses[0] if losses else None,
        "last_loss": sum(tail) / len(tail) if tail else None,
        "untrained_watched_nll": _number(progress.first_nll),
        "best_watched_nll": _number(progress.best_nll),
        "best_step": progress.best_step,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "dtype": preferred_dtype(),
        "processes": trainer.accelerator.num_processes,
        "gradient_checkpointing": bool(trainer.args.gradient_checkpointing),
    }


def peak_memory_bytes() -> int:
    """The most that this process held so far: of the card where there is one, else of memory."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _watched(rows: Sequence[TokenRow], ids: set[str]) -> list[TokenRow]:
    """Rows for early stopping, up to WATCH_TOKENS; `rows` come in the order of their digests."""
    chosen: list[TokenRow] = []
    room = WATCH_TOKENS
    for row in rows:
        if row.pair_id in ids and (not chosen or len(row.input_ids) <= room):
            chosen.append(row)
            room -= len(row.input_ids)
    return chosen


def _last_whole_checkpoint(spec: TrainingSpec) -> Path | None:
    """The newest checkpoint that was written to its end; half-written ones are removed."""
    folders = sorted((spec.work_dir / "checkpoints").glob("checkpoint-*"), key=_step_of)
    whole = [folder for folder in folders if (folder / CHECKPOINT_WHOLE).exists()]
    for folder in folders:
        if folder not in whole and _is_main():
            shutil.rmtree(folder)
    return whole[-1] if whole else None


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _alone(spec: TrainingSpec) -> Iterator[None]:
    """Hold the digest's lock; the kernel lets go of it however this process ends."""
    if not _is_main():
        yield
        return
    with (spec.work_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingRefusedError(f"digest {spec.digest} is being trained already") from error
        yield


class Reports:
    """What the orchestrator is told, on rank 0 of a run that Dagster launched; else nothing.

    A cancelled orchestrator takes its channel away at once, while this program still has a
    checkpoint to write: a channel that is gone is not a fault.
    """

    def __init__(self) -> None:
        self._channel: Any = None
        self._last = -math.inf

    def open(self) -> None:
        if _is_main() and "DAGSTER_PIPES_CONTEXT" in os.environ:
            from dagster_pipes import open_dagster_pipes

            self._channel = open_dagster_pipes()

    def progress(self, line: str) -> None:
        """A line for the run's log; lines of single steps only now and then."""
        now = time.monotonic()
        if _STEP_LINE.match(line) and now - self._last < SECONDS_BETWEEN_REPORTS:
            return
        self._last = now
        self._tell(lambda channel: channel.log.info(line))

    def refusal(self, line: str) -> None:
        self._tell(lambda channel: channel.log.error(line))

    def finished(self, facts: dict[str, Any], digest: str) -> None:
        told = {key: value for key, value in facts.items() if value is not None}
        self._tell(
            lambda channel: channel.report_asset_materialization(metadata=told, data_version=digest)
        )

    def close(self) -> None:
        self._tell(lambda channel: channel.close())

    def _tell(self, message: Callable[[Any], None]) -> None:
        if self._channel is None:
            return
        try:
            message(self._channel)
        except OSError:
            self._channel = None


def _quiet() -> None:
    """Leave the log to progress lines: no bars, no notes of libraries about themselves."""
    import warnings

    quiet_libraries()
    warnings.filterwarnings("ignore", category=FutureWarning)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is 0, EXIT_REFUSED or EXIT_INTERRUPTED."""
    parser = argparse.ArgumentParser(prog="python -m vox_assets.training.program.run")
    parser.add_argument("--spec", type=Path, required=True, help="a TrainingSpec as JSON")
    options = parser.parse_args(arguments)
    _quiet()
    interrupt = Interrupt()
    interrupt.listen()
    reports = Reports()
    reports.open()

    def say(line: str) -> None:
        if _is_main():
            print(line, file=sys.stderr, flush=True)
            reports.progress(line)

    try:
        spec = TrainingSpec.read(options.spec)
        facts = run(spec, interrupt, say)
        if facts["status"] == "interrupted":
            return EXIT_INTERRUPTED
        reports.finished(facts, spec.digest)
    except TrainingRefusedError as refusal:
        if _is_main():
            print(f"refused: {refusal}", file=sys.stderr, flush=True)
        reports.refusal(f"refused: {refusal}")
        return EXIT_REFUSED
    finally:
        reports.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
