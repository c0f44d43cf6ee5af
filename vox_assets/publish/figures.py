"""Draws plots of the corpus, the evaluator and the training as data URLs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

INK, _SECOND = "#2f6690", "#d1783c"


PALETTE = (INK, _SECOND, "#5a8f5c", "#8a5a83", "#b5a33d", "#6f7f8f", "#a3473f", "#3f9c98")


_MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


@dataclass(frozen=True)
class Figure:
    """A plot: its caption and the image as a data URL."""

    caption: str
    source: str


def stacked(caption: str, counts: pl.DataFrame) -> Figure:
    """Draw one bar per value of the first column, stacked by the second, with lengths `rows`.

    Values keep the order of `counts`.
    """
    group, part = counts.columns[:2]
    names = counts[group].unique(maintain_order=True).to_list()
    figure, axes = canvas(height=0.4 * len(names) + 1.1)
    lefts = [0] * len(names)
    for index, value in enumerate(counts[part].unique(maintain_order=True)):
        rows = dict(counts.filter(pl.col(part) == value).select(group, "rows").iter_rows())
        widths = [rows.get(name, 0) for name in names]
        color = PALETTE[index % len(PALETTE)]
        bars = axes.barh(names, widths, left=lefts, label=value, color=color)
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    axes.bar_label(bars, labels=[f"{total:,}" for total in lefts], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.xaxis.set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return encode(figure, caption)


def evaluator_figures(
    kinds: pl.DataFrame, weights: Mapping[str, Mapping[str, float]]
) -> list[Figure]:
    """Draw the AUC of each language and kind of damage, and the weight of each feature."""
    figure, areas = canvas(height=0.25 * len(kinds) + 0.8)
    labels = kinds.select(pl.format("{}: {}", "language", "kind")).to_series().to_list()
    errors = kinds.select(
        (pl.col("auc") - pl.col("auc_low")).clip(0), (pl.col("auc_high") - pl.col("auc")).clip(0)
    )
    areas.barh(labels, kinds["auc"].to_list(), xerr=errors.to_numpy().T, color=INK)
    areas.set_xlim(0.5, 1.05)
    areas.invert_yaxis()
    auc = encode(figure, "Area under the ROC curve for each kind of damage, with 95 % intervals")

    names = list(dict.fromkeys(name for form in weights.values() for name in form))
    figure, axes = canvas(height=0.3 * len(names) + 1.0)
    height = 0.8 / max(1, len(weights))
    for number, (language, form) in enumerate(weights.items()):
        positions = [position + number * height for position in range(len(names))]
        color = PALETTE[number % len(PALETTE)]
        values = [form.get(name, 0.0) for name in names]
        axes.barh(positions, values, height=height, color=color, label=language)
    axes.set_yticks([position + 0.4 - height / 2 for position in range(len(names))], names)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("log-odds of a real row per standard deviation")
    axes.invert_yaxis()
    axes.legend(frameon=False)
    return [auc, encode(figure, "Weights of the features in the score")]


def histogram(caption: str, rows: pl.DataFrame, column: str, mark: float | None = None) -> Figure:
    """Draw the distribution of a column, with a line at `mark`."""
    figure, axes = canvas(height=2.6)
    axes.hist(rows[column].drop_nulls().to_numpy(), bins=40, color=INK)
    if mark is not None:
        axes.axvline(mark, color=_SECOND, linestyle="--", label=f"threshold {mark:g}")
        axes.legend(frameon=False)
    axes.set_xlabel(column)
    axes.set_ylabel("rows")
    return encode(figure, caption)


def roc_curves(separation: pl.DataFrame) -> Figure:
    """Draw the ROC curve of the score for each kind of mutant (`mutant` is null for real rows)."""
    figure, axes = canvas(height=5.2)
    real = separation.filter(pl.col("mutant").is_null())["score"].sort()
    kinds = separation["mutant"].drop_nulls().unique().sort().to_list()
    for index, kind in enumerate(kinds):
        mutants = separation.filter(pl.col("mutant") == kind)["score"].sort()
        thresholds = pl.concat([real, mutants]).unique().sort()
        # At a threshold, rows with at most this score are rejected: mutants and real rows.
        rejected_mutants = [0.0, *(mutants.search_sorted(thresholds, "right") / len(mutants))]
        rejected_real = [0.0, *(real.search_sorted(thresholds, "right") / max(1, len(real)))]
        axes.plot(rejected_real, rejected_mutants, label=kind, color=PALETTE[index % len(PALETTE)])
    axes.set_xlabel("share of real rows rejected")
    axes.set_ylabel("share of mutants rejected")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return encode(figure, "Rejected mutants and real rows at each threshold of the score")


def forest(
    ratios: Sequence[tuple[str, Mapping[str, float | None]]], form: Literal["svg", "png"] = "png"
) -> Figure:
    """Draw the ratio of adapter loss to base loss per arm, with intervals; below 1 is better."""
    figure, axes = canvas(height=0.5 * len(ratios) + 1.1)
    for position, (_, ratio) in enumerate(ratios):
        if ratio["low"] is not None:
            axes.plot([ratio["low"], ratio["high"]], [position, position], color=INK)
        axes.plot(ratio["value"], position, "o", color=INK)
    axes.axvline(1.0, color=_SECOND, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(ratios)), [name for name, _ in ratios])
    axes.invert_yaxis()
    axes.set_xlabel("held-out loss: ratio of adapter to base, with 95 % interval")
    return encode(figure, "Held-out loss of every arm relative to the base", form)


def loss_curve(curve: Sequence[Mapping[str, Any]], form: Literal["svg", "png"] = "png") -> Figure:
    """Draw the training loss and the loss on watch rows over the steps of a run."""
    figure, axes = canvas(height=3.2)
    for key, label, color, marker in (
        ("loss", "training", INK, ""),
        ("watched_nll", "watch rows", _SECOND, "o"),
    ):
        points = [(line["step"], line[key]) for line in curve if key in line]
        if points:
            steps, losses = zip(*points, strict=True)
            axes.plot(steps, losses, label=label, color=color, marker=marker)
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats per answer token")
    axes.legend(frameon=False)
    return encode(figure, "Loss over the steps of the last training", form)


def canvas(height: float) -> tuple[Any, Any]:
    """Return an empty plot of the common width and its axes; `height` is in inches."""
    # pyplot would keep global state and choose a window system.
    from matplotlib.figure import Figure as Plot

    figure = Plot(figsize=(7.5, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def encode(figure: Any, caption: str, form: Literal["svg", "png"] = "svg") -> Figure:
    """Encode a plot as a data URL."""
    import matplotlib

    buffer = io.BytesIO()
    # No date and no random ids, so that an unchanged corpus gives an unchanged report.
    with matplotlib.rc_context({"svg.hashsalt": "vox-assets"}):
        figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else None)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Figure(caption, f"data:{_MEDIA_TYPES[form]};base64,{encoded}")
