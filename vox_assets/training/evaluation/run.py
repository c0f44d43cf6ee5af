"""Evaluates an adapter against its base model on held-out rows: losses and greedy answers.

The result is an `Evaluation` with all figures and verdicts. `training.promote` decides what
follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.contract.answers import out_of_mode
from vox_assets.contract.rows import in_hash_order
from vox_assets.mix.schema import EVAL, TRAIN
from vox_assets.mix.split import watch_ids
from vox_assets.profiles import Evaluation as Policy
from vox_assets.training.adapter import manifest, verify
from vox_assets.training.evaluation.load import load_for_answers, load_model
from vox_assets.training.evaluation.statistics import (
    Comparison,
    RowScore,
    compare_scores,
    overfit_trend,
)
from vox_assets.training.evaluation.verdicts import Evaluation, Generation, Written, verdicts
from vox_assets.training.plan.spec import rows_digest
from vox_assets.vox_syntax.parsers import parses

#: Maximum tokens of training rows, and of rows of other lanes, that are compared.
COMPARED_TOKENS = 4000

#: A generation that was cut counts as copied if a training answer begins with it and it has at
#: least this length.
COPIED_CHARACTERS = 200

#: Callback that receives progress lines.
Log = Callable[[str], None]


def evaluate_adapter(
    directory: Path,
    base_path: Path | str,
    mix_rows: pl.DataFrame,
    policy: Policy,
    *,
    other_lanes: pl.DataFrame | None = None,
    log: Log = lambda line: None,
) -> Evaluation:
    """Evaluate the adapter in `directory` against its base on the held-out rows of its own mix.

    Losses are measured in NF4 as in training. `disable_adapter` gives the scores of the base, so
    both score the same tokens in the same batches. Answers come from merged weights. Rows that
    early stopping reads are excluded. The loss on `other_lanes` measures forgetting. Raises
    ValueError for a damaged adapter and for a mix that it was not trained on.
    """
    import torch

    from vox_assets.compute.generate import generate
    from vox_assets.compute.models import preferred_dtype
    from vox_assets.compute.nll import score_rows
    from vox_assets.compute.tokens import load_tokenizer, tokenise

    faults = verify.verify(directory, {"rows_digest": rows_digest(mix_rows)})
    if faults:
        raise ValueError(f"adapter {directory.name} cannot be evaluated: {'; '.join(faults)}")
    tokenizer = load_tokenizer(base_path)
    model = load_model(directory, base_path, getattr(torch, preferred_dtype()))

    def compare(rows: pl.DataFrame) -> tuple[Comparison, list[RowScore]]:
        tokens = [
            tokenise(tokenizer, pair_id, messages)
            for pair_id, messages in rows.select("pair_id", "messages").iter_rows()
        ]
        with model.disable_adapter():
            base = score_rows(model, tokens)
        adapted = score_rows(model, tokens)
        scores = [
            RowScore(b.pair_id, path, language, b.tokens, b.nll, a.nll)
            for b, a, (path, language) in zip(
                base, adapted, rows.select("source_path", "language").iter_rows(), strict=True
            )
        ]
        return compare_scores(scores), scores

    held_out_rows = judged_rows(mix_rows)
    held_out, scores = compare(held_out_rows)
    log(f"held-out loss {held_out.base_nll:.4f} -> {held_out.adapter_nll:.4f}")
    trained, _ = compare(_sample(mix_rows.filter(pl.col("split") == TRAIN), "tokens"))
    others = None
    if other_lanes is not None and len(other_lanes):
        others, _ = compare(_sample(other_lanes, "tokens"))

    # Skip prompts whose reference answer is longer than the generation limit.
    short_ids = [row.pair_id for row in scores if row.tokens <= policy.generation_tokens]
    short_rows = held_out_rows.filter(pl.col("pair_id").is_in(short_ids))
    prompts = _stratified(short_rows if len(short_rows) else held_out_rows, policy.generations)
    answers = {
        _one_line(text) for text in mix_rows.filter(pl.col("split") == TRAIN)["response"].to_list()
    }

    def generations(answering: Any) -> list[Generation]:
        dialogues = [messages[:-1] for messages in prompts["messages"].to_list()]
        texts = generate(answering, tokenizer, dialogues, policy.generation_tokens)
        columns = prompts.select("pair_id", "language", "response_mode").iter_rows()
        return [
            Generation(
                pair_id=pair_id,
                language=language,
                text=text,
                stopped=stopped,
                parses=stopped and parses(language, text),
                out_of_mode=out_of_mode(text, mode),
                copied=_copied(text, answers),
            )
            for (text, stopped), (pair_id, language, mode) in zip(texts, columns, strict=True)
        ]

    adapted_texts = generations(load_for_answers(base_path, directory))
    base_texts = generations(load_for_answers(base_path))
    base_writes, adapter_writes = Written.of(base_texts), Written.of(adapted_texts)
    log(f"{adapter_writes.count} answers: {adapter_writes.shown('parse_rate')} parse")
    trend = overfit_trend(manifest.read_curve(directory))
    return Evaluation(
        digest=directory.name,
        eval_digest=rows_digest(mix_rows, EVAL),
        held_out=held_out,
        trained=trained,
        other_lanes=others,
        trend=trend,
        base_writes=base_writes,
        adapter_writes=adapter_writes,
        verdicts=verdicts(held_out, trained, base_writes, adapter_writes, policy, trend, others),
        rows=scores,
        generations=adapted_texts,
        base_generations=base_texts,
    )


def judged_rows(mix_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the held-out rows that early stopping does not read; if it reads all, all of them."""
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    unwatched = held_out.filter(~pl.col("pair_id").is_in(list(watch_ids(mix_rows))))
    return (unwatched if len(unwatched) else held_out).sort("pair_id")


def _copied(text: str, answers: set[str]) -> bool:
    line = _one_line(text)
    if line in answers:
        return True
    return len(line) >= COPIED_CHARACTERS and any(answer.startswith(line) for answer in answers)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _stratified(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Select `count` rows in hash order, in turn from every language and category."""
    return (
        in_hash_order(rows, "judge")
        .with_columns(pl.int_range(pl.len()).over("language", "category").alias("_turn"))
        .sort("_turn", maintain_order=True)
        .head(count)
        .drop("_turn")
    )


def _sample(rows: pl.DataFrame, tokens: str) -> pl.DataFrame:
    """Select rows in hash order up to COMPARED_TOKENS, at least one."""
    ordered = in_hash_order(rows, "judge")
    within = ordered[tokens].fill_null(0).cum_sum() <= COMPARED_TOKENS
    return ordered.filter(within) if within.any() else ordered.head(1)


def record(directory: Path, evaluation: Evaluation) -> None:
    """Record an evaluation in the manifest and the card of its adapter."""
    manifest.record(directory, "evaluation", evaluation.to_json())
