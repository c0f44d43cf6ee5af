"""Provides a tiny model and a small scored corpus, for tests that train in seconds."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.contract import rows
from vox_assets.mix import build as mix
from vox_assets.pipeline.resources.lake_io import ASSET_SCHEMAS
from vox_assets.profiles import Profile, load
from vox_assets.training.plan import ranks
from vox_assets.training.plan.spec import TrainingSpec, make_spec

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
#: Verbs and nouns for generated functions: enough that answers differ in more than a name.
VERBS = (
    "add",
    "drop",
    "find",
    "join",
    "keep",
    "map",
    "pick",
    "rank",
    "sort",
    "trim",
    "walk",
    "zip",
)
NOUNS = ("carts", "dates", "edges", "files", "graphs", "items", "jobs", "keys", "lines", "nodes")
#: Statements of a generated body, drawn at random so that no two functions have the same shape.
STATEMENTS = (
    "let {a}_{n} = {v}({b}, {n})",
    "if {a} > {n} {{ return {b} }}",
    "for {a} in {b} {{ {v}({a}) }}",
    "{a}.{v}({b}, fn(x) {{ x + {n} }})",
    "while {a} < {b} + {n} {{ {a} = {v}({a}) }}",
    "assert {v}({a}) is {b}[{n}]",
    "let ({a}_{n}, {b}_{n}) = {v}()",
    "match {a} {{ {n} -> {v}({b}), _ -> {b} }}",
)

if TYPE_CHECKING:
    from vox_assets.training.evaluation.verdicts import Evaluation


def count_words(messages: list[rows.Message]) -> int:
    """Count tokens without a model: words, and four tokens per turn."""
    return sum(len(turn["content"].split()) + 4 for turn in messages)


def rows_of(built: mix.Mix, split: str) -> pl.DataFrame:
    """Return the rows of one split of a mix."""
    return built.rows.filter(split=split)


def make_pair(index: int, file: int, **changes: object) -> rows.Pair:
    """Make a row with a distinct small function in the source file number `file`."""
    verb, noun = VERBS[index % len(VERBS)], NOUNS[(index // len(VERBS)) % len(NOUNS)]
    rng = random.Random(index)
    body = "\n".join(
        "    "
        + rng.choice(STATEMENTS).format(
            a=rng.choice(NOUNS), b=rng.choice(NOUNS), v=rng.choice(VERBS), n=rng.randrange(90)
        )
        for _ in range(rng.randrange(3, 7))
    )
    answer = f"fn {verb}_{noun}_{index}(x{index}: int) to int {{\n{body}\n    return {index}\n}}"
    fields = {
        "messages": rows.turns(f"Write {verb} for {noun} number {index}.", answer),
        "lane": "vox_codegen",
        "response_mode": "code_only",
        "task_family": ("write", "extend", "repair")[index % 3],
        "language": ("vox", "rust")[file % 2],
        "origin": ("human", "synthetic")[index % 2],
        "category": noun,
        "difficulty": 3,
        "source_kind": "rust",
        "source_path": f"crates/c/src/f{file}.rs",
        "source_start_line": index + 1,
        "source_end_line": index + 9,
        "source_symbol": f"c::f{file}::{verb}_{noun}_{index}",
    }
    return rows.Pair(**{**fields, **changes})  # type: ignore[arg-type]


def as_scored(pairs: list[rows.Pair]) -> pl.DataFrame:
    """Return a `scored_corpus` table: all rows kept, null where neither mix nor ledger reads."""
    frame = rows.to_frame(pairs)
    scores = [7.0 + (index * 37 % 30) / 10 for index in range(len(frame))]
    filled = frame.with_columns(
        pl.col("pair_id").alias("cluster_id"),
        pl.lit(1, dtype=pl.Int64).alias("cluster_size"),
        pl.Series("score", scores, dtype=pl.Float64),
        pl.lit(True).alias("kept"),
        pl.lit(10, dtype=pl.Int64).alias("tokens"),
    )
    schema = ASSET_SCHEMAS["scored_corpus"]
    absent = [pl.lit(None, dtype=schema[name]).alias(name) for name in schema]
    return filled.with_columns(
        column for column in absent if column.meta.output_name() not in filled.columns
    ).select(list(schema))


def judged(*ratios: float) -> dict[str, Any]:
    """Return an evaluation as JSON, with one row and source per ratio of adapter to base loss."""
    return evaluated(*ratios).to_json()


def evaluated(*ratios: float) -> Evaluation:
    """Return an evaluation with one row and source per ratio of adapter to base loss."""
    from vox_assets.training.evaluation import statistics, verdicts

    scores = [
        statistics.RowScore(str(i), f"f{i}", "vox", 10, 20.0, 20.0 * ratio)
        for i, ratio in enumerate(ratios)
    ]
    compared = statistics.compare_scores(scores)
    base_writes = verdicts.Written(40, 0.1, 0.9, 0.3, 0.0)
    written = verdicts.Written(40, 1.0, 0.0, 1.0, 0.0)
    trend = statistics.overfit_trend([])
    return verdicts.Evaluation(
        digest="a1",
        eval_digest="held-out-1",
        held_out=compared,
        trained=compared,
        other_lanes=None,
        trend=trend,
        base_writes=base_writes,
        adapter_writes=written,
        verdicts=verdicts.verdicts(
            compared, compared, base_writes, written, load("sample").evaluation, trend
        ),
        rows=scores,
    )


def shaped(profile: Profile, **sections: dict[str, object]) -> Profile:
    """Return a profile with some values of its sections replaced."""
    changes = {
        name: getattr(profile, name).model_copy(update=values) for name, values in sections.items()
    }
    return profile.model_copy(update=changes)


@pytest.fixture(scope="session")
def profile() -> Profile:
    """Return the sample profile with a few training steps and without caps."""
    return shaped(
        load("sample"),
        mix={
            "context": 256,
            "eval_rows": 12,
            "eval_share": 0.2,
            "language_caps": {},
            "task_family_cap": 1.0,
            "category_cap": 1.0,
        },
        training={
            "max_steps": 6,
            "max_seconds": 120,
            "block_tokens": 256,
            "blocks_per_step": 2,
            "eval_every_steps": 2,
            "patience": 9,
        },
        evaluation={"generations": 3, "generation_tokens": 8},
    )


@pytest.fixture(scope="session")
def scored() -> pl.DataFrame:
    """Return sixty rows of thirty files."""
    return as_scored([make_pair(index, index % 30) for index in range(60)])


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, scored: pl.DataFrame) -> LocalModel:
    """Write a Llama of two layers with random weights, and a tokenizer trained on the corpus."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("tiny-base")
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(scored["response"].to_list() + scored["prompt"].to_list(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    return LocalModel(name="tests/tiny-llama", path=path, fingerprint="tiny", revision="r1")


def untied(base: LocalModel, path: Path) -> None:
    """Write the tiny base with another head: with its own it repeats a special token."""
    import torch
    from transformers import AutoModelForCausalLM

    shutil.copytree(base.path, path, dirs_exist_ok=True)
    network = AutoModelForCausalLM.from_pretrained(base.path, tie_word_embeddings=False)
    torch.manual_seed(3)
    network.lm_head.weight = torch.nn.Parameter(torch.randn_like(network.lm_head.weight))
    network.save_pretrained(path)


@pytest.fixture(scope="session")
def mixed(scored: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Return the mix of the sixty rows."""
    return mix.build_mix(scored, profile, count_words).rows


@pytest.fixture
def spec(
    tmp_path: Path, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> TrainingSpec:
    """Write the spec of a training of a few steps to a new folder."""
    return written_spec(tmp_path, tiny_base, mixed, profile)


def written_spec(
    folder: Path, base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> TrainingSpec:
    mixed.write_parquet(folder / "mix.parquet")
    choice = ranks.choose_rank(len(mixed), 1000, profile.ranks, {"rank": 8})
    spec = make_spec(
        profile,
        mixed,
        folder / "mix.parquet",
        base,
        choice,
        folder / "adapters",
        provenance={"source_commit": "abc123", "table_versions": {"training_mix": 4}},
    )
    spec.write(folder / "spec.json")
    return spec


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_base: LocalModel,
    mixed: pl.DataFrame,
    profile: Profile,
) -> Iterator[TrainingSpec]:
    """Train once, for all tests that only read an adapter."""
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    spec = written_spec(tmp_path_factory.mktemp("trained"), tiny_base, mixed, profile)
    run(spec, Interrupt(), lambda line: None)
    yield spec
