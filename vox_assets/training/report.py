"""The corpus report: one HTML file that needs no network, made from frames and plain values.

Only presentation lives here: every figure was computed before.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.curate.audit import survival

TEMPLATE = Path(__file__).with_name("report.html.j2")
#: Rows shown of each lane: the best, the median and the last that were kept, and one more.
SAMPLES_PER_LANE = 4
_INK, _SECOND = "#2f6690", "#d1783c"
_PALETTE = (_INK, _SECOND, "#7a9e7e")


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
    separation: Mapping[str, float] | None = None,
    weights: Mapping[str, Mapping[str, float]] | None = None,
    curve: Sequence[Mapping[str, Any]] = (),
    evaluation: Mapping[str, Any] | None = None,
) -> str:
    """The report as HTML.

    `funnel` has `step`, `source_asset`, `rows` in order from the sources to the mix; `reasons` has
    `stage`, `reason`, `rows`; `separation` is the AUC of each kind of mutant, `weights` the
    evaluator's by language and feature; `curve` is the adapter's training curve (progress lines);
    `evaluation` an `Evaluation.to_json`. All text is escaped: rows hold arbitrary source code.
    """
    import jinja2

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
        Section("Lanes", table=_count(kept, "lane", "response_mode", "origin")),
        Section("Languages", table=_count(kept, "lane", "language", "source_kind")),
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
    if separation and weights:
        sections.append(
            Section(
                "Evaluators",
                "How well the score tells real rows from rows spoilt on purpose (area under the "
                "ROC curve; 0.5 is chance), on rows kept out of its fit, and what it goes by.",
                table=_table(["spoilt", "AUC"], [(k, round(v, 3)) for k, v in separation.items()]),
                figures=evaluator_figures(separation, weights),
            )
        )
    if curve:
        sections.append(Section("Training", figures=[_training(curve)]))
    if evaluation is not None:
        verdicts = [
            (one["name"], "yes" if one["passed"] else "no", one["reason"])
            for one in evaluation["verdicts"]
        ]
        sections.append(
            Section("Evaluation", table=_table(["verdict", "holds", "figures"], verdicts))
        )
    sections += [
        Section(f"Rows of {lane}", samples=_samples(kept, lane))
        for lane in sorted(kept["lane"].unique().to_list())
    ]
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


def _count(rows: pl.DataFrame, *columns: str) -> Table:
    counts = rows.group_by(columns).len("rows").sort(columns)
    return _table([*columns, "rows"], list(counts.iter_rows()))


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


def _stacked(caption: str, funnel: pl.DataFrame) -> Figure:
    steps = funnel["step"].unique(maintain_order=True).to_list()
    figure, axes = _axes(height=0.45 * len(steps) + 1.0)
    left = [0] * len(steps)
    for number, source in enumerate(funnel["source_asset"].unique(maintain_order=True)):
        rows = dict(funnel.filter(pl.col("source_asset") == source).select("step", "rows").rows())
        widths = [rows.get(step, 0) for step in steps]
        color = _PALETTE[number % len(_PALETTE)]
        bars = axes.barh(steps, widths, left=left, color=color, label=source)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.bar_label(bars, labels=[f"{total:,}" for total in left], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.xaxis.set_visible(False)
    axes.legend(frameon=False, loc="lower right")
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


def _training(curve: Sequence[Mapping[str, Any]]) -> Figure:
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
    return _picture(figure, "Loss over the steps of the last training")


def _axes(height: float) -> tuple[Any, Any]:
    # The figure's own canvas: pyplot would keep global state and pick a window system.
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(7.5, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _picture(figure: Any, caption: str) -> Figure:
    import matplotlib

    buffer = io.BytesIO()
    # Neither date nor random ids, so that an unchanged corpus gives an unchanged report.
    with matplotlib.rc_context({"svg.hashsalt": "vox-assets"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Figure(caption, f"data:image/svg+xml;base64,{encoded}")
