"""Small real inputs for synthesis: a profile that asks for little, and live rows with a parent."""

from __future__ import annotations

import polars as pl
import pytest

from vox_assets import profiles, rows
from vox_assets.profiles import Profile, Synthesis
from vox_assets.rows import Pair, turns
from vox_assets.synthesize.programs import Gate
from vox_assets.vox_syntax import check

CHORES = """\
// A shared house.
@table type Chore {
    task: str
    room: str
    done: bool
}

@endpoint(kind: mutation)
fn add_chore(task: str, room: str) to Result[int] {
    return db.Chore.insert({ task: task, room: room, done: false })
}

component ChoreBoard(chores: list[Chore]) {
    view: column() {
        for c in chores key=c.task {
            text() { c.task }
        }
    }
}
"""

WORDS = """\
fn word_for(n: int) to str {
    match n {
        1 => "one"
        2 => "two"
        _ => "many"
    }
}

fn longest(words: list[str]) to str {
    let mut best = ""
    for w in words {
        if len(w) > len(best) {
            best = w
        }
    }
    return best
}

@test("one and two have words")
fn small_numbers() to Unit {
    assert(word_for(1) is "one")
}
"""


def live_pair(source: str, symbol: str) -> Pair:
    return Pair(
        messages=turns(f"Write the Vox of {symbol}. `longest` keeps the longest word.", source),
        lane="vox_codegen",
        response_mode="code_only",
        task_family="docs_code",
        language="vox",
        origin="human",
        category="guide",
        difficulty=3,
        source_kind="docs",
        source_path=f"docs/src/{symbol}.md",
        source_start_line=10,
        source_end_line=30,
        source_symbol=symbol,
        source_commit="c0ffee",
    )


def rust_pair(symbol: str, family: str, prompt: str, response: str, line: int) -> Pair:
    return Pair(
        messages=turns(prompt, response),
        lane="vox_tooling",
        response_mode="code_only",
        task_family=family,
        language="rust",
        origin="human",
        category="vox-mcp-boats",
        difficulty=4,
        source_kind="rust",
        source_path="crates/vox-mcp-boats/src/lib.rs",
        source_start_line=line,
        source_end_line=line + 9,
        source_symbol=symbol,
    )


@pytest.fixture(scope="session")
def profile() -> Profile:
    """The sample profile, asking for a few rows of each kind."""
    wanted = Synthesis(seed=11, programs=70, dialogues=18, repairs=12)
    return profiles.load("sample").model_copy(update={"synthesis": wanted})


@pytest.fixture(scope="session")
def gate() -> Gate:
    def verdict(source: str) -> str | None:
        found = check(source)
        return str(found[0]) if found else None

    return verdict


@pytest.fixture(scope="session")
def doc_rows() -> pl.DataFrame:
    return rows.to_frame([live_pair(CHORES, "chores"), live_pair(WORDS, "words")])


@pytest.fixture(scope="session")
def rust_rows() -> pl.DataFrame:
    """A type, two methods of its `impl` and a documented use of one."""
    boat = "vox_mcp_boats::Boat"
    fill = "    self.crew.iter().filter(|name| !name.is_empty()).count()"
    return rows.to_frame(
        [
            rust_pair(
                boat,
                "define_type",
                "Define `Boat`.",
                "pub struct Boat {\n    crew: Vec<String>,\n}",
                1,
            ),
            rust_pair(
                f"{boat}::crewed",
                "implement_from_doc",
                "How many people are aboard.\n\n"
                "Types it works with:\n\n```rust\npub struct Boat;\n```",
                f"impl Boat {{\n    pub fn crewed(&self) -> usize {{\n    {fill}\n    }}\n}}",
                20,
            ),
            rust_pair(
                f"{boat}::board",
                "implement_from_doc",
                "Takes somebody aboard.",
                "impl Boat {\n    pub fn board(&mut self, name: &str) {\n"
                "        self.crew.push(name.to_owned());\n    }\n}",
                40,
            ),
            rust_pair(
                f"{boat}::crewed",
                "use_api",
                "Show how to use `crewed`.",
                "let mut boat = Boat::default();\n"
                'boat.board("Ada");\nassert_eq!(boat.crewed(), 1);',
                60,
            ),
        ]
    )
