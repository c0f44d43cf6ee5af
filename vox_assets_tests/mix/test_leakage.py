"""A held-out answer that training contains in any form is a leak; an unrelated row is not."""

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


def row(answer: str, *, earlier: list[str] | None = None, prompt: str = "Write it.", **fields: Any):
    messages = turns(*(earlier or []), prompt, answer)
    return make_pair(
        prompt, answer, messages=messages, source_path=f"crates/{len(answer)}.rs", **fields
    )


def reasons(held_out: Any, *training: Any) -> list[str]:
    return [leak.reason for leak in leaks(to_frame([held_out]), to_frame(list(training)), DEDUP)]


RENAMED = (
    ANSWER.replace("settle", "redeem")
    .replace("ledger", "purse")
    .replace("held", "kept")
    .replace("due", "owed")
)
#: Training rows that contain a held-out `ANSWER`, and the evidence for it.
FORMS: dict[str, tuple[Any, str]] = {
    "the same answer": (row(ANSWER, prompt="Again."), "the same text"),
    "an earlier turn of a dialogue": (
        row(OTHER, earlier=["Write settle.", ANSWER], prompt="Now ripen."),
        "the same text",
    ),
    "a whole user turn": (row(OTHER, prompt=ANSWER), "the same text"),
    "code inside a prompt": (
        row(OTHER, prompt=f"Call this function:\n\n```rust\n{ANSWER}\n```\n\nWrite ripen."),
        "contains the answer",
    ),
    "code inside a prompt without a fence": (
        row(OTHER, prompt=f"This isn't done yet. The \"ledger is:\n{ANSWER}\nWrite ripen."),
        "contains the answer",
    ),
    "a longer answer": (
        row(f"{OTHER}\n\n{ANSWER}\n\n{OTHER.replace('3', '4')}"),
        "contains the answer",
    ),
    "most of it inside a longer answer": (
        row(f"{OTHER}\n\n{ANSWER.replace('settled', 'paid')}\n\n{OTHER.upper()}"),
        "contains the answer",
    ),
    "comments added": (
        row(
            ANSWER.replace("{\n", '{ // the money that may be spent at once, "reserved" aside\n')
            .replace("    Ok(", "    /* what is left\n       after it */\n    Ok(")
            .replace("fn settle", "/// Pays what is due.\n///\n/// Fails without cover.\nfn settle")
        ),
        "the same text",
    ),
    "another layout": (
        row(ANSWER.replace("\n", " ").replace("    ", "").replace("now() }", "now(),\n  }")),
        "the same text",
    ),
    "other case and invisible characters": (
        row(ANSWER.replace("fn settle", "fn Settle").replace("ledger", "led\u200bger")),
        "the same text",
    ),
    "a changed line": (row(ANSWER.replace("held < due", "due > held")), "contains the answer"),
    "an answer that is cut off": (
        row(ANSWER.partition("    ledger.entries")[0]),
        "nearly the same text",
    ),
    "other names": (row(RENAMED), "under other names"),
    "other names and literals": (row(RENAMED.replace("settled", "gone")), "under other names"),
    "other names and a split line": (
        row(RENAMED.replace("Ok(kept - owed)", "let rest = kept - owed;\n    Ok(rest)")),
        "under other names",
    ),
    "other names inside a prompt": (
        row(OTHER, prompt=f"Given:\n```rust\n{RENAMED}\n```\nWrite ripen."),
        "under other names",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_training_contains_in_any_form_is_a_leak(form: str) -> None:
    training, evidence = FORMS[form]
    (reason,) = reasons(row(ANSWER), training)
    assert evidence in reason


@pytest.mark.parametrize("form", FORMS)
def test_an_earlier_answer_of_a_held_out_dialogue_is_compared_too(form: str) -> None:
    training, evidence = FORMS[form]
    if form == "an earlier turn of a dialogue":
        training = row(ANSWER, prompt="Once more.")
    held_out = row("fn last() -> u8 {\n    7\n}", earlier=["Write settle.", ANSWER])
    assert evidence in reasons(held_out, training)[0]


@pytest.mark.parametrize(
    ("training", "evidence"),
    [
        (row(PROSE.upper()), "the same text"),
        (row(f"**{PROSE.replace('. ', '.** ')}"), "the same text"),
        (
            row(f"{PROSE} Another page says how to watch the journal for such a change."),
            "contains the answer",
        ),
        (row(OTHER, prompt=f"Write what this describes: {PROSE}"), "contains the answer"),
        (row(PROSE.replace("two heartbeats", "three of its heartbeats")), "contains the answer"),
    ],
)
def test_prose_is_compared_by_words(training: Any, evidence: str) -> None:
    held_out = row(PROSE, response_mode="prose_only", lane="vox_docs_qa", language="markdown")
    assert evidence in reasons(held_out, training)[0]


@pytest.mark.parametrize(
    ("answer", "training"),
    [
        (ANSWER, row(OTHER)),
        (ANSWER, row(OTHER, prompt="Use `Ledger::balance` and `Entry::debit(due, ..)`.")),
        # The same signature with another body.
        (ANSWER, row(ANSWER.split("\n")[0] + "\n    todo_later(ledger).settle_up(due)\n}")),
        # A phrase that many rows contain, inside a longer answer.
        ("fn new() -> Self {}", row(f"impl A {{\n fn new() -> Self {{}}\n {OTHER}\n}}")),
        # Enumerations with the same structure and different content.
        (
            "enum Hue {\n" + "".join(f"    {n},\n" for n in "Teal Rust Sand Moss".split()) + "}",
            row("enum Gait {\n" + "".join(f"    {n},\n" for n in "Walk Trot Run".split()) + "}"),
        ),
        # Lists with the same structure and different constants.
        (
            "".join(f"    let limit_{n} = probe(depth, {n * 7}) + {n * 31};\n" for n in range(9)),
            row(
                "".join(
                    f"    let bound_{n} = visit(tree, {n * 5}) + {n * 13};\n" for n in range(12)
                )
            ),
        ),
        # Comment signs inside a string do not start a comment.
        (
            'fn at() -> &str {\n    "http://a.test"\n}',
            row('fn at() -> &str {\n    "http://b.test"\n}'),
        ),
    ],
)
def test_rows_that_share_only_a_phrase_or_a_structure_do_not_leak(
    answer: str, training: Any
) -> None:
    assert reasons(row(answer), training) == []


def test_a_short_answer_leaks_only_if_it_equals_a_whole_turn() -> None:
    short = "fn nil() -> u8 { 0 }"
    assert reasons(row(short), row(OTHER, earlier=["Write nil.", short])) != []
    assert reasons(row(short), row(f"{OTHER}\n{short}")) == []


def test_every_leak_of_an_answer_is_reported_and_the_strongest_comes_first() -> None:
    training = [row(RENAMED), row(ANSWER, prompt="Again."), row(f"{OTHER}\n{ANSWER}")]
    held_out = to_frame([row(ANSWER)])
    assert len(leaks(held_out, to_frame(training), DEDUP)) == 3
    (leak,) = seen_in_training(held_out, to_frame(training), DEDUP).values()
    assert (leak.train, leak.similarity) == (training[1].pair_id, 1.0)


def test_the_gate_reports_the_leaks_that_the_build_drops() -> None:
    held_out = to_frame([row(ANSWER)]).with_columns(split=pl.lit("eval"))
    training = to_frame([FORMS["code inside a prompt"][0]]).with_columns(split=pl.lit("train"))
    (fault,) = split_leakage(pl.concat([held_out, training]), DEDUP)
    assert fault.startswith(held_out["pair_id"][0]) and "contains the answer (1.00)" in fault


def test_empty_sides_have_no_leaks() -> None:
    rows = to_frame([row(ANSWER)])
    assert leaks(rows.head(0), rows, DEDUP) == leaks(rows, rows.head(0), DEDUP) == []


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_with_words_leaks_through_an_equal_turn(answer: str, other: str) -> None:
    held_out = row(answer + " ", response_mode="prose_only", lane="vox_docs_qa")
    leaked = reasons(held_out, row(other, earlier=["Say it.", answer + " "]))
    has_words = any(character.isalnum() for character in answer)
    assert bool(leaked) or not has_words
