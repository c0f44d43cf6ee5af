"""Base against adapter on rows that training never saw: loss with intervals, and what it writes.

An `Evaluation` holds every figure and the verdicts; what follows from them is `promote`'s
matter.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vox_assets.contract.verdict import Verdict
from vox_assets.mix.build import EVAL, TRAIN, watch_ids
from vox_assets.profiles import Evaluation as Policy
from vox_assets.training.adapter import manifest as adapter
from vox_assets.training.plan.spec import rows_digest

#: Resamples of the bootstrap: the 2.5 % quantile is then known to about a tenth of its distance.
RESAMPLES = 2000
CONFIDENCE = 0.95
#: The normal quantile of that confidence, two-sided.
Z = 1.959964
#: Tokens of training rows, and of other lanes' rows, that the comparisons read at most.
COMPARED_TOKENS = 4000
#: Prompts that are answered at once; more only adds padding on a CPU.
GENERATION_BATCH = 8
#: A generation that was cut counts as copied when it opens a training answer with this much text.
COPIED_CHARACTERS = 200

Say = Callable[[str], None]
#: (language, text) -> whether the text parses in that language.
Parses = Callable[[str, str], bool]

_FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)
#: A line of prose: words from a capital to a full stop, none of the signs that code is made of.
_SENTENCE = re.compile(r"^\s*(?:[-*] |\d+\. )?[A-Z][\w',\- ]*(?: [\w',\-`.()]+){3,}[.:!?]\s*$")
_CODE_SIGNS = re.compile(r"[{};=<>\[\]]|//|::|->|\)\s*$")


@dataclass(frozen=True)
class Interval:
    """A figure and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """Token-weighted NLL (nats per answer token) of base and adapter on the same rows.

    `ratio` is adapter over base, `perplexity_change` the relative change of perplexity.
    """

    rows: int
    sources: int
    tokens: int
    base_nll: float
    adapter_nll: float
    ratio: Interval
    perplexity_change: Interval


@dataclass(frozen=True)
class RowScore:
    """One row under both models: summed NLL in nats over its answer tokens."""

    pair_id: str
    source_path: str
    language: str
    tokens: int
    base_nll: float
    adapter_nll: float


@dataclass(frozen=True)
class Generation:
    """A greedy answer to a held-out prompt and what is known about it."""

    pair_id: str
    language: str
    text: str
    stopped: bool
    parses: bool
    out_of_mode: bool
    copied: bool


@dataclass(frozen=True)
class Written:
    """Shares over all generations of one model; `count` is what they are shares of."""

    count: int
    parse_rate: float
    out_of_mode_rate: float
    stop_rate: float
    copy_rate: float

    @staticmethod
    def of(generations: Sequence[Generation]) -> Written:
        def share(name: str) -> float:
            return sum(getattr(one, name) for one in generations) / max(1, len(generations))

        return Written(
            len(generations), *map(share, ("parses", "out_of_mode", "stopped", "copied"))
        )

    def interval(self, name: str) -> Interval:
        """One of the shares with its Wilson score interval (Wilson 1927).

        Eight answers are few: the normal approximation would give 0 % and 100 % no width at all.
        """
        return wilson(round(getattr(self, name) * self.count), self.count)

    def told(self, name: str) -> str:
        share = self.interval(name)
        return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"

    def to_json(self) -> dict[str, Any]:
        """The shares and, under `intervals`, how well each is known."""
        shares = [one.name for one in fields(self) if one.name != "count"]
        return asdict(self) | {"intervals": {name: asdict(self.interval(name)) for name in shares}}


@dataclass(frozen=True)
class Trend:
    """How far held-out loss is above training loss along a run: growing means overfitting.

    `gaps` is (step, watched NLL less the mean training loss since the look before) per look;
    `slope` is nats per 100 steps by least squares, None with fewer than two looks.
    """

    gaps: list[tuple[int, float]]
    slope: float | None

    def __str__(self) -> str:
        if self.slope is None:
            return "too few looks for a trend"
        first, last = self.gaps[0][1], self.gaps[-1][1]
        return (
            f"held-out less training loss {first:+.3f} -> {last:+.3f} nats in {len(self.gaps)} "
            f"looks ({self.slope:+.3f} per 100 steps)"
        )


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured about one adapter, and what it amounts to."""

    digest: str
    eval_digest: str
    held_out: Comparison
    trained: Comparison
    other_lanes: Comparison | None
    trend: Trend
    base_writes: Written
    adapter_writes: Written
    verdicts: dict[str, Verdict]
    rows: list[RowScore] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    base_generations: list[Generation] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts.values())

    @property
    def total_nll(self) -> float:
        """Nats over all judged answers: comparable between adapters on one held-out set."""
        return sum(row.adapter_nll for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; verdicts become a list, in the order they were reached."""
        content = asdict(self)
        content["base_writes"] = self.base_writes.to_json()
        content["adapter_writes"] = self.adapter_writes.to_json()
        content["verdicts"] = [
            {
                "name": name,
                "passed": verdict.passed,
                "reason": verdict.summary,
                "figures": dict(verdict.figures),
            }
            for name, verdict in self.verdicts.items()
        ]
        return content | {"passed": self.passed, "total_nll": self.total_nll}

    def row_table(self) -> pl.DataFrame:
        """One line per judged row: NLL per token under both models and the difference."""
        return pl.DataFrame([asdict(row) for row in self.rows]).with_columns(
            ((pl.col("adapter_nll") - pl.col("base_nll")) / pl.col("tokens")).alias("change")
        )


def evaluate_adapter(
    directory: Path,
    base_path: Path | str,
    mix_rows: pl.DataFrame,
    policy: Policy,
    parses: Parses,
    *,
    other_lanes: pl.DataFrame | None = None,
    seed: int = 0,
    say: Say = lambda line: None,
) -> Evaluation:
    """Judge the adapter in `directory` against its base on the held-out rows of its own mix.

    The base is loaded as in training (NF4), once; `disable_adapter` gives the base's scores, so
    both see the same tokens in the same batches. Rows that early stopping watched take no part.
    `other_lanes` are rows whose loss shows what was forgotten. Deterministic for a seed. Raises
    ValueError, by name, for a damaged adapter and for a mix that it was not trained on.
    """
    import torch

    from vox_assets.compute.models import preferred_dtype
    from vox_assets.compute.nll import score_rows
    from vox_assets.compute.tokens import load_tokenizer, tokenise

    faults = adapter.verify(directory, {"rows_digest": rows_digest(mix_rows)})
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
        return compare_scores(scores, seed), scores

    held_out_rows = judged_rows(mix_rows)
    held_out, scores = compare(held_out_rows)
    say(f"held-out loss {held_out.base_nll:.4f} -> {held_out.adapter_nll:.4f}")
    trained, _ = compare(_sample(mix_rows.filter(pl.col("split") == TRAIN), "tokens"))
    forgotten = None
    if other_lanes is not None and len(other_lanes):
        forgotten, _ = compare(_sample(other_lanes, "tokens"))

    # A prompt whose own answer is longer than what may be generated could never be met.
    fitting = [row.pair_id for row in scores if row.tokens <= policy.generation_tokens]
    askable = held_out_rows.filter(pl.col("pair_id").is_in(fitting))
    prompts = _spread(askable if len(askable) else held_out_rows, policy.generations)
    answers = {
        _squeeze(text) for text in mix_rows.filter(pl.col("split") == TRAIN)["response"].to_list()
    }

    def write() -> list[Generation]:
        texts = generate(model, tokenizer, prompts["messages"].to_list(), policy.generation_tokens)
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

    adapted_texts = write()
    with model.disable_adapter():
        base_texts = write()
    base_writes, adapter_writes = Written.of(base_texts), Written.of(adapted_texts)
    say(f"{adapter_writes.count} answers: {adapter_writes.told('parse_rate')} parse")
    trend = overfit_trend(adapter.read_curve(directory))
    return Evaluation(
        digest=directory.name,
        eval_digest=rows_digest(mix_rows, EVAL),
        held_out=held_out,
        trained=trained,
        other_lanes=forgotten,
        trend=trend,
        base_writes=base_writes,
        adapter_writes=adapter_writes,
        verdicts=verdicts(held_out, trained, base_writes, adapter_writes, policy, trend, forgotten),
        rows=scores,
        generations=adapted_texts,
        base_generations=base_texts,
    )


def judged_rows(mix_rows: pl.DataFrame) -> pl.DataFrame:
    """Held-out rows that early stopping did not watch; all of them where it watched all."""
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    unseen = held_out.filter(~pl.col("pair_id").is_in(list(watch_ids(mix_rows))))
    return (unseen if len(unseen) else held_out).sort("pair_id")


def load_model(directory: Path, base_path: Path | str, dtype: Any) -> Any:
    """The base in NF4 with the adapter on it, ready for `score_rows`."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.nll import add_answer_nll

    base = AutoModelForCausalLM.from_pretrained(
        str(base_path),
        dtype=dtype,
        quantization_config=adapter.quantisation(dtype),
        use_safetensors=True,
    )
    model = PeftModel.from_pretrained(base, str(directory), torch_dtype=dtype)
    add_answer_nll(model.get_base_model())
    return model


# Loss ---------------------------------------------------------------------------------------


def compare_scores(scores: Sequence[RowScore], seed: int) -> Comparison:
    """Token-weighted means and paired bootstrap intervals (percentile; Efron 1979).

    Whole sources are resampled, since rows of one file resemble one another and counting them as
    independent would make the interval too narrow. Raises ValueError without rows.
    """
    if not scores:
        raise ValueError("no held-out rows: nothing can be shown about the adapter")
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for row in scores:
        for index, value in enumerate((row.base_nll, row.adapter_nll, row.tokens)):
            sums[row.source_path][index] += value
    by_source = np.array([sums[source] for source in sorted(sums)])
    count = len(by_source)
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=RESAMPLES)
    base, adapted, tokens = by_source.sum(axis=0)
    bases, adapteds, token_sums = (drawn @ by_source).T
    return Comparison(
        rows=len(scores),
        sources=count,
        tokens=int(tokens),
        base_nll=float(base / tokens),
        adapter_nll=float(adapted / tokens),
        ratio=_interval(adapted / base, adapteds / bases),
        perplexity_change=_interval(
            math.expm1((adapted - base) / tokens), np.expm1((adapteds - bases) / token_sums)
        ),
    )


def _interval(value: float, resampled: np.ndarray) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def wilson(hits: int, count: int) -> Interval:
    """The share `hits` of `count` and its Wilson score interval; 0 to 1 when nothing was counted.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if not count:
        return Interval(0.0, 0.0, 1.0)
    share, spread = hits / count, Z * Z / count
    centre = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def overfit_trend(curve: Sequence[Mapping[str, Any]]) -> Trend:
    """The gap between watched and training loss at each look of a training curve."""
    gaps: list[tuple[int, float]] = []
    losses: list[float] = []
    for line in curve:
        if "loss" in line:
            losses.append(line["loss"])
        elif "watched_nll" in line and losses:
            gaps.append((line["step"], line["watched_nll"] - sum(losses) / len(losses)))
            losses = []
    if len({step for step, _ in gaps}) < 2:
        return Trend(gaps, None)
    steps, values = zip(*gaps, strict=True)
    return Trend(gaps, float(np.polyfit(steps, values, 1)[0]) * 100)


def unlearned_share(held_out: Comparison, trained: Comparison) -> float:
    """Share of the gain on training rows that held-out rows do not share; 0 without a gain.

    0 means that everything learned carries over, 1 that nothing does, more that learning harms.
    """
    gain = trained.base_nll - trained.adapter_nll
    carried = held_out.base_nll - held_out.adapter_nll
    return max(0.0, 1 - carried / gain) if gain > 0 else 0.0


def verdicts(
    held_out: Comparison,
    trained: Comparison,
    base_writes: Written,
    adapter_writes: Written,
    policy: Policy,
    trend: Trend,
    other_lanes: Comparison | None = None,
) -> dict[str, Verdict]:
    """The verdicts that promotion needs, each with its figures and their counts."""
    bound = held_out.ratio.high
    # One source resamples to itself: an interval of no width that proves nothing.
    shown = held_out.sources > 1
    memorised = unlearned_share(held_out, trained)
    gain = adapter_writes.parse_rate - base_writes.parse_rate
    return {
        "beats_base": Verdict(
            shown and bound < 1,
            f"held-out loss {held_out.base_nll:.3f} -> {held_out.adapter_nll:.3f}, ratio "
            f"{held_out.ratio} over {held_out.rows} rows of {held_out.sources} sources; "
            f"perplexity {held_out.perplexity_change.value:+.1%}",
            {
                "base_nll": held_out.base_nll,
                "adapter_nll": held_out.adapter_nll,
                "ratio": held_out.ratio.value,
                "ratio_low": held_out.ratio.low,
                "ratio_high": bound,
                "perplexity_change": held_out.perplexity_change.value,
                "rows": held_out.rows,
                "sources": held_out.sources,
                "tokens": held_out.tokens,
            },
        ),
        "not_overfit": Verdict(
            memorised <= policy.max_overfit_gap,
            f"{memorised:.0%} of the gain on training rows does not carry over (at most "
            f"{policy.max_overfit_gap:.0%}): training rows {trained.base_nll:.3f} -> "
            f"{trained.adapter_nll:.3f}, {adapter_writes.told('copy_rate')} of "
            f"{adapter_writes.count} answers copy a training answer; {trend}",
            {
                "unlearned_share": memorised,
                "limit": policy.max_overfit_gap,
                "train_base_nll": trained.base_nll,
                "train_adapter_nll": trained.adapter_nll,
                "train_rows": trained.rows,
                "copy_rate": adapter_writes.copy_rate,
                **({} if trend.slope is None else {"gap_slope": trend.slope}),
            },
        ),
        "no_forgetting": _forgetting(other_lanes, policy.max_forgetting),
        "lane_discipline": Verdict(
            adapter_writes.count > 0
            and adapter_writes.out_of_mode_rate <= policy.max_prose_share
            and gain >= policy.min_parse_rate_gain,
            f"{adapter_writes.told('out_of_mode_rate')} of {adapter_writes.count} answers leave "
            f"their mode (base {base_writes.out_of_mode_rate:.0%}, at most "
            f"{policy.max_prose_share:.0%}); {adapter_writes.told('parse_rate')} parse (base "
            f"{base_writes.parse_rate:.0%}); {adapter_writes.told('stop_rate')} stop by themselves",
            {
                "out_of_mode_rate": adapter_writes.out_of_mode_rate,
                "limit": policy.max_prose_share,
                "parse_rate": adapter_writes.parse_rate,
                "base_parse_rate": base_writes.parse_rate,
                "stop_rate": adapter_writes.stop_rate,
                "answers": adapter_writes.count,
            },
        ),
    }


def _forgetting(other_lanes: Comparison | None, limit: float) -> Verdict:
    """Loss on rows that the adapter is not for: it may rise, but not beyond the limit."""
    if other_lanes is None:
        return Verdict(True, "no rows of other lanes to tell by", {"rows": 0})
    ratio = other_lanes.ratio
    return Verdict(
        ratio.value - 1 <= limit,
        f"loss on {other_lanes.rows} rows of other lanes {other_lanes.base_nll:.3f} -> "
        f"{other_lanes.adapter_nll:.3f}, ratio {ratio} (at most {1 + limit:.2f})",
        {
            "ratio": ratio.value,
            "ratio_low": ratio.low,
            "ratio_high": ratio.high,
            "limit": 1 + limit,
            "rows": other_lanes.rows,
        },
    )


# Generations --------------------------------------------------------------------------------


def generate(
    model: Any, tokenizer: Any, dialogues: Sequence[Sequence[Any]], max_tokens: int
) -> list[tuple[str, bool]]:
    """Greedy answers to the last user turn of each dialogue: (text, ended by itself)."""
    import torch

    from vox_assets.compute.nll import evaluating
    from vox_assets.compute.tokens import chat_ids

    answers: list[tuple[str, bool]] = []
    stop = tokenizer.eos_token_id
    with evaluating(model), torch.no_grad(), _with_cache(model):
        for batch in _chunks(dialogues, GENERATION_BATCH):
            prompts = [chat_ids(tokenizer, dialogue[:-1], asking=True) for dialogue in batch]
            longest = max(map(len, prompts))
            # Padded on the left, so that every answer starts at the same column.
            ids = [[tokenizer.pad_token_id] * (longest - len(p)) + p for p in prompts]
            mask = [[0] * (longest - len(p)) + [1] * len(p) for p in prompts]
            made = model.generate(
                input_ids=torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=stop,
                pad_token_id=tokenizer.pad_token_id,
            )
            for tokens in made[:, longest:].tolist():
                stopped = stop in tokens
                said = tokens[: tokens.index(stop)] if stopped else tokens
                text = tokenizer.decode(said, skip_special_tokens=True)
                answers.append((text.strip(), stopped))
    return answers


@contextmanager
def _with_cache(model: Any) -> Iterator[None]:
    """Let `generate` keep keys and values, which training turned off in the configuration."""
    before = model.config.use_cache
    model.config.use_cache = True
    try:
        yield
    finally:
        model.config.use_cache = before


def out_of_mode(text: str, response_mode: str) -> bool:
    """Whether an answer leaves its lane: prose or fences among code, or fenced code in prose."""
    if _FENCE.search(text):
        return True
    if response_mode == "prose_only":
        return False
    return any(_SENTENCE.match(line) and not _CODE_SIGNS.search(line) for line in text.splitlines())


def _copied(text: str, answers: set[str]) -> bool:
    squeezed = _squeeze(text)
    if squeezed in answers:
        return True
    return len(squeezed) >= COPIED_CHARACTERS and any(a.startswith(squeezed) for a in answers)


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def _spread(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """`count` rows in turn from every language and category, in hash order."""
    return (
        _in_hash_order(rows)
        .with_columns(pl.int_range(pl.len()).over("language", "category").alias("_turn"))
        .sort("_turn", maintain_order=True)
        .head(count)
        .drop("_turn")
    )


def _sample(rows: pl.DataFrame, tokens: str) -> pl.DataFrame:
    """Rows in hash order up to COMPARED_TOKENS, at least one."""
    ordered = _in_hash_order(rows)
    within = ordered[tokens].fill_null(0).cum_sum() <= COMPARED_TOKENS
    return ordered.filter(within) if within.any() else ordered.head(1)


def _in_hash_order(rows: pl.DataFrame) -> pl.DataFrame:
    keys = [hashlib.sha256(f"judge:{one}".encode()).hexdigest() for one in rows["pair_id"]]
    return rows.with_columns(pl.Series("_key", keys, dtype=pl.String)).sort("_key").drop("_key")


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def record(directory: Path, evaluation: Evaluation) -> None:
    """Put an evaluation into the manifest and the card of the adapter it judged."""
    adapter.record(directory, "evaluation", evaluation.to_json())
