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

TEMPLATE = Path(__file__).with_name("report.html.j2")
#: Rows shown of each lane: the best, the median and the last that were kept, and one more.
SAMPLES_PER_LANE = 4
_INK, _SECOND = "#2f6690", "#d1783c"


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
    funnel: Sequence[tuple[str, int]],
    scored: pl.DataFrame,
    mix_rows: pl.DataFrame,
    evaluators: Sequence[Mapping[str, Any]] = (),
    curve: Sequence[Mapping[str, Any]] = (),
    evaluation: Mapping[str, Any] | None = None,
) -> str:
    """The report as HTML.

    `funnel` is (step, rows) from sources to the mix; `evaluators` rows have `name` and `auc` and
    may have more columns; `curve` is the adapter's training curve (progress lines); `evaluation` an
    `Evaluation.to_json`. All text is escaped: rows hold arbitrary source code.
    """
    import jinja2

    kept = scored.filter(pl.col("kept"))
    sections = [
        Section(
            "From sources to the mix",
            table=_table(["step", "rows"], funnel),
            figures=[_bars("Rows after each step", funnel)],
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
            figures=[_histogram("Score of every deduplicated row", scored, "score")],
        ),
        Section("The mix", table=_count(mix_rows, "split", "language", "task_family")),
    ]
    if evaluators:
        header = list(dict.fromkeys(key for row in evaluators for key in row))
        cells = [[_shown(row.get(key, "")) for key in header] for row in evaluators]
        sections.append(
            Section(
                "Evaluators",
                "How well each part of the score separates real rows from broken copies of them "
                "(area under the ROC curve; 0.5 is chance).",
                table=_table(header, cells),
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


def _shown(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


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


def _bars(caption: str, values: Sequence[tuple[str, int]]) -> Figure:
    figure, axes = _axes(height=0.4 * len(values) + 0.8)
    labels = [label for label, _ in values]
    bars = axes.barh(labels, [count for _, count in values], color=_INK)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.xaxis.set_visible(False)
    return _picture(figure, caption)


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
