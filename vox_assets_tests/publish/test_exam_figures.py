"""Plots of the exam: they need only the shares of arms, constructs and builds."""

from __future__ import annotations

import base64

import polars as pl
import pytest

from vox_assets.publish import exam_figures
from vox_assets.publish.figures import Figure

SHARES = pl.DataFrame(
    {
        "arm": ["base", "base", "adapter", "adapter"],
        "construct": ["lists", "lists", "lists", "tables"],
        "rung": ["ends", "parses", "ends", "parses"],
        "tasks": [10, 10, 10, 0],
        "share": [0.2, 0.0, 0.9, 0.0],
        "low": [0.05, 0.0, 0.6, 0.0],
        "high": [0.5, 0.3, 0.98, 1.0],
    }
)


def text_of(figure: Figure) -> str:
    head, _, data = figure.source.partition(",")
    assert head == "data:image/svg+xml;base64"
    return base64.b64decode(data).decode()


@pytest.mark.parametrize(
    "figure",
    [
        exam_figures.ladders(SHARES, {"base": "base", "adapter": "adapter"}, "svg"),
        exam_figures.constructs_by_rung(SHARES.filter(arm="adapter"), "svg"),
        exam_figures.pass_rates([("0123456789", 0.1, 0.0, 0.3), ("ab", 0.2, 0.1, 0.4)], "svg"),
    ],
    ids=["ladders", "constructs", "pass rates"],
)
def test_a_plot_of_the_exam_is_drawn_and_the_same_each_time(figure: Figure) -> None:
    assert "</svg>" in text_of(figure)
    again = exam_figures.ladders(SHARES, {"base": "base", "adapter": "adapter"}, "svg")
    assert again == exam_figures.ladders(SHARES, {"base": "base", "adapter": "adapter"}, "svg")
