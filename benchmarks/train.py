"""Compares the training program with a plain TRL script: tokens per second and peak memory.

Both train the same model shape with random weights on the same rows of the bundled workspace, with
the same seed, rank, block size and number of blocks, alternately, each run in a new process. An
assertion requires that the number of trained answer tokens and their loss before training are the
same on both sides; otherwise the figures are not comparable.

    python benchmarks/train.py --shape tiny          # seconds, on any CPU
    python benchmarks/train.py --shape 1.5b --steps 30   # needs a GPU

Prints a table and writes `reports/bench_train.json`. Speeds exclude the first steps, in which the
libraries choose kernels. On a CPU, the exit code is 1 if the time per token is more than LIMIT of
TRL's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
from timing import RUNS, Result, compare_medians

from vox_assets import profiles
from vox_assets.compute.models import LocalModel, preferred_dtype
from vox_assets.extract import extract_rust
from vox_assets.settings import SAMPLE_WORKSPACE, load_settings
from vox_assets.store.files import write_text
from vox_assets.training.plan.ranks import RankChoice
from vox_assets.training.plan.spec import LAUNCH_ENV, TrainingSpec, make_spec

#: Hidden size, layers, intermediate size, heads, key-value heads, vocabulary. The large shapes are
#: those of Qwen2.5-1.5B and Qwen3-4B.
SHAPES = {
    "tiny": (256, 4, 704, 4, 2, 8192),
    "1.5b": (1536, 28, 8960, 12, 2, 151936),
    "4b": (2560, 36, 9728, 32, 8, 151936),
}
#: The template adds nothing after the end token of an answer, so that both sides train on the same
#: tokens: TRL would include further tokens in the loss.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
#: Tokens per packed block and blocks per step, for the memory of a GPU or for seconds on a CPU.
BATCHES = {"tiny": (512, 2), "1.5b": (2048, 4), "4b": (2048, 4)}
RANK = RankChoice(rank=32, alpha=32, learning_rate=2e-4, epochs=1000.0, reason="a benchmark")
SEED = 7
WARM_UP_STEPS = 2
#: Steps of the comparison in `make bench`; the speed excludes the first two.
BENCH_STEPS = 8
#: Largest relative difference of the losses before training; rounding explains this much.
PARITY = 0.005
SIDES = ("ours", "trl")
#: Largest allowed ratio of our time per token to TRL's, on a CPU.
LIMIT = 0.7


def prepare(folder: Path, shape: str, steps: int) -> Path:
    """Write model, tokenizer, rows and spec to `folder`; return the path of the spec."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    profile = profiles.load("sample")
    rows = extract_rust(SAMPLE_WORKSPACE, profile, commit=None).rows
    rows = rows.filter(
        (pl.col("response_mode") == "code_only") & (pl.col("messages").list.len() == 2)
    )
    hidden, layers, intermediate, heads, kv_heads, vocabulary = SHAPES[shape]
    block_tokens, blocks_per_step = BATCHES[shape]

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>"]
    core.train_from_iterator(
        rows["response"].to_list(),
        trainers.BpeTrainer(
            vocab_size=min(vocabulary, 8192),
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=special[0], eos_token=special[1], pad_token=special[1]
    )
    tokenizer.chat_template = TEMPLATE
    base = folder / "base"
    tokenizer.save_pretrained(base)
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=2 * block_tokens,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    # In bfloat16 from the start: the large shapes would take twice the memory.
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(base)

    lengths = [len(tokenizer.apply_chat_template(m, return_dict=False)) for m in rows["messages"]]
    mix = rows.with_columns(
        pl.Series("tokens", lengths),
        pl.lit(1.0).alias("weight"),
        pl.lit(None, dtype=pl.Float64).alias("score"),
        # The program always evaluates held-out rows, so the mix needs a few.
        pl.when(pl.int_range(pl.len()) % 100 == 0)
        .then(pl.lit("eval"))
        .otherwise(pl.lit("train"))
        .alias("split"),
    ).filter(pl.col("tokens") <= block_tokens)
    # Keep as many rows as the steps read in one epoch.
    mix = mix.filter(pl.col("tokens").cum_sum() <= steps * blocks_per_step * block_tokens)
    mix.write_parquet(folder / "mix.parquet")
    budget = profile.training.model_copy(
        update={
            "seed": SEED,
            "max_steps": steps,
            "max_seconds": 24 * 3600,
            "block_tokens": block_tokens,
            "blocks_per_step": blocks_per_step,
            "eval_every_steps": steps + 1,
        }
    )
    policy = profile.model_copy(
        update={
            "training": budget,
            "mix": profile.mix.model_copy(update={"context": block_tokens}),
        }
    )
    base_model = LocalModel(name=f"random/{shape}", path=base, fingerprint=f"random-{shape}-{SEED}")
    spec = make_spec(policy, mix, folder / "mix.parquet", base_model, RANK, folder / "adapters")
    return spec.write(folder / "spec.json")


def train_rows(spec: TrainingSpec) -> Any:
    """Return (pair id, messages) of the training rows, in the same order for both sides."""
    mix = pl.read_parquet(spec.mix_path).filter(pl.col("split") == "train").sort("pair_id")
    return list(mix.select("pair_id", "messages").iter_rows())


def ours(spec: TrainingSpec) -> dict[str, Any]:
    """Train with this program; the speed comes from its progress lines."""
    from vox_assets.compute.nll import score_rows, token_weighted
    from vox_assets.compute.tokens import load_tokenizer
    from vox_assets.training.adapter import manifest
    from vox_assets.training.evaluation.load import load_model
    from vox_assets.training.plan.preflight import preflight
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    facts = run(spec, Interrupt(), lambda line: print(line, file=sys.stderr))
    lines = [line for line in manifest.read_curve(spec.adapter_dir) if "loss" in line]
    first, last = lines[WARM_UP_STEPS - 1], lines[-1]
    model = load_model(spec.adapter_dir, spec.base_path, _dtype())
    rows = preflight(train_rows(spec), load_tokenizer(spec.base_path), spec.context)
    with model.disable_adapter():
        untrained = score_rows(model, rows)
    return {
        "tokens_per_second": (last["tokens"] - first["tokens"])
        / (last["seconds"] - first["seconds"]),
        "peak_memory_bytes": facts["peak_memory_bytes"],
        "answer_tokens": sum(score.tokens for score in untrained),
        "untrained_loss": token_weighted(untrained),
        "trained_loss": token_weighted(score_rows(model, rows)),
        "gradient_checkpointing": facts["gradient_checkpointing"],
    }


def trl(spec: TrainingSpec) -> dict[str, Any]:
    """Train with TRL as its documentation shows: packing, NF4, LoRA, loss on completions."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from vox_assets.compute.nll import evaluating
    from vox_assets.training.adapter import assemble
    from vox_assets.training.program.run import peak_memory_bytes

    step_times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            step_times.append(time.monotonic())

    data = Dataset.from_list(
        [{"prompt": turns[:-1], "completion": turns[-1:]} for _, turns in train_rows(spec)]
    )
    trainer = SFTTrainer(
        model=spec.base_path,
        args=SFTConfig(
            output_dir=str(Path(spec.output_root) / "trl"),
            seed=SEED,
            max_steps=spec.training.max_steps,
            learning_rate=RANK.learning_rate,
            per_device_train_batch_size=spec.training.blocks_per_step,
            max_length=spec.training.block_tokens,
            packing=True,
            completion_only_loss=True,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=not torch.cuda.is_available(),
            model_init_kwargs={"dtype": preferred_dtype()},
            logging_steps=spec.training.max_steps,
            save_strategy="no",
            report_to="none",
        ),
        train_dataset=data,
        quantization_config=assemble.quantisation(_dtype()),
        peft_config=LoraConfig(
            r=RANK.rank, lora_alpha=RANK.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[Clock()],
    )

    def loss() -> tuple[float, int]:
        total, count = 0.0, 0
        with evaluating(trainer.model), torch.no_grad():
            for batch in trainer.get_train_dataloader():
                labels = batch.pop("labels")
                logits = trainer.model(**batch).logits[:, :-1].float().flatten(0, 1)
                targets = labels[:, 1:].flatten()
                total += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
                count += int((targets != -100).sum())
        return total / count, count

    untrained, answer_tokens = loss()
    trainer.train()
    peak = peak_memory_bytes()
    sizes = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    per_step = spec.training.blocks_per_step * statistics.fmean(sizes)
    steps = len(step_times) - WARM_UP_STEPS
    return {
        "tokens_per_second": per_step * steps / (step_times[-1] - step_times[WARM_UP_STEPS - 1]),
        "peak_memory_bytes": peak,
        "answer_tokens": answer_tokens,
        "untrained_loss": untrained,
        "trained_loss": loss()[0],
        "gradient_checkpointing": False,
    }


def _dtype() -> Any:
    import torch

    return getattr(torch, preferred_dtype())


def measure(side: str, spec_path: Path) -> dict[str, Any]:
    """Run one side in a new process and return its figures."""
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, "--spec", str(spec_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **LAUNCH_ENV},
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def assert_parity(our_run: dict[str, Any], their_run: dict[str, Any]) -> None:
    """Assert that both sides train on as many tokens with the same loss before training."""
    counts = our_run["answer_tokens"], their_run["answer_tokens"]
    assert counts[0] == counts[1], f"we train on {counts[0]} answer tokens, TRL on {counts[1]}"
    losses = our_run["untrained_loss"], their_run["untrained_loss"]
    difference = abs(losses[0] / losses[1] - 1)
    assert difference <= PARITY, f"untrained loss {losses[0]:.4f}, that of TRL {losses[1]:.4f}"


def alternate(folder: Path, shape: str, steps: int, runs: int) -> dict[str, list[dict[str, Any]]]:
    """Run the sides alternately; return the figures of each run. Raises AssertionError."""
    runs_of: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    spec_path = prepare(folder, shape, steps)
    for _ in range(runs):
        for side in SIDES:
            # The program does not train a finished adapter again.
            shutil.rmtree(folder / "adapters", ignore_errors=True)
            runs_of[side].append(measure(side, spec_path))
        assert_parity(runs_of["ours"][-1], runs_of["trl"][-1])
    return runs_of


def against_trl(scratch: Path) -> tuple[Result, str]:
    """Compare a few steps of a tiny model, in seconds per thousand tokens by each side's clock."""
    folder = scratch / "train"
    folder.mkdir()
    runs_of = alternate(folder, "tiny", BENCH_STEPS, RUNS)
    our_times, their_times = (
        [1000 / run["tokens_per_second"] for run in runs_of[side]] for side in SIDES
    )
    ours, theirs = (runs_of[side][-1] for side in SIDES)
    note = (
        f"training: loss before {ours['untrained_loss']:.3f} and {theirs['untrained_loss']:.3f}, "
        f"after {BENCH_STEPS} steps {ours['trained_loss']:.3f} and {theirs['trained_loss']:.3f}, "
        f"over {ours['answer_tokens']:,} tokens"
    )
    reference = "plain TRL script"
    result = compare_medians("training, 1,000 tokens", our_times, reference, their_times, LIMIT)
    return result, note


def main() -> int:
    """Compare the sides at the requested shape, and print and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--steps", type=int, default=BENCH_STEPS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--spec", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        spec = TrainingSpec.read(options.spec)
        print(json.dumps({"ours": ours, "trl": trl}[options.side](spec)))
        return 0

    import torch

    with tempfile.TemporaryDirectory() as name:
        runs_of = alternate(Path(name), options.shape, options.steps, options.runs)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    table = {
        side: {
            key: statistics.median(run[key] for run in runs)
            for key in ("tokens_per_second", "peak_memory_bytes", "untrained_loss", "trained_loss")
        }
        for side, runs in runs_of.items()
    }
    print(f"shape {options.shape}, {options.steps} steps, median of {options.runs}, {device}")
    print(f"{'':<6}{'tokens/s':>12}{'peak GiB':>10}{'untrained':>11}{'trained':>9}")
    for side, row in table.items():
        print(
            f"{side:<6}{row['tokens_per_second']:>12,.0f}{row['peak_memory_bytes'] / 2**30:>10.2f}"
            f"{row['untrained_loss']:>11.4f}{row['trained_loss']:>9.4f}"
        )
    ratio = table["trl"]["tokens_per_second"] / table["ours"]["tokens_per_second"]
    print(f"time per token: {ratio:.2f} of TRL's")
    path = load_settings().reports_dir / "bench_train.json"
    content = {"shape": options.shape, "steps": options.steps, "device": device, "runs": runs_of}
    write_text(path, json.dumps(content, indent=2) + "\n")
    return int(device == "cpu" and ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
