"""What duplicates have in common, which copy survives, and what is a conflict instead."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from vox_assets.contract.rows import Message, to_frame, turns
from vox_assets.curate.dedup import Deduped, deduplicate, evidence, residual_duplicates
from vox_assets.curate.duplicates import By
from vox_assets.profiles import load
from vox_assets_tests.conftest import make_pair

POLICY = load("sample").dedup
LONG = (
    "The planner walks the graph from its leaves and gives every node the cost of its subtree. "
    "A node that was planned before is read from the plan, because its cost cannot have changed."
)
CODE = """fn total_price(items: &[Item], rate: f64) -> f64 {
    let mut sum = 0.0;
    for item in items {
        sum += item.price * f64::from(item.count);
    }
    sum * (1.0 + rate)
}"""


def vectors_of(texts: Sequence[str]) -> np.ndarray:
    """Equal texts at one place, others at right angles."""
    places: dict[str, int] = {}
    numbers = [places.setdefault(text, len(places)) for text in texts]
    return np.eye(max(1, len(places)), dtype=np.float32)[numbers]


def table(*rows: tuple[str, str], code: bool = False) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "pair_id": [f"p{number:05d}" for number in range(len(rows))],
            "prompt": [prompt for prompt, _ in rows],
            "response": [answer for _, answer in rows],
            "lane": ["lane"] * len(rows),
            "response_mode": ["code_only" if code else "prose_only"] * len(rows),
        },
        schema_overrides={"prompt": pl.String, "response": pl.String},
    )


def run(
    rows: pl.DataFrame,
    by: By = "both",
    vectors: np.ndarray | None = None,
    asked: np.ndarray | None = None,
) -> Deduped:
    vectors = vectors_of(rows["response"].to_list()) if vectors is None else vectors
    asked = vectors_of(rows["prompt"].to_list()) if asked is None else asked
    return deduplicate(rows, vectors, POLICY, by=by, prompt_embeddings=asked)


def kinds(found: Deduped) -> list[str]:
    return found.drops["kind"].to_list()


def kept(found: Deduped) -> list[str]:
    return found.survivors["pair_id"].to_list()


# By answer, prompt or both


REVIEWS = {"great lamp": "positive", "broke": "negative", "love it": "positive", "bad": "negative"}
LABELS = [(f"Classify the review: {text}", label) for text, label in REVIEWS.items()]


def test_labelled_rows_with_different_prompts_all_stay_by_both() -> None:
    assert len(kept(run(table(*LABELS)))) == 4
    assert len(kept(run(table(*LABELS), "answer"))) == 2
    assert len(kept(run(table(*LABELS), "prompt"))) == 4


def test_labels_in_one_long_template_stay_by_both() -> None:
    template = (
        "Classify the report that follows as calm or urgent, with one word and nothing else: "
    )
    same = np.ones((3, 1), dtype=np.float32)
    rows = table(*((template + word, "calm") for word in ("rain", "snow", "hail")))
    assert len(kept(run(rows, asked=same))) == 3


def test_a_long_answer_to_other_questions_stays_by_both_and_goes_by_answer() -> None:
    rows = table(("How is it planned?", LONG), ("What costs a leaf?", LONG), ("A haiku!", LONG))
    assert len(kept(run(rows))) == 3
    assert kinds(run(rows, "answer")) == ["exact duplicate"] * 2


def test_a_long_answer_to_one_question_in_other_words_goes_by_both() -> None:
    rows = table(("How is it planned?", LONG), ("Tell me how it is planned", LONG))
    near = np.array([[1, 0], [0.9, 0.19**0.5]], dtype=np.float32)
    assert kinds(run(rows, asked=near)) == ["exact duplicate"]


def test_a_polite_prompt_is_the_same_prompt() -> None:
    rows = table(("Is it open?", "Yes."), ("Please, is it open?", "yes"))
    assert kinds(run(rows)) == ["exact duplicate"]


def test_by_prompt_one_answer_of_each_prompt_stays() -> None:
    other = "Leaves come first in the walk, and whatever is known already is not computed again."
    rows = table(("How is it planned?", LONG), ("how is it planned", other), ("Why?", other))
    assert kinds(run(rows, "prompt")) == ["exact duplicate"]
    assert len(kept(run(rows))) == 3


# What copies do not hide


@pytest.mark.parametrize(
    "copy",
    [
        LONG.replace("planner", "plan\u200bner"),
        f"Sure! Here is the answer:\n\n{LONG}",
        f"{LONG}\n\nI hope this helps!",
        LONG.upper(),
        LONG.replace(".", "").replace(",", ""),
        f"> {LONG}",
        LONG[: len(LONG) * 2 // 3],
        LONG[:-20],
    ],
)
@pytest.mark.parametrize("copy_first", [True, False])
@pytest.mark.parametrize("by", ["answer", "both"])
def test_the_clean_and_complete_copy_survives(copy: str, copy_first: bool, by: By) -> None:
    texts = [copy, LONG] if copy_first else [LONG, copy]
    found = run(table(*(("How?", text) for text in texts)), by)
    assert found.survivors["response"].to_list() == [LONG]
    assert found.survivors["cluster_size"].to_list() == [2]


@pytest.mark.parametrize("copy_first", [True, False])
def test_code_in_a_fence_or_with_signs_that_nobody_sees_loses(copy_first: bool) -> None:
    for copy in (f"```rust\n{CODE}\n```", CODE.replace("item", "it\u200bem"), CODE[:-30]):
        texts = [copy, CODE] if copy_first else [CODE, copy]
        found = run(table(*(("Write it.", text) for text in texts), code=True))
        assert found.survivors["response"].to_list() == [CODE]


def renamed(text: str) -> str:
    for old, new in (("total_price", "full_weight"), ("item", "part"), ("rate", "more")):
        text = text.replace(old, new)
    return text


def test_code_under_other_names_is_found_where_the_prompt_has_the_same_names() -> None:
    ask = "Write `total_price`, which adds a rate to each item."
    rows = table((ask, CODE), (renamed(ask), renamed(CODE)), code=True)
    for by in ("answer", "both"):
        assert kinds(run(rows, by)) == ["renamed duplicate"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        ("Find the heaviest of the parts in a box.", renamed(CODE)),
        (renamed("Write `total_price`."), renamed(CODE).replace("1.0", "2.0")),
        (renamed("Write `total_price`."), renamed(CODE).replace("f64", "f32")),
    ],
)
def test_code_of_one_shape_for_another_task_or_with_other_constants_stays(
    ask: str, code: str
) -> None:
    assert kinds(run(table(("Write `total_price`.", CODE), (ask, code), code=True))) == []


CHINESE = (
    "调度器在每次启动时先读取任务的摘要再决定是否重新计算"
    "因为旧的版本可能已经失效而且日志必须保持简短"
)


def test_chinese_prose_is_compared_by_its_text_and_not_by_an_embedding() -> None:
    other = "缓存以内容的摘要为键文件改名不会使条目失效但是模型的版本改变时所有条目都要重新计算"
    rows = table(("问?", CHINESE), ("问?", CHINESE.replace("可能", "很可能")), ("答?", other))
    found = run(rows, "answer", vectors=np.ones((3, 1), dtype=np.float32))
    assert kinds(found) == ["near duplicate"]
    assert found.compared_by_text == 3


def test_chinese_prompts_are_compared_by_their_signs() -> None:
    same = np.ones((3, 1), dtype=np.float32)
    answer = CHINESE + CHINESE[::-1]
    rows = table(
        ("调度器如何选择任务?", answer), ("调度器怎样选择任务?", answer), ("缓存的键?", answer)
    )
    assert len(kept(run(rows, vectors=same, asked=same))) == 2
    assert len(kept(run(rows, "prompt", vectors=same, asked=same))) == 3


# What sets rows apart


@pytest.mark.parametrize(
    ("old", "new"),
    [("cost of", "5 ms of"), ("was planned", "was not planned"), ("before", "after")],
)
def test_rows_that_state_other_facts_are_no_duplicates_by_both(old: str, new: str) -> None:
    same = np.ones((2, 1), dtype=np.float32)
    rows = table(("How?", LONG), ("How so?", LONG.replace(old, new)))
    assert len(kept(run(rows, vectors=same, asked=same))) == 2


def test_meaning_is_no_evidence_against_other_numbers() -> None:
    same = np.ones((2, 1), dtype=np.float32)
    rows = table(("Limit of a?", "The limit is 10."), ("Limit of b?", "The limit is 20."))
    assert kinds(run(rows, "answer", vectors=same)) == []
    rows = table(("Limit of a?", "The limit is 10."), ("Limit?", "It has a limit of 10."))
    assert kinds(run(rows, "answer", vectors=same)) == ["semantic duplicate"]


def test_long_texts_with_one_beginning_need_tokens_that_agree() -> None:
    rng = random.Random(1)
    words = [f"{a}{b}" for a in "bcdfgh" for b in ("ado", "enu", "ilo", "ora", "uma")]
    begin, one, other = (" ".join(rng.choices(words, k=120)) for _ in range(3))
    rows = table(("How?", f"{begin} {begin} {one}."), ("How?", f"{begin} {begin} {other}."))
    same = np.ones((2, 1), dtype=np.float32)
    assert kinds(run(rows, "answer", vectors=same)) == []


# Conflicts


@pytest.mark.parametrize("by", ["answer", "prompt", "both"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The daemon listens on port 7070.", "The daemon listens on port 9090."),
        (f"It is port 7070. {LONG}", f"It is port 9090. {LONG}"),
        ("positive", "negative"),
        (f"It is enabled. {LONG}", f"It is disabled. {LONG}"),
    ],
)
def test_two_answers_to_one_prompt_that_contradict_are_reported_and_both_stay(
    one: str, other: str, by: By
) -> None:
    same = np.ones((2, 1), dtype=np.float32)
    found = run(table(("Which is it?", one), ("which is it", other)), by, vectors=same)
    assert len(kept(found)) == 2
    assert [set(pair) for pair in found.conflicts] == [{"p00000", "p00001"}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes.", "Yes, it does."),
        ("positive", "Positive."),
        ("It listens on port 7070.", "Port 7070 is where it listens."),
        (LONG, "A wholly other story." * 9),
    ],
)
def test_answers_that_can_both_be_right_are_no_conflict(one: str, other: str) -> None:
    assert run(table(("Does it?", one), ("Does it?", other))).conflicts == []


def test_a_conflict_is_no_residual_duplicate() -> None:
    rows = table(("Port?", f"Port 1. {LONG * 3}"), ("Port?", f"Port 2. {LONG * 3}"))
    assert residual_duplicates(rows, 0.85) == []
    rows = rows.with_columns(pl.Series("prompt", ["Port?", "Gate?"]))
    assert len(residual_duplicates(rows, 0.85)) == 1


# Dialogues


def frame(*dialogues: tuple[Message, ...]) -> pl.DataFrame:
    return to_frame([make_pair("a", "b", messages=dialogue) for dialogue in dialogues])


FIRST, SECOND, THIRD = (
    f"fn {name}(low: f64, high: f64) -> f64 {{ {body} }}"
    for name, body in (
        ("gap", "high - low"),
        ("mid", "(low + high) / 2.0"),
        ("max", "low.max(high)"),
    )
)


def test_a_dialogue_whose_every_answer_repeats_single_rows_is_a_duplicate() -> None:
    rows = frame(
        turns("gap?", FIRST, "And the middle?", SECOND), turns("g", FIRST), turns("m", SECOND)
    )
    found = deduplicate(rows, np.eye(3, dtype=np.float32), POLICY)
    assert kinds(found) == ["turn-by-turn duplicate"]
    assert found.drops["lost_to"][0] == rows["pair_id"][1]
    assert found.drops["detail"][0] == ", ".join(rows["pair_id"][1:].to_list())


def test_a_dialogue_with_one_answer_of_its_own_stays() -> None:
    rows = frame(turns("gap?", FIRST, "And the middle?", SECOND), turns("g", FIRST))
    assert len(kept(deduplicate(rows, np.eye(2, dtype=np.float32), POLICY))) == 2


def test_a_dialogue_of_answers_that_other_dialogues_have_is_a_duplicate() -> None:
    rows = frame(
        turns("gap?", FIRST, "middle?", SECOND),
        turns("max?", THIRD, "gap?", FIRST),
        turns("middle?", SECOND, "max?", THIRD),
    )
    found = deduplicate(rows, np.eye(3, dtype=np.float32), POLICY)
    assert kinds(found) == ["turn-by-turn duplicate"]
    assert set(found.drops["lost_to"]) < set(kept(found))


# Order, secrets and scale


def test_a_copy_without_the_secret_survives() -> None:
    rows = table(("How?", LONG), ("How?", LONG)).with_columns(
        pl.Series("holds_secret", [True, False])
    )
    assert kept(run(rows)) == ["p00001"]


def mixed_rows(count: int) -> pl.DataFrame:
    rng = random.Random(5)
    words = [f"{a}{b}" for a in "bcdfgh" for b in ("ado", "enu", "ilo", "ora", "uma")]
    texts = [" ".join(rng.choices(words, k=30)) + "." for _ in range(count // 4)]
    rows = []
    for number in range(count):
        parts = rng.choice(texts).split()
        for _ in range(rng.randrange(3)):
            parts[rng.randrange(29)] = rng.choice(words)
        rows.append((f"Tell {rng.choice(words)} {number % 3}", " ".join(parts)))
    return table(*rows)


@pytest.mark.parametrize("by", ["answer", "prompt", "both"])
def test_the_order_of_the_table_decides_nothing(by: By) -> None:
    rows = mixed_rows(120)
    expected = run(rows, by)
    for seed in range(3):
        found = run(rows.sample(fraction=1.0, shuffle=True, seed=seed), by)
        assert sorted(kept(found)) == sorted(kept(expected))
        assert found.drops.sort("pair_id").equals(expected.drops.sort("pair_id"))


@pytest.mark.parametrize("by", ["answer", "both"])
@pytest.mark.parametrize("code", [True, False])
def test_a_family_costs_about_as_much_per_row_as_its_survivors(by: By, code: bool) -> None:
    """Compared with every other row, 4,000 rows of a family took four minutes."""
    rng = random.Random(3)
    words = "".join(chr(97 + n % 26) if n % 7 else " " for n in range(900)).split()
    texts = []
    for _ in range(4_000):
        text = list(words)
        text[rng.randrange(len(text))] = "".join(rng.choices("xyz", k=6))
        texts.append(" ".join(text))
    rows = table(*(("How?", text) for text in texts), code=code)
    start = time.process_time()
    found = run(rows, by, vectors=np.ones((4_000, 1), dtype=np.float32))
    assert time.process_time() - start < 40
    assert found.survivors.height < 20


def test_the_evidence_shows_both_rows() -> None:
    rows = table(("How?", LONG), ("How?", LONG + " "), ("Why?", "Because."))
    shown = evidence(rows, run(rows).drops)
    assert shown.columns == [
        *("pair_id", "reason", "similarity", "lost_to"),
        *("prompt", "response", "winner_prompt", "winner_response"),
    ]
    assert shown["winner_response"].to_list() == [LONG + " "] or shown["winner_response"][0] == LONG
