"""Draws results of the exam: ladders of arms, rungs by construct, pass rates over builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import polars as pl

from vox_assets.exam.decide import Arm
from vox_assets.publish.figures import INK, PALETTE, Figure, canvas, encode


def ladders(
    shares: pl.DataFrame, names: Mapping[Arm, str], form: Literal["svg", "png"] = "png"
) -> Figure:
    """Draw the share of tasks that reach each rung, per arm, with its interval.

    `shares` has a line per arm and rung with `arm`, `rung`, `share`, `low`, `high`, in the order of
    arms and rungs; `names` has the name of each arm in the legend.
    """
    rungs = shares["rung"].unique(maintain_order=True).to_list()
    arms = shares["arm"].unique(maintain_order=True).to_list()
    figure, axes = canvas(height=3.4)
    width = 0.8 / max(1, len(arms))
    for number, arm in enumerate(arms):
        lines = shares.filter(arm=arm)
        positions = [rungs.index(rung) + number * width for rung in lines["rung"]]
        errors = lines.select(
            (pl.col("share") - pl.col("low")).clip(0), (pl.col("high") - pl.col("share")).clip(0)
        )
        axes.bar(
            positions,
            lines["share"].to_list(),
            width=width,
            yerr=errors.to_numpy().T,
            color=PALETTE[number % len(PALETTE)],
            label=names[arm],
            error_kw={"elinewidth": 1},
        )
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(rungs))], rungs)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of tasks")
    axes.legend(frameon=False)
    return encode(figure, "Share of tasks that reach each rung, with 95 % intervals", form)


def constructs_by_rung(shares: pl.DataFrame, form: Literal["svg", "png"] = "png") -> Figure:
    """Draw the share of tasks that reach each rung, per construct, as a heat map of one arm.

    `shares` has a line per construct and rung with `construct`, `rung`, `share`, `tasks`.
    """
    rungs = shares["rung"].unique(maintain_order=True).to_list()
    constructs = shares["construct"].unique().sort().to_list()
    cells = {
        (construct, rung): (share, tasks)
        for construct, rung, share, tasks in shares.select(
            "construct", "rung", "share", "tasks"
        ).iter_rows()
    }
    figure, axes = canvas(height=0.24 * len(constructs) + 0.9)
    matrix = [
        [cells.get((construct, rung), (float("nan"), 0))[0] for rung in rungs]
        for construct in constructs
    ]
    axes.imshow(matrix, aspect="auto", vmin=0, vmax=1, cmap="Blues")
    for row, construct in enumerate(constructs):
        for column, rung in enumerate(rungs):
            if (construct, rung) not in cells:
                continue
            share, tasks = cells[construct, rung]
            axes.text(
                column,
                row,
                f"{round(share * tasks)}/{tasks}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if share > 0.5 else "black",
            )
    axes.set_xticks(range(len(rungs)), rungs)
    axes.set_yticks(range(len(constructs)), constructs, fontsize=8)
    axes.spines[:].set_visible(False)
    return encode(figure, "Tasks of each construct that reach each rung: adapter", form)


def pass_rates(
    history: Sequence[tuple[str, float, float, float]], form: Literal["svg", "png"] = "png"
) -> Figure:
    """Draw the pass rate of the adapters, the oldest first: (digest, share, low, high)."""
    figure, axes = canvas(height=2.6)
    places = range(len(history))
    values = [share for _, share, _, _ in history]
    below = [share - low for _, share, low, _ in history]
    above = [high - share for _, share, _, high in history]
    axes.errorbar(places, values, yerr=[below, above], color=INK, marker="o", elinewidth=1)
    axes.set_xticks(places, [digest[:8] for digest, *_ in history], rotation=45, fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of tasks passed")
    return encode(figure, "Tasks passed by each adapter, the newest last", form)
