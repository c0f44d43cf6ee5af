"""The corpus report: one HTML file that needs no network, made from frames and plain values.

Only presentation lives here: every figure was computed before.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from vox_assets.curate.audit import survival
from vox_assets.training.adapter.evaluation_table import (
    ANSWER_HEADER,
    LOSS_HEADER,
    answer_lines,
    loss_lines,
)
from vox_assets.training.evaluation.arms import TABLE_HEADER as ABLATION_HEADER

TEMPLATE = Path(__file__).with_name("report.html.j2")
#: Rows shown of each lane: the best, the median and the last that were kept, and one more.
SAMPLES_PER_LANE = 4
_INK, _SECOND = "#2f6690", "#d1783c"
_PALETTE = (_INK, _SECOND, "#5a8f5c", "#8a5a83", "#b5a33d", "#6f7f8f", "#a3473f", "#3f9c98")
_MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


@dataclass(frozen=True)
class Table:
    """A table; `numbers` are the positions of right-aligned columns."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Figure:
    """A picture as a data URI and what it shows."""

    caption: str
    source: str


@dataclass(frozen=True)
class Section:
    """One heading of the report and what stands under it."""

    title: str
    text: str = ""
    table: Table | None = None
    figures: Sequence[Figure] = ()
    samples: Sequence[Mapping[str, Any]] = field(default=())


def render_report(
    title: str,
    facts: Mapping[str, Any],
    funnel: pl.DataFrame,
    reasons: pl.DataFrame,
    scored: pl.DataFrame,
    mix_rows: pl.DataFrame,
    areas: Mapping[str, float] | None = None,
    weights: Mapping[str, Mapping[str, float]] | None = None,
    separation: pl.DataFrame | None = None,
    curve: Sequence[Mapping[str, Any]] = (),
    evaluation: Mapping[str, Any] | None = None,
    repositories: pl.DataFrame | None = None,
) -> str:
    """The report as HTML.

    `funnel` has `step`, `source_asset`, `rows` in order from the sources to the mix; `reasons` has
    `stage`, `reason`, `rows`; `areas` is the AUC of each kind of mutant, `weights` the evaluator's
    by language and feature, `separation` the score of every real row and mutant behind them;
    `curve` is the adapter's training curve (progress lines); `evaluation` an `Evaluation.to_json`;
    `repositories` has `repository`, `fate`, `rows`, where the profile names repositories.
    All text is escaped: rows hold arbitrary source code.
    """
    kept = scored.filter(pl.col("kept"))
    sections = [
        Section(
            "From sources to the mix",
            table=_pivot(funnel),
            figures=[_stacked("Rows after each step, by their source", funnel)],
        ),
        Section(
            "Why rows were dropped",
            "`vox-assets explain PAIR_ID` tells the story of one of them.",
            table=_table(reasons.columns, list(reasons.iter_rows())),
        ),
        Section(
            "Lanes",
            table=_count(kept, "lane", "response_mode", "origin"),
            figures=[
                _stacked("Rows that were kept, by lane and origin", _counts(kept, "lane", "origin"))
            ],
        ),
        Section(
            "Languages",
            table=_count(kept, "lane", "language", "source_kind"),
            figures=[_stacked("The same, by language and lane", _counts(kept, "language", "lane"))],
        ),
        Section(
            "Lengths",
            figures=[_histogram("Tokens of a row in the training mix", mix_rows, "tokens")],
        ),
        Section(
            "Scores",
            "Rows below the threshold are discarded; so are the hardest by perplexity.",
            table=_survival(scored),
            figures=[_histogram("Score of every deduplicated row", scored, "score")],
        ),
        Section("The mix", table=_count(mix_rows, "split", "language", "task_family")),
    ]
    if repositories is not None:
        listed = _table(repositories.columns, list(repositories.iter_rows()))
        sections.insert(1, Section("What became of each repository's rows", table=listed))
    if areas and weights:
        sections.append(
            Section(
                "Evaluators",
                "How well the score tells real rows from rows spoilt on purpose (area under the "
                "ROC curve; 0.5 is chance), on rows kept out of its fit, and what it goes by.",
                table=_table(["spoilt", "AUC"], [(k, round(v, 3)) for k, v in areas.items()]),
                figures=[
                    *evaluator_figures(areas, weights),
                    *([] if separation is None else [_separation(separation)]),
                ],
            )
        )
    if curve:
        sections.append(Section("Training", figures=[loss_curve(curve, "svg")]))
    if evaluation is not None:
        verdicts = [
            (one["name"], "yes" if one["passed"] else "no", one["reason"])
            for one in evaluation["verdicts"]
        ]
        sections += [
            Section("Evaluation", table=_table(["verdict", "holds", "figures"], verdicts)),
            Section(
                "Loss on held-out rows and elsewhere",
                "Nats per answer token, weighted by tokens; intervals are bootstrapped over "
                "sources.",
                table=_table(LOSS_HEADER, loss_lines(evaluation)),
            ),
            Section(
                "Answers to held-out prompts",
                "Shares with Wilson intervals.",
                table=_table(ANSWER_HEADER, answer_lines(evaluation)),
            ),
        ]
    sections += [
        Section(f"Rows of {lane}", samples=_samples(kept, lane))
        for lane in sorted(kept["lane"].unique().to_list())
    ]
    return _page(title, facts, sections)


def render_ablation(
    title: str, results: Sequence[Mapping[str, Any]], lines: Sequence[Sequence[str]]
) -> str:
    """The ablation as HTML: one table and one plot; `results` and `lines` are `ablation`'s."""
    ratios = [(one["arm"], one["evaluation"]["held_out"]["ratio"]) for one in results]
    reasons = [(one["arm"], one["why"]) for one in results]
    sections = [
        Section(
            "Arms",
            "Every arm saw as many tokens from the same seed and is judged on the same held-out "
            "rows. Intervals are paired and bootstrapped over sources.",
            table=_table(ABLATION_HEADER, lines),
            figures=[forest(ratios, "svg")],
        ),
        Section("What each arm is", table=_table(["arm", "what"], reasons)),
    ]
    return _page(title, {"held-out rows": results[0]["evaluation"]["held_out"]["rows"]}, sections)


def _page(title: str, facts: Mapping[str, Any], sections: Sequence[Section]) -> str:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, facts=list(facts.items()), sections=sections)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    numbers = frozenset(
        index
        for index in range(len(header))
        if rows and all(isinstance(row[index], int | float) for row in rows)
    )
    return Table(header, rows, numbers)


def _pivot(funnel: pl.DataFrame) -> Table:
    wide = funnel.pivot("source_asset", index="step", values="rows").fill_null(0)
    wide = wide.with_columns(pl.sum_horizontal(pl.exclude("step")).alias("all"))
    return _table(wide.columns, list(wide.iter_rows()))


def _survival(scored: pl.DataFrame) -> Table:
    groups = survival(scored)
    return _table(groups.columns, list(groups.iter_rows()))


def _counts(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return rows.group_by(columns).len("rows").sort(columns)


def _count(rows: pl.DataFrame, *columns: str) -> Table:
    counts = _counts(rows, *columns)
    return _table(counts.columns, list(counts.iter_rows()))


def _samples(kept: pl.DataFrame, lane: str) -> list[dict[str, Any]]:
    """Rows spread evenly over the scores of a lane, best first."""
    rows = kept.filter(pl.col("lane") == lane).sort(["score", "pair_id"], descending=[True, False])
    count = min(SAMPLES_PER_LANE, len(rows))
    positions = [round(step * (len(rows) - 1) / max(1, count - 1)) for step in range(count)]
    columns = ["score", "language", "origin", "source_path", "source_start_line", "messages"]
    return [
        {"label": f"{score:.1f} · {language} · {origin} · {path}:{line}", "messages": messages}
        for score, language, origin, path, line, messages in rows[positions]
        .select(columns)
        .iter_rows()
    ]


# Pictures -----------------------------------------------------------------------------------


def _stacked(caption: str, counts: pl.DataFrame) -> Figure:
    """Bars of the first column, stacked by the second, as long as `rows`; both in given order."""
    by, part = counts.columns[:2]
    names = counts[by].unique(maintain_order=True).to_list()
    figure, axes = _axes(height=0.4 * len(names) + 1.1)
    lefts = [0] * len(names)
    for index, value in enumerate(counts[part].unique(maintain_order=True)):
        rows = dict(counts.filter(pl.col(part) == value).select(by, "rows").iter_rows())
        widths = [rows.get(name, 0) for name in names]
        color = _PALETTE[index % len(_PALETTE)]
        bars = axes.barh(names, widths, left=lefts, label=value, color=color)
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    axes.bar_label(bars, labels=[f"{total:,}" for total in lefts], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.xaxis.set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _picture(figure, caption)


def evaluator_figures(
    separation: Mapping[str, float], weights: Mapping[str, Mapping[str, float]]
) -> list[Figure]:
    """The AUC of each kind of mutant, and the weight of each feature by language."""
    figure, areas = _axes(height=0.35 * len(separation) + 0.8)
    bars = areas.barh(list(separation), list(separation.values()), color=_INK)
    areas.bar_label(bars, fmt="{:.3f}", padding=3)
    areas.set_xlim(0.5, 1.05)
    areas.invert_yaxis()
    auc = _picture(figure, "Area under the ROC curve for each way of spoiling a row")

    names = list(dict.fromkeys(name for form in weights.values() for name in form))
    figure, axes = _axes(height=0.3 * len(names) + 1.0)
    height = 0.8 / max(1, len(weights))
    for number, (language, form) in enumerate(weights.items()):
        places = [position + number * height for position in range(len(names))]
        color = _PALETTE[number % len(_PALETTE)]
        values = [form.get(name, 0.0) for name in names]
        axes.barh(places, values, height=height, color=color, label=language)
    axes.set_yticks([position + 0.4 - height / 2 for position in range(len(names))], names)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("log-odds of a real row per standard deviation")
    axes.invert_yaxis()
    axes.legend(frameon=False)
    return [auc, _picture(figure, "What the score goes by")]


def _histogram(caption: str, rows: pl.DataFrame, column: str) -> Figure:
    figure, axes = _axes(height=2.6)
    axes.hist(rows[column].drop_nulls().to_numpy(), bins=40, color=_INK)
    axes.set_xlabel(column)
    axes.set_ylabel("rows")
    return _picture(figure, caption)


def _separation(separation: pl.DataFrame) -> Figure:
    """ROC curve of the score for each kind of mutant (`mutant` is null for real rows)."""
    figure, axes = _axes(height=3.6)
    real = separation.filter(pl.col("mutant").is_null())["score"].sort()
    kinds = separation["mutant"].drop_nulls().unique().sort().to_list()
    for index, kind in enumerate(kinds):
        spoilt = separation.filter(pl.col("mutant") == kind)["score"].sort()
        bounds = pl.concat([real, spoilt]).unique().sort()
        # Rows that score at most a bound are refused: mutants caught, real rows lost with them.
        caught = [0.0, *(spoilt.search_sorted(bounds, "right") / len(spoilt))]
        lost = [0.0, *(real.search_sorted(bounds, "right") / max(1, len(real)))]
        axes.plot(lost, caught, label=kind, color=_PALETTE[index % len(_PALETTE)])
    axes.set_xlabel("share of real rows refused")
    axes.set_ylabel("share of mutants refused")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _picture(figure, "What refusing below each score would catch and cost")


def forest(
    ratios: Sequence[tuple[str, Mapping[str, float]]], form: Literal["svg", "png"] = "png"
) -> Figure:
    """Adapter over base loss per arm, with intervals; left of 1 is better than the base."""
    figure, axes = _axes(height=0.5 * len(ratios) + 1.1)
    for place, (_, ratio) in enumerate(ratios):
        axes.plot([ratio["low"], ratio["high"]], [place, place], color=_INK)
        axes.plot(ratio["value"], place, "o", color=_INK)
    axes.axvline(1.0, color=_SECOND, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(ratios)), [name for name, _ in ratios])
    axes.invert_yaxis()
    axes.set_xlabel("held-out loss, adapter over base, with 95 % interval")
    return _picture(figure, "Held-out loss of every arm against the base", form)


def loss_curve(curve: Sequence[Mapping[str, Any]], form: Literal["svg", "png"] = "png") -> Figure:
    """Training and watched loss over the steps of a run's progress lines."""
    figure, axes = _axes(height=3.2)
    for key, label, color, marker in (
        ("loss", "training", _INK, ""),
        ("watched_nll", "held out, watched", _SECOND, "o"),
    ):
        points = [(line["step"], line[key]) for line in curve if key in line]
        if points:
            steps, losses = zip(*points, strict=True)
            axes.plot(steps, losses, label=label, color=color, marker=marker)
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats per answer token")
    axes.legend(frameon=False)
    return _picture(figure, "Loss over the steps of the last training", form)


def _axes(height: float) -> tuple[Any, Any]:
    # The figure's own canvas: pyplot would keep global state and pick a window system.
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(7.5, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _picture(figure: Any, caption: str, form: Literal["svg", "png"] = "svg") -> Figure:
    import matplotlib

    buffer = io.BytesIO()
    # Neither date nor random ids, so that an unchanged corpus gives an unchanged report.
    with matplotlib.rc_context({"svg.hashsalt": "vox-assets"}):
        figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else None)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Figure(caption, f"data:{_MEDIA_TYPES[form]};base64,{encoded}")
