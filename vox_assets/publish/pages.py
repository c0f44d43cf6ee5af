"""Renders reports as HTML pages that need no network.

This module contains presentation only; the values are computed elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.contract.interval import Interval
from vox_assets.curate.audit import survival
from vox_assets.publish.figures import (
    Figure,
    evaluator_figures,
    forest,
    histogram,
    loss_curve,
    roc_curves,
    stacked,
)
from vox_assets.training.adapter.evaluation_table import (
    ANSWER_HEADER,
    LOSS_HEADER,
    answer_lines,
    loss_lines,
)
from vox_assets.training.evaluation.arms import TABLE_HEADER as ABLATION_HEADER

TEMPLATE = Path(__file__).with_name("report.html.j2")

#: A cell that starts with a number: counts, shares, values with their intervals.
_NUMBER = re.compile(r"[-+]?\d[\d,.]*%?(?: \[.*\])?")

#: Rows shown of each lane, from the best to the worst kept row at even distances.
SAMPLES_PER_LANE = 4


@dataclass(frozen=True)
class Table:
    """A table of a report: counts, figures, and texts that may be formatted already."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def cells(self) -> list[list[str]]:
        """Return the formatted cells."""
        return [[_cell(value) for value in row] for row in self.rows]

    @property
    def numbers(self) -> frozenset[int]:
        """Return the indices of the columns that contain only numbers; they align right."""
        return frozenset(
            index
            for index in range(len(self.header))
            if self.rows and all(_NUMBER.fullmatch(row[index]) for row in self.cells)
        )


@dataclass(frozen=True)
class CheckLine:
    """The last result of a check, and where it is from: this build, or an earlier one."""

    check: str
    #: passed, failed, warns, undecided, or "not evaluated".
    outcome: str
    summary: str
    build: str


@dataclass(frozen=True)
class Origin:
    """What a report is about: date, build, commit and profile; checks; and reasons for caution."""

    facts: Mapping[str, str]
    checks: Sequence[CheckLine] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """A report: its title, its origin and its sections."""

    title: str
    origin: Origin
    sections: Sequence[Section]

    @property
    def figures(self) -> list[Figure]:
        """Return the plots of all sections in order."""
        return [figure for section in self.sections for figure in section.figures]

    def html(self) -> str:
        """Render the page as HTML that needs no network and runs no script."""
        import jinja2

        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        sections = [*_checked(self.origin.checks), *self.sections]
        return template.render(title=self.title, origin=self.origin, sections=sections)


@dataclass(frozen=True)
class Section:
    """A heading of a report and its content."""

    title: str
    text: str = ""
    table: Table | None = None
    figures: Sequence[Figure] = ()
    samples: Sequence[Mapping[str, Any]] = field(default=())


def render_report(
    title: str,
    origin: Origin,
    funnel: pl.DataFrame,
    reasons: pl.DataFrame,
    scored: pl.DataFrame,
    mix_rows: pl.DataFrame,
    threshold: float,
    kinds: pl.DataFrame | None = None,
    weights: Mapping[str, Mapping[str, float]] | None = None,
    separation: pl.DataFrame | None = None,
    repositories: pl.DataFrame | None = None,
) -> Page:
    """Compose the report of a corpus.

    `funnel` has `step`, `source_asset`, `rows` in order from the sources to the mix. `reasons` has
    `stage`, `reason`, `rows`. Rows with a score below `threshold` are dropped. `kinds` summarises
    the evaluator by language and kind of damage (`separation_report`), and `separation` has the
    score of every real row and damaged row.
    `weights` are the evaluator's weights by language and feature. `repositories` has
    `repository`, `fate`, `rows` if the profile names repositories. All text is
    escaped, because rows contain arbitrary source code.
    """
    kept = scored.filter(pl.col("kept"))
    sections = [
        Section(
            "From sources to the mix",
            table=_pivot(funnel),
            figures=[stacked("Rows after each step, by source table", funnel)],
        ),
        Section(
            "Why rows were dropped",
            "`vox-assets explain PAIR_ID` explains what happened to a row.",
            table=Table(reasons.columns, list(reasons.iter_rows())),
        ),
        Section(
            "Lanes",
            table=_count(kept, "lane", "response_mode", "origin"),
            figures=[stacked("Kept rows by lane and origin", _counts(kept, "lane", "origin"))],
        ),
        Section(
            "Languages",
            table=_count(kept, "lane", "language", "source_kind"),
            figures=[stacked("Kept rows by language and lane", _counts(kept, "language", "lane"))],
        ),
        Section(
            "Lengths",
            figures=[histogram("Tokens of a row in the training mix", mix_rows, "tokens")],
        ),
        Section(
            "Scores",
            f"Rows below {threshold:g} and the rows with the highest perplexity are dropped.",
            table=_survival(scored),
            figures=[
                histogram(
                    f"Score of each deduplicated row; the line is the threshold, {threshold:g}",
                    scored,
                    "score",
                    mark=threshold,
                )
            ],
        ),
        Section("The mix", table=_count(mix_rows, "split", "language", "task_family")),
    ]
    if repositories is not None:
        listed = Table(repositories.columns, list(repositories.iter_rows()))
        sections.insert(1, Section("Fates of the rows of each repository", table=listed))
    if kinds is not None and not kinds.is_empty() and weights:
        sections.append(
            Section(
                "Evaluators",
                "Damaged rows that were not used to fit the score, by language. AUC: how well the "
                "score separates them from all real rows of the language (0.5 is chance); "
                "rejected: the share of them that is dropped; both with 95 % intervals. The "
                "second plot shows the weights of the score.",
                table=_separation(kinds),
                figures=[
                    *evaluator_figures(kinds, weights),
                    *([] if separation is None else [roc_curves(separation)]),
                ],
            )
        )
    sections += [
        Section(f"Rows of {lane}", samples=_samples(kept, lane))
        for lane in sorted(kept["lane"].unique().to_list())
    ]
    return Page(title, origin, sections)


def render_adapter(
    title: str,
    origin: Origin,
    curve: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    exam: Sequence[Section] = (),
) -> Page:
    """Compose the report of an adapter.

    `curve` has the progress lines of its training, `evaluation` the result of `Evaluation.to_json`,
    and `exam` the sections about the exam.
    """
    verdicts = [
        (
            verdict["name"],
            "passed" if verdict["passed"] else "undecided" if verdict["undecided"] else "failed",
            verdict["reason"],
        )
        for verdict in evaluation["verdicts"]
    ]
    sections = [
        Section("Training", figures=[loss_curve(curve, "svg")]),
        Section(
            "Verdicts",
            "An adapter is promoted only when every verdict passes. The profile sets the limits.",
            table=Table(["verdict", "outcome", "reason"], verdicts),
        ),
        Section(
            "Loss on held-out and other rows",
            "Nats per answer token, weighted by tokens. Intervals are over sources.",
            table=Table(LOSS_HEADER, loss_lines(evaluation)),
        ),
        Section(
            "Answers to held-out prompts",
            "Shares with Wilson intervals.",
            table=Table(ANSWER_HEADER, answer_lines(evaluation)),
        ),
        *exam,
    ]
    return Page(title, origin, sections)


def render_ablation(
    title: str,
    origin: Origin,
    results: Sequence[Mapping[str, Any]],
    lines: Sequence[Sequence[str]],
) -> Page:
    """Compose the report of an ablation, from the results and table lines of `arms`."""
    ratios = [(item["arm"], item["evaluation"]["held_out"]["ratio"]) for item in results]
    reasons = [(item["arm"], item["why"]) for item in results]
    sections = [
        Section(
            "Arms",
            "All arms are trained with the same number of tokens, and are evaluated on the same "
            "held-out rows and the development half of the same exam. Intervals are paired: "
            "by source for the loss, by task for the exam.",
            table=Table(ABLATION_HEADER, lines),
            figures=[forest(ratios, "svg")],
        ),
        Section("Meaning of each arm", table=Table(["arm", "meaning"], reasons)),
    ]
    held_out = f"{results[0]['evaluation']['held_out']['rows']:,}"
    return Page(title, replace(origin, facts={**origin.facts, "held-out rows": held_out}), sections)


def _checked(checks: Sequence[CheckLine]) -> list[Section]:
    if not checks:
        return []
    worst_first = sorted(checks, key=lambda line: (line.outcome == "passed", line.check))
    lines = [(line.check, line.outcome, line.summary, line.build) for line in worst_first]
    passed = sum(line.outcome == "passed" for line in checks)
    return [
        Section(
            "Checks",
            f"{passed} of {len(checks)} passed. The README explains what a failure means.",
            table=Table(["check", "outcome", "result", "build"], lines),
        )
    ]


def _cell(value: Any) -> str:
    """Format counts with separators and figures with three decimals, as every report does."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _pivot(funnel: pl.DataFrame) -> Table:
    wide = funnel.pivot("source_asset", index="step", values="rows").fill_null(0)
    wide = wide.with_columns(pl.sum_horizontal(pl.exclude("step")).alias("all"))
    return Table(wide.columns, list(wide.iter_rows()))


def _survival(scored: pl.DataFrame) -> Table:
    lines = [
        (by, group, rows, kept, f"{share:.1%}", f"{score:.2f}")
        for by, group, rows, kept, share, score in survival(scored).iter_rows()
    ]
    return Table(["by", "group", "rows", "kept", "share kept", "median score"], lines)


def _separation(kinds: pl.DataFrame) -> Table:
    lines = [
        (
            *(line["language"], line["kind"], line["planted"], line["real"]),
            str(Interval(line["auc"], line["auc_low"], line["auc_high"])),
            f"{line['rejected']:.0%} [{line['rejected_low']:.0%}, {line['rejected_high']:.0%}]",
        )
        for line in kinds.iter_rows(named=True)
    ]
    header = ["language", "damage", "damaged rows", "real rows", "AUC [95 %]", "rejected [95 %]"]
    return Table(header, lines)


def _counts(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return rows.group_by(columns).len("rows").sort(columns)


def _count(rows: pl.DataFrame, *columns: str) -> Table:
    counts = _counts(rows, *columns)
    return Table(counts.columns, list(counts.iter_rows()))


def _samples(kept: pl.DataFrame, lane: str) -> list[dict[str, Any]]:
    """Select rows at even distances in the order of scores of a lane, best first."""
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
