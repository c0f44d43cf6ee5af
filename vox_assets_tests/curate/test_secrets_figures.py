"""Precision and recall on the labelled texts reach the goals and are those of docs/curation.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from vox_assets.contract.interval import Interval, wilson
from vox_assets.curate.secrets import findings
from vox_assets_tests.curate.secret_cases import (
    measured_harmless,
    measured_secrets,
    tuning_harmless,
    tuning_secrets,
)

HALVES = {
    "tuning": (tuning_secrets.SECRETS, tuning_harmless.HARMLESS),
    "measured": (measured_secrets.SECRETS, measured_harmless.HARMLESS),
}
#: Goals of both halves.
RECALL, FALSE_ALARMS = 0.95, 0.05
PAGE = Path(__file__).parents[2] / "docs" / "curation.md"


def flagged(texts: dict[str, str]) -> int:
    return sum(bool(findings(text)) for text in texts.values())


def share(hits: int, count: int) -> str:
    interval: Interval = wilson(hits, count)
    return f"{hits} of {count}: {interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def line(half: str) -> str:
    secrets, harmless = HALVES[half]
    found, wrong = flagged(secrets), flagged(harmless)
    cells = (share(found, len(secrets)), share(found, found + wrong), share(wrong, len(harmless)))
    return f"| {half} | {' | '.join(cells)} |"


@pytest.mark.parametrize("half", HALVES)
def test_both_halves_reach_the_goals(half: str) -> None:
    secrets, harmless = HALVES[half]
    assert flagged(secrets) >= RECALL * len(secrets)
    assert flagged(harmless) <= FALSE_ALARMS * len(harmless)


@pytest.mark.parametrize("half", HALVES)
def test_the_documentation_has_the_measured_figures(half: str) -> None:
    assert line(half) in PAGE.read_text().splitlines()


def test_the_labelled_texts_are_many_and_distinct() -> None:
    for kind in (0, 1):
        texts = [text for half in HALVES.values() for text in half[kind].values()]
        assert len(texts) == len(set(texts)) >= 200
