"""A failed gate refuses the mix by its name, and its message contains no secret."""

from __future__ import annotations

import random
import re
from typing import Any

import polars as pl
import pytest

from vox_assets.contract.answers import CODE_LANES
from vox_assets.contract.rows import SCHEMA, to_frame, turns
from vox_assets.mix import gates
from vox_assets.profiles import Profile, load
from vox_assets_tests.conftest import make_pair

PROFILE: Profile = load("sample")
#: Statements of ten shapes: sixteen random ones, with names of the row, make a unique body.
SHAPES = (
    "let angle = basin(cedar, delta) + 1;",
    "if ember > fjord { return grove; }",
    "for heron in inlet.iter() { jetty(heron); }",
    "while knoll < ledge { knoll += marsh; }",
    "match notch { Some(oasis) => oasis, None => return };",
    "let (plain, quarry) = ridge(&strand);",
    "tundra.upland[vale] = wharf * 2;",
    "assert!(atoll && !bluff || cliff);",
    "loop { if dune() { break; } }",
    "let estuary: Vec<u8> = vec![1, 2, 3];",
)


def mix(count: int = 450, **changes: object) -> pl.DataFrame:
    """Build a mix that passes every gate, apart from `changes` to its first row."""
    pairs = []
    for n in range(count):
        drawn = "\n    ".join(random.Random(n).choices(SHAPES, k=16))
        body = "    " + re.sub("([a-z]{5,})", rf"\1_{n}", drawn)
        fields: dict[str, Any] = {
            "prompt": f"Write `item_{n}`.",
            "response": f"fn item_{n}() {{\n{body}\n}}",
            "source_path": f"crates/c{n}/src/lib.rs",
            **(changes if n == 0 else {}),
        }
        pairs.append(make_pair(fields.pop("prompt"), fields.pop("response"), **fields))
    side = pl.when(pl.int_range(pl.len()) % 10 == 9).then(pl.lit("eval")).otherwise(pl.lit("train"))
    return to_frame(pairs).with_columns(
        score=pl.lit(9.0), split=side, tokens=pl.lit(80, dtype=pl.Int64)
    )


def test_a_correct_mix_passes_every_gate() -> None:
    assert gates.refusals(mix(), PROFILE) == []


@pytest.mark.parametrize(
    ("gate", "rows"),
    [
        ("minimum_size", mix(300)),
        ("lane_policy", mix(lane="vox_docs_qa")),
        ("lane_policy", mix(response_mode="prose_only", language="markdown")),
        ("no_secrets", mix(response='let t = "ghp_' + 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";')),
        ("fits_context", mix().with_columns(tokens=pl.lit(5000))),
        ("no_split_leakage", mix().with_columns(source_path=pl.lit("crates/a/src/lib.rs"))),
    ],
)
def test_a_failed_gate_is_named(gate: str, rows: pl.DataFrame) -> None:
    refused = gates.refusals(rows, PROFILE)
    assert [line.split(":")[0] for line in refused] == [gate]
    assert "ghp_" not in refused[0]


def test_the_human_share_counts_training_rows() -> None:
    assert gates.human_share(mix(), PROFILE).figures["share"] == 1.0
    synthetic = mix().with_columns(origin=pl.lit("synthetic"))
    assert not gates.human_share(synthetic, PROFILE).passed


@pytest.mark.parametrize("mark", ["```", "~~~", "`````", "   ~~~~"])
def test_any_form_of_fence_is_refused_in_code(mark: str) -> None:
    rows = mix(response=f"{mark}rust\nfn f() {{}}\n{mark}")
    (refused,) = gates.refusals(rows, PROFILE)
    assert refused.startswith("lane_policy: 1 rows outside the lane policy")
    assert "holds a fence" in refused


@pytest.mark.parametrize("lane", sorted(CODE_LANES))
def test_prose_is_refused_in_every_code_lane(lane: str) -> None:
    rows = mix(lane=lane, response_mode="prose_only", response="A table keeps rows.")
    verdict = gates.lane_policy(rows, PROFILE.with_lanes(sorted({"vox_codegen", lane})))
    assert not verdict.passed
    assert f"is prose in lane {lane}" in verdict.summary


def test_code_is_refused_in_a_prose_lane() -> None:
    rows = mix(lane="vox_docs_qa")
    verdict = gates.lane_policy(rows, PROFILE.with_lanes(["vox_codegen", "vox_docs_qa"]))
    assert not verdict.passed
    assert "is code in lane vox_docs_qa" in verdict.summary


def test_the_policy_applies_to_earlier_answers_of_a_dialogue_too() -> None:
    dialogue = turns("Write f.", "~~~\nfn f() {}\n~~~", "And g.", "fn g() {}")
    rows = mix()
    messages = [dialogue, *rows["messages"].to_list()[1:]]
    rows = rows.with_columns(pl.Series("messages", messages, dtype=SCHEMA["messages"]))
    assert not gates.lane_policy(rows, PROFILE).passed


def test_a_failed_gate_is_named_once() -> None:
    (refused,) = gates.refusals(mix(300), PROFILE)
    assert refused.startswith("minimum_size: lane vox_codegen has 270 distinct rows")
