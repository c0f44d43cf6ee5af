"""A held-out answer that training shows in any form is a leak; an unrelated row is none."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.contract.rows import to_frame, turns
from vox_assets.mix.leakage import leaks, seen_in_training, split_leakage
from vox_assets.profiles import load
from vox_assets_tests.conftest import make_pair

DEDUP = load("sample").dedup

ANSWER = """\
fn settle(ledger: &mut Ledger, due: u64) -> Result<u64, Shortfall> {
    let held = ledger.balance().saturating_sub(ledger.reserved);
    if held < due {
        return Err(Shortfall { missing: due - held, at: ledger.clock.now() });
    }
    ledger.entries.push(Entry::debit(due, "settled"));
    Ok(held - due)
}"""
OTHER = """\
fn ripen(orchard: &Orchard, weeks: usize) -> Vec<Basket> {
    orchard
        .trees()
        .filter(|tree| tree.age_in_weeks + weeks > tree.kind.season())
        .map(|tree| Basket::of(tree.kind, tree.branches * 3))
        .collect()
}"""
PROSE = (
    "A lease ends when its holder stops renewing it. The broker waits for two heartbeats, then "
    "hands the partition to the next worker in the ring and records the change in the journal."
)


def row(answer: str, *, earlier: list[str] | None = None, asked: str = "Write it.", **fields: Any):
    messages = turns(*(earlier or []), asked, answer)
    return make_pair(
        asked, answer, messages=messages, source_path=f"crates/{len(answer)}.rs", **fields
    )


def found(held_out: Any, *training: Any) -> list[str]:
    return [leak.how for leak in leaks(to_frame([held_out]), to_frame(list(training)), DEDUP)]


RENAMED = (
    ANSWER.replace("settle", "redeem")
    .replace("ledger", "purse")
    .replace("held", "kept")
    .replace("due", "owed")
)
#: What training shows, and by which evidence a held-out `ANSWER` is found in it.
FORMS: dict[str, tuple[Any, str]] = {
    "the same answer": (row(ANSWER, asked="Again."), "word for word"),
    "an earlier turn of a dialogue": (
        row(OTHER, earlier=["Write settle.", ANSWER], asked="Now ripen."),
        "word for word",
    ),
    "a whole user turn": (row(OTHER, asked=ANSWER), "word for word"),
    "code within a prompt": (
        row(OTHER, asked=f"Call this function:\n\n```rust\n{ANSWER}\n```\n\nWrite ripen."),
        "contains it",
    ),
    "code within a prompt without a fence": (
        row(OTHER, asked=f"This isn't done yet. The \"ledger is:\n{ANSWER}\nWrite ripen."),
        "contains it",
    ),
    "a longer answer": (row(f"{OTHER}\n\n{ANSWER}\n\n{OTHER.replace('3', '4')}"), "contains it"),
    "most of it within a longer answer": (
        row(f"{OTHER}\n\n{ANSWER.replace('settled', 'paid')}\n\n{OTHER.upper()}"),
        "contains it",
    ),
    "comments added": (
        row(
            ANSWER.replace("{\n", '{ // the money that may be spent at once, "reserved" aside\n')
            .replace("    Ok(", "    /* what is left\n       after it */\n    Ok(")
            .replace("fn settle", "/// Pays what is due.\n///\n/// Fails without cover.\nfn settle")
        ),
        "word for word",
    ),
    "another layout": (
        row(ANSWER.replace("\n", " ").replace("    ", "").replace("now() }", "now(),\n  }")),
        "word for word",
    ),
    "other case and invisible characters": (
        row(ANSWER.replace("fn settle", "fn Settle").replace("ledger", "led\u200bger")),
        "word for word",
    ),
    "a changed line": (row(ANSWER.replace("held < due", "due > held")), "contains it"),
    "an answer that is cut off": (
        row(ANSWER.partition("    ledger.entries")[0]),
        "nearly the same",
    ),
    "other names": (row(RENAMED), "under other names"),
    "other names and literals": (row(RENAMED.replace("settled", "gone")), "under other names"),
    "other names, and a line split": (
        row(RENAMED.replace("Ok(kept - owed)", "let rest = kept - owed;\n    Ok(rest)")),
        "under other names",
    ),
    "other names within a prompt": (
        row(OTHER, asked=f"Given:\n```rust\n{RENAMED}\n```\nWrite ripen."),
        "under other names",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_training_shows_is_a_leak_in_every_form(form: str) -> None:
    training, evidence = FORMS[form]
    (how,) = found(row(ANSWER), training)
    assert evidence in how


@pytest.mark.parametrize("form", FORMS)
def test_an_earlier_answer_of_a_held_out_dialogue_counts_too(form: str) -> None:
    training, evidence = FORMS[form]
    if form == "an earlier turn of a dialogue":
        training = row(ANSWER, asked="Once more.")
    held_out = row("fn last() -> u8 {\n    7\n}", earlier=["Write settle.", ANSWER])
    assert evidence in found(held_out, training)[0]


@pytest.mark.parametrize(
    ("training", "evidence"),
    [
        (row(PROSE.upper()), "word for word"),
        (row(f"**{PROSE.replace('. ', '.** ')}"), "word for word"),
        (row(f"{PROSE} Another page says how to watch the journal for such a change."), "contains"),
        (row(OTHER, asked=f"Write what this describes: {PROSE}"), "contains it"),
        (row(PROSE.replace("two heartbeats", "three of its heartbeats")), "contains it"),
    ],
)
def test_prose_is_compared_by_its_words(training: Any, evidence: str) -> None:
    held_out = row(PROSE, response_mode="prose_only", lane="vox_docs_qa", language="markdown")
    assert evidence in found(held_out, training)[0]


@pytest.mark.parametrize(
    ("answer", "training"),
    [
        (ANSWER, row(OTHER)),
        (ANSWER, row(OTHER, asked="Use `Ledger::balance` and `Entry::debit(due, ..)`.")),
        # The same signature with another body.
        (ANSWER, row(ANSWER.split("\n")[0] + "\n    todo_later(ledger).settle_up(due)\n}")),
        # A phrase that is common to many rows, within a longer answer.
        ("fn new() -> Self {}", row(f"impl A {{\n fn new() -> Self {{}}\n {OTHER}\n}}")),
        # Enumerations with equal structure and other content.
        (
            "enum Hue {\n" + "".join(f"    {n},\n" for n in "Teal Rust Sand Moss".split()) + "}",
            row("enum Gait {\n" + "".join(f"    {n},\n" for n in "Walk Trot Run".split()) + "}"),
        ),
        # Lists with equal structure and other constants.
        (
            "".join(f"    let limit_{n} = probe(depth, {n * 7}) + {n * 31};\n" for n in range(9)),
            row(
                "".join(
                    f"    let bound_{n} = visit(tree, {n * 5}) + {n * 13};\n" for n in range(12)
                )
            ),
        ),
        # Comment signs within a string are no comment.
        (
            'fn at() -> &str {\n    "http://a.test"\n}',
            row('fn at() -> &str {\n    "http://b.test"\n}'),
        ),
    ],
)
def test_rows_that_share_a_phrase_or_a_pattern_are_no_leak(answer: str, training: Any) -> None:
    assert found(row(answer), training) == []


def test_a_short_answer_is_a_leak_only_as_a_whole_turn() -> None:
    short = "fn nil() -> u8 { 0 }"
    assert found(row(short), row(OTHER, earlier=["Write nil.", short])) != []
    assert found(row(short), row(f"{OTHER}\n{short}")) == []


def test_every_training_row_that_shows_an_answer_is_found_and_the_strongest_is_named() -> None:
    training = [row(RENAMED), row(ANSWER, asked="Again."), row(f"{OTHER}\n{ANSWER}")]
    held_out = to_frame([row(ANSWER)])
    assert len(leaks(held_out, to_frame(training), DEDUP)) == 3
    (leak,) = seen_in_training(held_out, to_frame(training), DEDUP).values()
    assert (leak.train, leak.similarity) == (training[1].pair_id, 1.0)


def test_the_gate_reports_what_the_split_drops() -> None:
    held_out = to_frame([row(ANSWER)]).with_columns(split=pl.lit("eval"))
    training = to_frame([FORMS["code within a prompt"][0]]).with_columns(split=pl.lit("train"))
    (fault,) = split_leakage(pl.concat([held_out, training]), DEDUP)
    assert fault.startswith(held_out["pair_id"][0]) and "contains it (1.00)" in fault


def test_empty_sides_have_no_leaks() -> None:
    rows = to_frame([row(ANSWER)])
    assert leaks(rows.head(0), rows, DEDUP) == leaks(rows, rows.head(0), DEDUP) == []


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_contained_in_itself_is_found(answer: str, around: str) -> None:
    held_out = row(answer + " ", response_mode="prose_only", lane="vox_docs_qa")
    how = found(held_out, row(around, earlier=["Say it.", answer + " "]))
    words = any(character.isalnum() for character in answer)
    assert bool(how) or not words
