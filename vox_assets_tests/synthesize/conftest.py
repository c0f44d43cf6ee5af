"""Fixtures of synthesis: a profile that asks for few rows, live rows and their source files."""

from __future__ import annotations

import os
from collections.abc import Callable

import polars as pl
import pytest

from vox_assets import profiles
from vox_assets.contract import rows
from vox_assets.contract.rows import Pair, turns
from vox_assets.extract import source_reader
from vox_assets.profiles import Profile, Synthesis
from vox_assets.synthesize.vox.programs import Gate
from vox_assets.vox_syntax import check

# The tests on a real tree run only if VOX_REAL_DIR names one.
collect_ignore = [] if os.environ.get("VOX_REAL_DIR") else ["test_real_tree.py"]

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


#: Includes only the first function of the golden file.
PAGE = "# Words\n\n```vox\n{{#include ../../examples/golden/counts.vox:first}}\n```\n"
COUNTS = """\
// ANCHOR: first
fn doubled(n: int) to int {
    return n * 2
}
// ANCHOR_END: first

fn rated(n: int) to str {
    if doubled(n) > 10 {
        return "high"
    }
    return "low"
}
"""

BOAT = """\
pub struct Boat {
    crew: Vec<String>,
}

impl Boat {
    pub fn crewed(&self) -> usize {
        self.crew.iter().filter(|name| !name.is_empty()).count()
    }

    pub fn board(&mut self, name: &str) {
        self.crew.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd() -> Boat {
        Boat { crew: vec![String::new(); 9] }
    }

    #[test]
    fn nobody_without_a_name_is_crew() {
        let mut boat = Boat { crew: Vec::new() };
        boat.board("Ada");
        boat.board("");
        assert_eq!(boat.crewed(), 1);
    }

    #[test]
    fn a_crowd_has_no_names() {
        assert_eq!(crowd().crewed(), 0);
    }
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
        source_start_line=3,
        source_end_line=5,
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
    """Load the sample profile and lower its number of rows."""
    policy = Synthesis(seed=11, programs=70, dialogues=18, repairs=12)
    return profiles.load("sample").model_copy(update={"synthesis": policy})


@pytest.fixture(scope="session")
def gate() -> Gate:
    def first_fault(source: str) -> str | None:
        diagnostics = check(source)
        return str(diagnostics[0]) if diagnostics else None

    return first_fault


@pytest.fixture(scope="session")
def doc_rows() -> pl.DataFrame:
    return rows.to_frame([live_pair(CHORES, "chores"), live_pair(WORDS, "words")])


@pytest.fixture(scope="session")
def rust_rows() -> pl.DataFrame:
    """Return rows of a type and two methods of its `impl`."""
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
                "These are declared already:\n\n```rust\n"
                "pub struct Boat {\n    crew: Vec<String>,\n}\n\nconst BERTHS: usize = 9;\n```",
                f"impl Boat {{\n    pub fn crewed(&self) -> usize {{\n    {fill}\n    }}\n}}",
                20,
            ),
            rust_pair(
                f"{boat}::board",
                "implement_from_doc",
                "Takes somebody aboard.\n\n"
                "These are declared already:\n\n```rust\n"
                "pub struct Boat {\n    crew: Vec<String>,\n}\n```",
                "impl Boat {\n    pub fn board(&mut self, name: &str) {\n"
                "        let name = name.trim();\n        if self.crew.len() < 9 {\n"
                "            self.crew.push(name.to_owned());\n        }\n    }\n}",
                40,
            ),
        ]
    )


@pytest.fixture(scope="session")
def read_source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Write the files that the live rows name, and return a function that reads them."""
    root = tmp_path_factory.mktemp("tree")
    for path, text in (
        ("docs/src/counts.md", PAGE),
        ("examples/golden/counts.vox", COUNTS),
        ("crates/vox-mcp-boats/src/lib.rs", BOAT),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return source_reader(root)
