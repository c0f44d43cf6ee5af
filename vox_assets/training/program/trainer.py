"""Defines the trainer: loss on answers, learning-rate schedule, budget and early stopping."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from vox_assets.compute.models import preferred_dtype
from vox_assets.compute.nll import add_answer_nll, score_rows, token_weighted
from vox_assets.compute.tokens import MASKED, TokenRow
from vox_assets.training.adapter import assemble
from vox_assets.training.plan.spec import TrainingSpec, write_json
from vox_assets.training.program.reports import Log
from vox_assets.training.program.run_state import (
    CHECKPOINT_WHOLE,
    Interrupt,
    Progress,
    best_dir,
    is_main,
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

#: Share of the available memory that activations may take; above it, gradient checkpointing trades
#: time for memory. Activations take about 2 * (12 * hidden + 6 * intermediate) bytes per token and
#: layer in bfloat16 with LoRA on every linear layer (measured on SmolLM2-135M: 1.0 GB per 1,024
#: tokens).
ACTIVATION_SHARE = 0.5

CHECKPOINTS_KEPT = 2


class AnswerTrainer(SFTTrainer):
    """Extends TRL's trainer: answer-only loss, a schedule over the budget, and an exact resume."""

    #: The caller sets this before training.
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
        # The count covers all ranks, but DDP averages the gradients over ranks.
        return nll.sum() / count * self.accelerator.num_processes

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        # The blocks are already in the order of the draw, epoch after epoch.
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
        metrics = self.budget.evaluate()
        # Fire on_evaluate to clear the flag: otherwise evaluation repeats when the epoch ends.
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_checkpoint(*args, **kwargs)
        set_adapter_dtype(self.model, self.adapter_dtype)


class Budget(TrainerCallback):
    """Callback that limits steps and seconds, stops early, and writes checkpoints and progress."""

    #: The caller sets this before training.
    trainer: AnswerTrainer

    def __init__(
        self,
        spec: TrainingSpec,
        steps: int,
        watched: Sequence[TokenRow],
        interrupt: Interrupt,
        log: Log,
    ) -> None:
        self.spec = spec
        self.steps = steps
        self.progress = Progress()
        self.stopped_by = "all steps are done"
        self.log_path = spec.work_dir / "progress.jsonl"
        self._watched = watched
        self._interrupt = interrupt
        self._log = log
        self._started = time.monotonic()
        self._seconds_before = 0.0
        self._tokens_before = 0
        self._evaluation_seconds = 0.0
        self._tokens_of_step = 0

    # Counters

    def resume(self, checkpoint: Path) -> None:
        """Restore the progress of a checkpoint; delete the lines of later steps from the log."""
        self.progress = Progress(**json.loads((checkpoint / CHECKPOINT_WHOLE).read_text()))
        self._seconds_before = self.progress.seconds
        self._tokens_before = self.progress.tokens
        step = step_of(checkpoint)
        self.progress.resumed_from.append(step)
        if is_main():
            lines = read_progress(self.log_path)
            kept = [line for line in lines if line["step"] <= step]
            self.log_path.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def elapsed(self) -> float:
        """Return the seconds of training, including those before an interruption."""
        return self._seconds_before + time.monotonic() - self._started

    def share_used(self, step: int) -> float:
        """Return the spent share of the budget: the larger of the shares of steps and seconds.

        The seconds are the mean over all ranks after the last step. With a clock per rank the
        learning rates would differ, and so would the weights.
        """
        return max(step / self.steps, self.progress.seconds / self.spec.training.max_seconds)

    def count_tokens(self, tokens: torch.Tensor) -> None:
        """Add the packed tokens of a batch to the count of the current step."""
        self._tokens_of_step += int(tokens.sum())

    def speed(self) -> float:
        """Return the packed tokens per second since this process started training."""
        seconds = max(self.elapsed() - self._seconds_before, 1e-9)
        return (self.progress.tokens - self._tokens_before) / seconds

    # Evaluation for early stopping

    def evaluate(self) -> dict[str, float]:
        """Score the watched rows; save the adapter if it is the best so far."""
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        start = time.monotonic()
        nll = token_weighted(score_rows(model, self._watched))
        self._evaluation_seconds = time.monotonic() - start
        step, progress = self.trainer.state.global_step, self.progress
        if math.isnan(progress.first_nll):
            progress.first_nll = nll
        self._write({"step": step, "watched_nll": nll, "seconds": round(self.elapsed(), 1)})
        self._log(f"step {step}: held-out loss {nll:.4f} (untrained {progress.first_nll:.4f})")
        if step == 0:
            return {"eval_nll": nll}
        if nll < progress.best_nll * (1 - MIN_IMPROVEMENT):
            progress.best_nll, progress.best_step = nll, step
            progress.looks_without_gain = 0
            if is_main():
                assemble.save_weights(model, best_dir(self.spec, step))
        else:
            progress.looks_without_gain += 1
            if progress.looks_without_gain >= self.spec.training.patience:
                count = progress.looks_without_gain
                self._stop(f"held-out loss has not fallen for {count} evaluations")
        return {"eval_nll": nll}

    # Trainer events

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.monotonic()
        if state.global_step == 0:
            self.evaluate()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        ranks = self.trainer.accelerator.num_processes
        interrupted, seconds, tokens, evaluation_seconds = self._sum_over_ranks(
            float(self._interrupt.requested),
            self.elapsed() / ranks,
            float(self._tokens_of_step),
            self._evaluation_seconds / ranks,
        )
        self.progress.seconds = seconds
        self.progress.tokens += round(tokens)
        self._tokens_of_step = 0
        # Leave time for the final evaluation, estimated by the duration of the last one.
        out_of_time = seconds + evaluation_seconds >= self.spec.training.max_seconds
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
        self._log(
            f"step {step}/{self.steps}  loss {line['loss']:.4f}  "
            f"{line['tokens_per_second']:.0f} tokens/s  {line['seconds_left']:.0f} s left"
        )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if is_main():
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_json(checkpoint / CHECKPOINT_WHOLE, asdict(self.progress))

    def _stop(self, reason: str) -> None:
        self.stopped_by = reason
        self.trainer.control.should_training_stop = True

    def _sum_over_ranks(self, *values: float) -> list[float]:
        """Sum each value over all ranks, so that all ranks make the same decision."""
        accelerator = self.trainer.accelerator
        if accelerator.num_processes == 1:
            return list(values)
        local = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
        return accelerator.reduce(local, reduction="sum").tolist()

    def _write(self, line: dict[str, Any]) -> None:
        if is_main():
            with self.log_path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


def rate_factor(share: float) -> float:
    """Return the learning rate relative to its peak: warm-up, constant, decay to zero."""
    if share < WARMUP_UNTIL:
        return max(share, 0.2 * WARMUP_UNTIL) / WARMUP_UNTIL
    return min(1.0, max(0.0, (1 - share) / (1 - DECAY_FROM)))


def collate_blocks(pad_id: int) -> Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]:
    """Return a collator that stacks packed blocks, with positions that restart at every row.

    TRL's padding-free collator concatenates all blocks, so that attention costs the square of the
    total length. From two-dimensional positions, transformers builds the same block-diagonal mask.
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
            # Padding counts as another row, so no token attends to it.
            lengths = [*block["seq_lengths"], longest - size]
            positions[index] = torch.cat([torch.arange(length) for length in lengths])
        # Mask the first token of a row: it would be predicted from the previous row.
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
    """Convert every trained tensor to `dtype`, because a resumed adapter is loaded as float32."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def needs_checkpointing(config: Any, micro_tokens: int) -> bool:
    """True if activations of `micro_tokens` tokens exceed their share of the available memory."""
    text = config.get_text_config()
    intermediate = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    per_token = 2 * text.num_hidden_layers * (12 * text.hidden_size + 6 * intermediate)
    if torch.cuda.is_available():
        available = torch.cuda.mem_get_info()[0]
    else:
        import psutil

        available = psutil.virtual_memory().available
    return per_token * micro_tokens > ACTIVATION_SHARE * available


def make_trainer(
    spec: TrainingSpec, tokenizer: Any, blocks: Dataset, block: int, micro: int
) -> AnswerTrainer:
    """Build the trainer of a spec: the base in NF4, the LoRA configuration and the arguments.

    `micro` is the number of blocks per device and step, `block` their size in tokens.
    """
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
        # The model already has the fast dtype; autocast would only add conversions.
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
        quantization_config=assemble.quantisation(dtype),
        peft_config=LoraConfig(
            r=spec.rank.rank,
            lora_alpha=spec.rank.alpha,
            target_modules="all-linear",
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
        ),
    )
    # Budget logs these lines; the default callback would repeat them as dictionaries.
    trainer.remove_callback(PrinterCallback)
    trainer.adapter_dtype = dtype
    set_adapter_dtype(trainer.model, dtype)
    add_answer_nll(trainer.model.get_base_model())
    return trainer
