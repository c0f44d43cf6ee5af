"""What makes two texts copies of each other, what sets them apart, and which is cleaner."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.curate import copies

TEXT = "The scheduler keeps a queue of ready jobs. It takes the deeper one of two, über alles."
CODE = "fn total(items: &[Item]) -> f64 {\n    items.iter().map(|item| item.price).sum()\n}"


@pytest.mark.parametrize(
    "copy",
    [
        TEXT.replace(" ", "  \n"),
        TEXT.replace("queue", "qu\u200beue"),
        TEXT.replace("scheduler", "sche\u00adduler"),
        "\ufeff" + TEXT,
        TEXT.replace(" ", "\u00a0"),
        TEXT.replace("jobs", "jo\0bs"),
        unicodedata.normalize("NFD", TEXT),
        f"Sure! Here it is:\n\n{TEXT}",
        f"{TEXT}\n\nLet me know if you need more.",
        f"> {TEXT}",
        f"```\n{TEXT}\n```",
        f"Certainly! Here you go:\n\n```text\n{TEXT}\n```\n\nI hope this helps!",
    ],
)
def test_what_nobody_sees_or_learns_from_makes_no_difference(copy: str) -> None:
    assert copies.normalise(copy) == copies.normalise(TEXT)
    assert copies.defects(copy, is_prose=True) >= copies.defects(TEXT, is_prose=True)


@pytest.mark.parametrize(
    "copy",
    [TEXT.upper(), TEXT.replace(".", ""), f"**{TEXT}**", TEXT.replace("queue", "`queue`")],
)
def test_case_punctuation_and_markup_make_no_difference_in_prose(copy: str) -> None:
    assert copies.bare(copy) == copies.bare(TEXT)


@pytest.mark.parametrize(
    ("one", "other"),
    [("x < y", "x > y"), ("at -5", "at 5"), ("3.5", "35"), ("a+b", "a-b"), ("1.2", "1.20")],
)
def test_signs_that_mean_something_make_a_difference(one: str, other: str) -> None:
    assert copies.bare(one) != copies.bare(other)


def test_several_fences_are_no_wrapper() -> None:
    text = "```\na\n```\nand\n```\nb\n```"
    assert copies.unwrapped(text) == text
    assert copies.unwrapped("> a\nb") == "> a\nb"
    assert copies.unwrapped("> a\n>\n> b").split() == ["a", "b"]


def test_politeness_is_no_part_of_a_prompt() -> None:
    assert copies.bare_prompt("Please write it, thanks!") == copies.bare_prompt("Write it.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Port 7070 is open.", "Port 9090 is open."),
        ("It waits 5 ms.", "It waits 5 s."),
        ("It grows by 5 %.", "It grows by 5."),
        ("It is -5.", "It is 5."),
    ],
)
def test_other_numbers_and_units_are_other_facts(one: str, other: str) -> None:
    assert copies.numbers_of(one) != copies.numbers_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is reentrant.", "It is not reentrant."),
        ("They do.", "They don\u2019t."),
        ("It is enabled.", "It is disabled."),
        ("Set `port`.", "Set `host`."),
        ("Call read_all.", "Call read_one."),
        ("It runs before.", "It runs after."),
    ],
)
def test_negations_opposites_and_names_are_other_facts(one: str, other: str) -> None:
    assert copies.stance_of(one) != copies.stance_of(other)


def test_a_number_is_the_same_with_separators_of_thousands() -> None:
    assert copies.numbers_of("at most 1,048,576") == copies.numbers_of("at most 1048576")
    assert copies.numbers_of("in 1,2 and 3") != copies.numbers_of("in 12 and 3")


@pytest.mark.parametrize(
    ("worse", "better", "is_prose"),
    [
        (TEXT[:50], TEXT, True),
        ("It does three things:", "It does three things at once.", True),
        (CODE[:-1], CODE, False),
        (CODE.replace("item", "it\u200bem"), CODE, False),
        (CODE.replace(" ", "\u00a0"), CODE, False),
        (f"```rust\n{CODE}\n```", CODE, False),
        (TEXT.upper(), TEXT, True),
        # Cut off is worse than wrapped.
        (TEXT[:50], f"Sure! Here it is:\n\n{TEXT}", True),
    ],
)
def test_the_cleaner_and_more_complete_copy_is_preferred(
    worse: str, better: str, is_prose: bool
) -> None:
    assert copies.defects(better, is_prose) < copies.defects(worse, is_prose)


def test_joiners_that_belong_to_a_script_are_no_defect() -> None:
    persian = (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u06a9\u0647 \u0628\u0631\u0648\u0645."
    )
    assert copies.defects(persian, is_prose=True)[1] == 0


@pytest.mark.parametrize(
    ("text", "beyond"),
    [
        (TEXT, False),
        ("Größe über alles, žluťoučký kůň, Việt Nam", False),
        ("调度器按照任务排序", True),
        ("キューは長い。", True),
        ("планировщик задач", True),
        ("调度器 takes the longer of two queues", False),
        ("12 + 3", False),
        ("", False),
    ],
)
def test_prose_in_other_scripts_is_known(text: str, beyond: bool) -> None:
    assert copies.beyond_latin(text) is beyond


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (CODE, True),
        (f"```\n{TEXT}\n```", True),
        ("def f(x):\n    return x + 1", True),
        ("let a = 1;\nlet b = 2;", True),
        (TEXT, False),
        ("positive", False),
        ("", False),
        (f"Use this:\n\n```\n{CODE}\n```\n\nIt adds the prices. It reads each once.\nDone.", False),
    ],
)
def test_code_is_told_from_prose_where_no_column_says_it(text: str, code: bool) -> None:
    assert copies.looks_like_code(text) is code


def test_short_is_measured_in_letters_and_a_chinese_sign_counts_for_several() -> None:
    assert copies.is_short("The daemon listens on port 7070.")
    assert not copies.is_short(TEXT + TEXT)
    assert copies.is_short("调度器按照任务排序")
    assert not copies.is_short("调度器按照任务排序" * 4)


@pytest.mark.parametrize(
    "text",
    [
        part * 50_000
        for part in ("\n", "> ", "`", "```\n", '"\\"', "a_", "1,", "-", "x\nI hope\n", "n't", "1 ")
    ],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    start = time.process_time()
    for function in (copies.normalise, copies.bare, copies.stance_of, copies.numbers_of):
        function(text)
    copies.defects(text, is_prose=True)
    copies.looks_like_code(text)
    # Quadratic time would be minutes; the bound leaves room for a slow machine.
    assert time.process_time() - start < 5


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_normalising_twice_is_normalising_once_but_for_nested_wrappers(text: str) -> None:
    once = copies.normalise(text)
    assert len(copies.normalise(once)) <= len(once)
    copies.bare(text), copies.stance_of(text), copies.defects(text, True), copies.is_short(text)
