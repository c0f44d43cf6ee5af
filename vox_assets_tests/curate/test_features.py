"""Each feature reacts to the property that it measures, and is documented."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.curate.calibrate import DIRECTION
from vox_assets.curate.features import FEATURES, MODEL_FEATURES, freshness, guidance, measure
from vox_assets.curate.mutants import KINDS, plant

PROMPT = (
    "Write a Rust function `moving_average(values: &[f64], window: usize) -> Vec<f64>` for the "
    "crate `vox-stats`. It returns the mean of each run of `window` values, and nothing when "
    "`window` is 0 or longer than `values`."
)
ANSWER = """pub fn moving_average(values: &[f64], window: usize) -> Vec<f64> {
    if window == 0 || window > values.len() {
        return Vec::new();
    }
    values
        .windows(window)
        .map(|run| run.iter().sum::<f64>() / window as f64)
        .collect()
}"""
PROSE_PROMPT = 'What does the Vox documentation say about indexes on the page "Tables"?'
PROSE = (
    "An index of a table names the fields by which rows are found. It costs a little on every "
    "insert, and saves a walk over the whole table on every query that filters by its fields. "
    "Declare one for each field that an endpoint filters by."
)


NAMES = [
    first + second
    for first in "amber basin cedar delta ember fjord".split()
    for second in "grove heron inlet jetty knoll ledge".split()
]


def features(prompt: str = PROMPT, answer: str = ANSWER, language: str = "rust") -> dict:
    return measure(prompt, answer, language)


def test_each_feature_has_a_definition_a_direction_and_a_line_in_the_docs() -> None:
    documented = Path("docs/features.md").read_text(encoding="utf-8")
    assert list(FEATURES) == list(DIRECTION)
    assert all(f"| `{name}` |" in documented for name in KINDS)
    lines = re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", documented, re.M)
    assert {
        name: f"{meaning.replace('`', '')}; {value_range}" for name, value_range, meaning in lines
    } == FEATURES


def test_a_good_row_has_good_values() -> None:
    good = features()
    assert good["parses"] == good["complete"] == good["standing_alone"] == 1
    assert good["stub_share"] == 0
    assert good["repetition"] < 0.05
    assert good["answer_named"] > 0.4
    assert good["prompt_named"] > 0.7


@pytest.mark.parametrize(
    ("feature", "worse"),
    [
        ("answer_named", {"answer": "fn unrelated() -> bool {\n    true\n}"}),
        ("prompt_specifics", {"prompt": "Write some code."}),
        ("prompt_length", {"prompt": "Write some code."}),
        ("standing_alone", {"prompt": "Make it work as shown above."}),
        ("parses", {"answer": ANSWER[:-40]}),
        ("complete", {"answer": ANSWER[:-40]}),
        ("substance", {"answer": "fn f() {}"}),
    ],
)
def test_a_feature_falls_when_its_quality_is_missing(feature: str, worse: dict) -> None:
    assert features(**worse)[feature] < features()[feature]


@pytest.mark.parametrize(
    ("feature", "worse"),
    [
        ("stub_share", "pub fn moving_average(v: &[f64], w: usize) -> Vec<f64> {\n    todo!()\n}"),
        ("repetition", ANSWER + "\n" + ANSWER + "\n" + ANSWER),
        ("boilerplate_share", "use std::fmt;\nuse std::io::Write;\n\n" + ANSWER),
        ("lone_names", ANSWER.replace("values", "valzes", 1).replace("window", "wjndow", 1)),
    ],
)
def test_a_fault_raises_its_feature(feature: str, worse: str) -> None:
    assert features(answer=worse)[feature] > features()[feature]


def test_information_falls_with_repetition_and_not_with_length() -> None:
    line = "    let total = total + values.len();\n"
    assert features(answer=line * 12)["information"] < 0.5 * features(answer=line)["information"]
    fresh = "\n".join(f"fn {name}() -> u8 {{ {n} }}" for n, name in enumerate(NAMES))
    half = fresh[: len(fresh) // 2]
    from_half = features(answer=half)["information"]
    from_all = features(answer=fresh)["information"]
    assert from_all == pytest.approx(from_half, rel=0.1)


@pytest.mark.parametrize(
    ("language", "answer"),
    [
        ("vox", "type Todo {\n    title: str\n}\n\nfn todo_count() to int {\n    return 1\n}"),
        ("rust", 'fn rule(id: &str) -> bool {\n    matches!(id, "stub/todo!" | "TODO")\n}'),
        ("markdown", "The page lists what is to do, item by item."),
    ],
)
def test_mentioning_things_to_do_does_not_make_a_stub(language: str, answer: str) -> None:
    assert features(answer=answer, language=language)["stub_share"] == 0


def test_code_with_a_string_over_several_lines_is_complete() -> None:
    answer = 'fn text() -> &\'static str {\n    "one (\\\n     two"\n}'
    assert features(answer=answer)["complete"] == 1


def test_markdown_syntax_does_not_count_as_repetition() -> None:
    listed = "\n".join(f"- **`{name}`**: keeps {name} apart." for name in "rows users days".split())
    assert features(PROSE_PROMPT, listed, "markdown")["repetition"] == 0


def test_guidance_is_a_ratio_and_a_difference() -> None:
    ifd, gain = guidance(np.array([1.0, 3.0, 0.0]), np.array([2.0, 3.0, 0.0]))
    assert ifd.tolist() == [0.5, 1.0, 1.0]
    assert gain.tolist() == [1.0, 0.0, 0.0]


def test_cut_prose_is_incomplete_and_whole_prose_is_not() -> None:
    assert features(PROSE_PROMPT, PROSE, "markdown")["complete"] == 1
    assert features(PROSE_PROMPT, PROSE[:-30], "markdown")["complete"] == 0


@given(st.text(), st.text(), st.sampled_from(["rust", "vox", "markdown"]))
def test_features_of_any_text_stay_in_their_range(prompt: str, answer: str, language: str) -> None:
    values = measure(prompt, answer, language)
    assert all(0.0 <= value <= 1.0 for value in values.values())
    # These need a model, other rows or the whole dialogue.
    elsewhere = {"alignment", "closer_answers", "neighbour_distance", "freshness"}
    elsewhere |= {"unknown_words", "artefacts"}
    all_names = set(values) | elsewhere | set(MODEL_FEATURES)
    assert all_names == set(FEATURES)


def test_freshness_falls_with_age_and_is_1_without_a_date() -> None:
    values = freshness(pl.Series(["2026-06-01", "2025-06-01", None, "not a date"]))
    assert values[0] == 1
    assert values[1] == pytest.approx(0.368, abs=0.01)
    assert list(values[2:]) == [1, 1]


ROWS = pl.DataFrame(
    {
        "pair_id": ["a1", "b2", "c3"],
        "prompt": [PROMPT, PROMPT.replace("average", "sum"), PROSE_PROMPT],
        "response": [ANSWER, ANSWER.replace("average", "sum"), PROSE],
        "language": ["rust", "rust", "markdown"],
    }
)


def test_mutants_differ_from_their_rows_and_are_deterministic() -> None:
    mutants = plant(ROWS, per_kind=3, seed=1)
    assert set(mutants["mutant"]) == set(KINDS)
    originals = dict(ROWS.select("pair_id", pl.concat_str("prompt", "response")).iter_rows())
    mutated = mutants.select("pair_id", pl.concat_str("prompt", "response"))
    assert all(originals[pair_id] != text for pair_id, text in mutated.iter_rows())
    assert mutants.equals(plant(ROWS.reverse(), per_kind=3, seed=1))
    assert not mutants.equals(plant(ROWS, per_kind=3, seed=2))


def test_adding_a_row_leaves_most_mutants_unchanged() -> None:
    rows = pl.concat(
        [
            ROWS.with_columns(pl.col("pair_id") + str(n), pl.col("response") + f"\n{n}")
            for n in range(60)
        ]
    )
    before = set(plant(rows[1:], per_kind=10, seed=1).rows())
    after = set(plant(rows, per_kind=10, seed=1).rows())
    assert len(before & after) >= 0.9 * len(before)


@given(st.text(min_size=1), st.sampled_from(["rust", "vox", "markdown"]))
def test_any_text_can_be_mutated(text: str, language: str) -> None:
    rows = ROWS.with_columns(response=pl.lit(text), language=pl.lit(language))
    mutants = plant(rows, per_kind=2, seed=1)
    assert "" not in mutants["response"].to_list()
