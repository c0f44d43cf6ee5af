"""Rust items become rows whose questions and answers need no further context."""

from __future__ import annotations

import textwrap

import pytest

from vox_assets.contract.rows import Drop, Pair
from vox_assets.extract.docs import markdown
from vox_assets.extract.rust import declarations, rows, selection
from vox_assets.extract.rust import items as rust
from vox_assets.extract.rust.crates import Crate
from vox_assets.extract.rust.declarations import FileContext
from vox_assets.profiles import Profile

PATH = "crates/sea-map/src/tiles.rs"


def _pairs(
    source: str, profile: Profile, crate: str = "sea-map", purpose: str = ""
) -> tuple[list[Pair], list[Drop]]:
    file = rust.parse(textwrap.dedent(source).strip("\n"))
    context = FileContext(PATH, "sea_map::tiles", Crate("crates/sea-map", crate), purpose)
    declared = declarations.index_declarations({PATH: file}, {PATH: "crates/sea-map"})
    return rows.pairs(file, context, declared, profile)


def _only(source: str, profile: Profile, family: str) -> Pair:
    matching = [pair for pair in _pairs(source, profile)[0] if pair.task_family == family]
    assert len(matching) == 1
    return matching[0]


def _reasons(source: str, profile: Profile) -> list[str]:
    return [drop.reason for drop in _pairs(source, profile)[1]]


def test_a_documented_method_is_asked_by_its_documentation_and_answered_in_its_impl(
    profile: Profile,
) -> None:
    source = """
        pub struct Grid<T> {
            cells: Vec<T>,
            width: usize,
        }

        impl<T> Grid<T>
        where
            T: Clone,
        {
            /// Returns the cell at a column and a row, or nothing outside the grid.
            ///
            /// # Panics
            ///
            /// Never: see [`Grid::width`](Self::width).
            #[must_use]
            pub fn cell(&self, column: usize, row: usize) -> Option<&T> {
                // Rows lie one after another.
                self.cells.get(row * self.width + column)
            }
        }
    """
    pair = _only(source, profile, "implement_from_doc")
    assert pair.response == textwrap.dedent(
        """
        impl<T> Grid<T>
        where
            T: Clone,
        {
            #[must_use]
            pub fn cell(&self, column: usize, row: usize) -> Option<&T> {
                // Rows lie one after another.
                self.cells.get(row * self.width + column)
            }
        }"""
    ).lstrip("\n")
    assert "Returns the cell at a column and a row, or nothing outside the grid." in pair.prompt
    assert "Never: see `Grid::width`." in pair.prompt
    assert "cells: Vec<T>" in pair.prompt
    assert "`sea_map::tiles` (crate `sea-map`)" in pair.prompt
    assert pair.source_symbol == "sea_map::tiles::Grid::cell"
    assert (pair.source_start_line, pair.source_end_line) == (10, 19)
    assert pair.documented
    assert pair.lane == "vox_codegen"
    assert not rust.has_errors(pair.response)


def test_an_undocumented_function_is_completed_from_its_signature(profile: Profile) -> None:
    source = """
        struct Tide { height: f64 }
        impl From<Tide> for f64 {
            fn from(tide: Tide) -> Self {
                let metres = tide.height;
                assert!(metres > 0.0);
                metres
            }
        }
    """
    pair = _only(source, profile, "complete_signature")
    assert "struct Tide { height: f64 }" in pair.prompt
    assert (
        "impl From<Tide> for f64 {\n    fn from(tide: Tide) -> Self {\n        todo!()"
        in pair.prompt
    )
    assert pair.response.startswith("impl From<Tide> for f64 {\n    fn from(tide: Tide) -> Self {")
    assert not pair.documented


def test_comments_above_an_undocumented_function_are_part_of_the_question(profile: Profile) -> None:
    body = "{\n    let a = 1;\n    let b = 2;\n    a + b\n}"
    remark = "// Adds what the harbour master counted by hand.\n"
    pair = _only(f"{remark}fn add() -> u8 {body}", profile, "complete_signature")
    assert "counted by hand" in pair.prompt
    ruler = "// ------------------ helpers ------------------------\n"
    assert (
        "helpers"
        not in _only(f"{ruler}fn add() -> u8 {body}", profile, "complete_signature").prompt
    )


@pytest.mark.parametrize("index", range(12))
def test_every_question_shows_the_signature_and_not_only_the_name(
    profile: Profile, index: int
) -> None:
    source = f"fn name_{index}(a: u8) -> u8 {{\n    let b = a;\n    let c = b;\n    c\n}}"
    prompt = _only(source, profile, "complete_signature").prompt
    assert f"fn name_{index}(a: u8) -> u8" in prompt
    assert not prompt.startswith("Implement the")


USES = """
    const LEEWAY: f64 = 0.5;
    mod inner { static DEPTHS: [u8; 2] = [1, 2]; }
    #[cfg(test)]
    const TESTED: u8 = 3;
    fn log(angle: f64) { print(angle) }
    /// How far a boat drifts in an hour.
    fn drift(wind: f64) -> f64 { wind * 0.1 }
    struct Boat;
    impl Boat {
        /// Steers the boat against the wind. Twice.
        fn steer(&mut self, angle: f64) { self.turn(angle) }
        fn turn(&mut self, angle: f64) { self.turn(-angle) }
        fn sail(&mut self, wind: f64) {
            let angle = drift(wind) * LEEWAY + inner::DEPTHS[0] + TESTED;
            self.steer(angle);
            tiles::log(angle);
            elsewhere::drift(angle);
        }
    }
"""


def test_a_question_shows_the_declarations_that_the_answer_uses(profile: Profile) -> None:
    prompts = [pair.prompt for pair in _pairs(USES, profile)[0]]
    (prompt,) = (prompt for prompt in prompts if "fn sail" in prompt)
    assert "/// How far a boat drifts in an hour.\nfn drift(wind: f64) -> f64;" in prompt
    steer = "    /// Steers the boat against the wind.\n    fn steer(&mut self, angle: f64);"
    assert f"impl Boat {{\n{steer}\n}}" in prompt
    assert prompt.count("fn drift") == 1
    assert "fn log(angle: f64);" in prompt
    assert "const LEEWAY: f64 = 0.5;" in prompt
    assert "static DEPTHS: [u8; 2] = [1, 2];" in prompt
    assert "TESTED" not in prompt
    assert "fn turn" not in prompt
    assert prompt.index("struct Boat;") < prompt.index("fn drift")


def test_a_question_shows_the_items_that_its_documentation_links_to(profile: Profile) -> None:
    source = """
        /// Measures how deep the water is, in metres.
        fn depth(at: u8) -> f64 { lead(at) }
        /// Like [`depth`], but nothing where the lead finds no ground.
        fn depth_opt(at: u8) -> Option<f64> { None }
    """
    prompts = [pair.prompt for pair in _pairs(source, profile)[0]]
    (prompt,) = (prompt for prompt in prompts if "Like `depth`" in prompt)
    assert "fn depth(at: u8) -> f64;" in prompt


def test_a_question_does_not_show_the_function_that_it_asks_for(profile: Profile) -> None:
    source = "/// Counts down to zero and then says so.\nfn count(n: u8) -> u8 { count(n - 1) }"
    assert "declared already" not in _only(source, profile, "implement_from_doc").prompt


@pytest.mark.parametrize("index", range(12))
def test_a_question_does_not_contain_its_answer(profile: Profile, index: int) -> None:
    source = f"/// What the tide table of year {index} maps to.\ntype Tides{index} = Vec<Secret>;"
    pair = _only(source, profile, "define_type")
    assert "Secret" not in pair.prompt
    assert "Secret" in pair.response


@pytest.mark.parametrize("index", range(12))
def test_attributes_are_in_the_question_and_the_answer(profile: Profile, index: int) -> None:
    source = f"""
        /// Says hello to every harbour of the coast.
        #[tauri::command]
        fn hello_{index}() -> u8 {{ {index} }}
        /// What the harbour master is called by day.
        #[derive(Debug)]
        struct Name{index} {{ name: String }}
    """
    for pair in _pairs(source, profile)[0]:
        mark = "#[derive(Debug)]" if "Name" in pair.response else "#[tauri::command]"
        assert mark in pair.prompt
        assert pair.response.startswith(mark)


@pytest.mark.parametrize("index", range(12))
def test_fences_of_a_question_are_on_their_own_lines(profile: Profile, index: int) -> None:
    source = f"""
        struct Boat;
        impl Boat {{
            /// Sails {index} miles to the north and comes back by night.
            #[must_use]
            fn sail(&self, boat: &Boat) -> u8 {{ {index} }}
            fn rest(&self) -> u8 {{
                let hours = {index};
                let more = hours;
                more
            }}
        }}
    """
    for pair in _pairs(source, profile)[0]:
        lines = [line for line in pair.prompt.split("\n") if "```" in line]
        assert lines == ["```rust", "```"] * (len(lines) // 2)


def test_questions_have_several_wordings_and_are_deterministic(profile: Profile) -> None:
    source = "\n".join(
        f"/// Counts the boats of harbour {i} that are at sea.\nfn count_{i}() -> u8 {{ {i} }}"
        for i in range(40)
    )
    first = [pair.prompt for pair in _pairs(source, profile)[0]]
    assert first == [pair.prompt for pair in _pairs(source, profile)[0]]
    assert len({" ".join(prompt.split()[:3]) for prompt in first}) >= 4


def test_types_are_defined_from_their_documentation(profile: Profile) -> None:
    source = """
        /// What the harbour master writes down about a boat.
        #[derive(Debug)]
        pub struct Entry {
            /// Painted on the bow.
            pub name: String,
        }
        enum Plain { A }
    """
    pair = _only(source, profile, "define_type")
    assert "`name`" in pair.prompt
    assert pair.response.startswith("#[derive(Debug)]\npub struct Entry {")
    assert "/// Painted on the bow." in pair.response
    assert "an enum without documentation" in _reasons(source, profile)


EXPLAINED = """
    /// Finds the shortest route between two harbours, keeping clear of shallow water.
    /// Ties go to the route with fewer turns.
    ///
    /// ```
    /// # use sea_map::route;
    /// let legs = route("a", "b");
    /// assert_eq!(legs.len(), 2)
    /// ```
    ///
    /// # Errors
    ///
    /// Fails where no route exists.
    pub fn route(from: &str, to: &str) -> Vec<String> { search(from, to) }
"""


def test_an_associated_type_stands_in_its_answer_once(profile: Profile) -> None:
    source = """
        impl Iterator for Tiles {
            /// The column and the row of a tile, counted from the upper left corner of its map.
            type Item = (usize, usize);

            fn next(&mut self) -> Option<Self::Item> {
                self.rest.pop()
            }
        }
    """
    answer = _only(source, profile, "define_type").response
    assert answer.count("type Item = (usize, usize);") == 1


def test_prose_and_examples_become_separate_rows(profile: Profile) -> None:
    prose = _only(EXPLAINED, profile, "explain_api")
    assert prose.lane == "vox_docs_qa"
    assert prose.response_mode == "prose_only"
    assert prose.response == (
        "Finds the shortest route between two harbours, keeping clear of shallow water. "
        "Ties go to the route with fewer turns.\n\nErrors:\n\nFails where no route exists."
    )
    use = _only(EXPLAINED, profile, "use_api")
    assert use.response == 'let legs = route("a", "b");\nassert_eq!(legs.len(), 2)'
    assert not rust.has_errors(use.response)
    implement = _only(EXPLAINED, profile, "implement_from_doc")
    assert "assert_eq" not in implement.prompt


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ("", "let a = 1;\nuse(a);"),
        ("rust,no_run", "let a = 1;\nuse(a);"),
        ("edition2021", "let a = 1;\nuse(a);"),
        ("ignore-windows", "let a = 1;\nuse(a);"),
        ("text", None),
        ("compile_fail", None),
        ("bash", None),
    ],
)
def test_only_rust_examples_of_documentation_become_code(info: str, code: str | None) -> None:
    content = "# fn main() {\nlet a = 1;\n#\nuse(a);\n# }\n"
    assert selection.example_code(markdown.Fence(info, content, 1, 6)) == code


def test_escaped_hashes_and_attributes_are_kept() -> None:
    fence = markdown.Fence("", "## not hidden\n#[derive(Debug)]\nstruct A;\n", 1, 3)
    assert selection.example_code(fence) == "# not hidden\n#[derive(Debug)]\nstruct A;"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("fn a() -> u8 { 1 }", "fewer than 3 lines and no documentation to speak of"),
        ("/// Does nothing at all, whatever the weather.\nfn a() {}", "an empty body"),
        (
            "fn a() {\n let a = 1;\n let b = 2;\n todo!()\n}",
            "unfinished: todo! or unimplemented! in its body",
        ),
        ("fn a() {\n" + " b();\n" * 151 + "}", "longer than 150 lines"),
        (
            "fn a() {\n" + ' b("' + "x" * 7000 + '");\n' + "c();\n" * 3 + "}",
            "longer than 7,000 characters",
        ),
        ("fn main() {\n a();\n b();\n c();\n}", "a main function that nothing describes"),
        ("trait T { fn a(&self); }", "declared without a body"),
        ("struct S;", "a struct without documentation"),
        ('fn a() {\n b(r#"\n```\n"#);\n c();\n d();\n}', "holds the marks of a Markdown fence"),
        ("#[test]\nfn a() {}", "test code"),
        (
            'fn a() -> u8 {\n b();\n say("what nobody can know who was not told");\n c()\n}',
            "mostly text in literals that nothing describes",
        ),
        ("/// Short.\ntype A = u8;", "documentation too short to define it from"),
    ],
)
def test_unsuitable_items_are_dropped_with_a_reason(
    profile: Profile, source: str, reason: str
) -> None:
    pairs, drops = _pairs(source, profile)
    assert [pair for pair in pairs if pair.response_mode == "code_only"] == []
    assert reason in [drop.reason for drop in drops]
    assert all(drop.stage == "extract_rust" and drop.source_path == PATH for drop in drops)


def test_items_are_dedented_unless_a_literal_spans_several_lines(profile: Profile) -> None:
    source = """
        mod inner {
            /// Writes a greeting for the harbour, in two lines.
            fn plain() {
                print();
            }
            /// Writes a greeting for the harbour, as it was typed.
            fn typed() {
                print("a
            b");
            }
        }
    """
    plain, typed = (p.response for p in _pairs(source, profile)[0])
    assert plain == "fn plain() {\n    print();\n}"
    assert 'print("a\n    b");' in typed
    assert not rust.has_errors(typed)


def test_lanes_follow_the_profile(profile: Profile) -> None:
    source = "/// Hears what the harbour master says.\nfn hear() -> u8 { 1 }"
    assert _pairs(source, profile, crate="vox-speech")[0][0].lane == "vox_speech"
    assert _pairs(source, profile, crate="vox-mcp-tools")[0][0].lane == "vox_tooling"


def test_module_documentation_explains_the_module(profile: Profile) -> None:
    source = """
        //! # Tiles
        //!
        //! Tiles are the squares that a sea map is cut into, so that a phone at sea holds
        //! only what lies ahead of it.
        //!
        //! ```
        //! let tile = sea_map::tiles::first();
        //! ```
        fn a() {}
    """
    pair = _only(source, profile, "explain_api")
    assert pair.source_symbol == "sea_map::tiles"
    assert (pair.source_start_line, pair.source_end_line) == (1, 8)
    assert pair.response.startswith("Tiles are the squares that a sea map is cut into, so that")
    assert "\n" not in pair.response
    assert _only(source, profile, "use_api").response == "let tile = sea_map::tiles::first();"


def test_an_example_that_is_a_test_is_dropped(profile: Profile) -> None:
    source = """
        /// Cuts the map into squares of one sea mile each.
        ///
        /// ```
        /// struct Map;
        ///
        /// #[test]
        /// fn cuts() {
        ///     assert_eq!(sea_map::cut(4), 2);
        /// }
        /// ```
        pub fn cut(size: u8) -> u8 { size / 2 }
    """
    assert "a doc example that is a test" in _reasons(source, profile)
    assert "use_api" not in {pair.task_family for pair in _pairs(source, profile)[0]}


def test_difficulty_rises_with_length_branches_and_generics() -> None:
    def measure(source: str) -> int:
        return selection.difficulty(rust.parse(source).items[0])

    simple = measure("fn a() -> u8 { 1 }")
    generic = measure("fn a<'x, T: Ord>(b: &'x T) -> u8 { 1 }")
    long = measure("async fn a() {\n" + "if b { c() }\n" * 90 + "}")
    assert simple == 1
    assert simple < generic < long <= 10


TRAIT = """
    /// A store of boats by name.
    pub trait Store {
        /// Returns the boat of a name, or nothing.
        fn boat(&self, name: &str) -> Option<u32>;
        /// Returns the boat of a name, or another boat where there is none.
        fn boat_or(&self, name: &str, other: u32) -> u32 {
            match self.boat(name) {
                Some(boat) => boat,
                None => other,
            }
        }
        fn has(&self, name: &str) -> bool {
            let boat = self.boat(name);
            let found = boat.is_some();
            found
        }
    }

    impl Store for Fleet {
        fn boat(&self, name: &str) -> Option<u32> {
            let boats = &self.boats;
            let boat = boats.get(name);
            boat.copied()
        }
    }
"""


def test_a_question_about_a_default_method_shows_the_trait_once_and_without_bodies(
    profile: Profile,
) -> None:
    pairs = [
        pair
        for pair in _pairs(TRAIT, profile)[0]
        if pair.task_family in ("implement_from_doc", "complete_signature")
    ]
    assert [pair.source_symbol.rsplit("::", 1)[1] for pair in pairs] == ["boat_or", "has", "boat"]
    for pair in pairs:
        assert pair.prompt.count("pub trait Store {") == 1
        for body in ("match self.boat(name)", "boat.is_some()"):
            assert body not in pair.prompt
    _, has, _ = pairs
    assert has.prompt.count("fn has(&self, name: &str) -> bool {\n        todo!()\n    }") == 1


def test_an_answer_shows_the_associated_types_that_it_needs(profile: Profile) -> None:
    def response(count: int) -> str:
        types = "".join(f"type A{i} = [u8; {i}];\n" for i in range(count))
        method = (
            "/// Returns the third kind of sail of this boat.\nfn m(&self) -> Self::A3 { [0; 3] }"
        )
        source = f"impl Sails for Boat {{\n{types}{method}\n}}"
        return _only(source, profile, "implement_from_doc").response

    assert response(5).count("type ") == 5
    assert [line.strip() for line in response(900).split("\n") if "type " in line] == [
        "type A3 = [u8; 3];"
    ]


def test_only_constants_that_the_answer_names_are_shown(profile: Profile) -> None:
    source = """
        const MAX: u8 = 3;
        const MAX_SAILS: u8 = 4;
        /// Returns how many sails a boat may have.
        fn sails() -> u8 { MAX_SAILS }
    """
    prompt = _only(source, profile, "implement_from_doc").prompt
    assert "const MAX_SAILS: u8 = 4;" in prompt
    assert "const MAX: u8" not in prompt


def _long_enum(name: str) -> str:
    variants = "".join(
        f"    /// Harbour {i}.\n    Harbour{i} {{ depth: u8 }},\n" for i in range(60)
    )
    return f"pub enum {name} {{\n{variants}    Open(\n        u8,\n    ),\n}}\n"


@pytest.mark.parametrize(
    ("declared", "use", "shown"),
    [
        ("enum Flag { Red }", "let a = Flag::Red;", "enum Flag { Red }"),
        ("const DEPTH: u8 = 7;", "let a = self::DEPTH;", "const DEPTH: u8 = 7;"),
        (
            "struct Buoy; impl Buoy { const MAX: u8 = 7; }",
            "let a = Buoy::MAX;",
            "impl Buoy {\n    const MAX: u8 = 7;\n}",
        ),
        (
            "macro_rules! horn { ($n:expr) => { blow($n) }; }",
            "horn!(2);",
            "macro_rules! horn {\n    ($n:expr) => { .. };\n}",
        ),
        (
            "struct Buoy; impl Buoy { fn ring(&self) { peal() } }",
            "let buoy: Buoy = make(); buoy.ring();",
            "impl Buoy {\n    fn ring(&self);\n}",
        ),
        ("fn peal(n: u8) -> u8 { n }", "let a = peal::<u8>(1);", "fn peal(n: u8) -> u8;"),
    ],
)
def test_a_question_shows_each_kind_of_name_that_the_body_uses(
    profile: Profile, declared: str, use: str, shown: str
) -> None:
    source = f"{declared}\nfn sound() {{\n    {use}\n    let b = 1;\n    print(b);\n}}"
    assert shown in _prompt_of(source, profile, "fn sound")


def _prompt_of(source: str, profile: Profile, answer: str) -> str:
    (prompt,) = (pair.prompt for pair in _pairs(source, profile)[0] if answer in pair.response)
    return prompt


def test_names_in_comments_and_literals_are_not_shown(profile: Profile) -> None:
    source = """
        struct Buoy;
        fn sound() {
            // Buoy::ring
            let a = "Buoy { }";
            let b = r#"" Buoy"#;
            print(a, b);
        }
    """
    assert "struct Buoy" not in _prompt_of(source, profile, "fn sound")


def test_a_name_that_another_crate_or_the_language_means_is_not_shown(profile: Profile) -> None:
    source = """
        mod own { pub struct Command; pub struct Vec; }
        use std::process::Command;
        fn sound() {
            let a = Command::new("x");
            let b = other::Vec::new();
            let c = std::Vec::new();
        }
    """
    prompt = _prompt_of(source, profile, "fn sound")
    assert "struct" not in prompt


def test_of_a_long_type_the_members_that_the_answer_uses_are_shown(profile: Profile) -> None:
    use = "let a = Port::Harbour7 { depth: 1 };\n    let b = Port::Open(1);\n    print(a, b);"
    prompt = _prompt_of(f"{_long_enum('Port')}fn sound() {{\n    {use}\n}}", profile, "fn sound")
    assert (
        "pub enum Port {\n    // ..\n    Harbour7 { depth: u8 },\n    // ..\n"
        "    Open(\n        u8,\n    ),\n}" in prompt
    )


def test_a_long_constant_is_shown_without_its_value(profile: Profile) -> None:
    values = ", ".join(["1"] * 300)
    body = "{\n    let a = ALL;\n    p(a);\n    q();\n}"
    source = f"const ALL: [u8; 300] = [{values}];\nfn sound() {body}"
    assert "const ALL: [u8; 300];\n" in _prompt_of(source, profile, "fn sound")


def test_a_definition_shows_the_types_of_its_fields(profile: Profile) -> None:
    source = "enum Flag { Red }\n/// What a boat carries on its mast.\nstruct Mast { flag: Flag }"
    assert "enum Flag { Red }" in _only(source, profile, "define_type").prompt


@pytest.mark.parametrize(("count", "is_kept"), [(1, True), (2, False)])
def test_a_row_that_needs_names_which_do_not_fit_is_dropped(
    profile: Profile, count: int, is_kept: bool
) -> None:
    wide = ", ".join(f"argument_{i}: u8" for i in range(100))
    helpers = "\n".join(f"fn helper_{i}({wide}) {{ a(); }}" for i in range(count))
    calls = "\n".join(f"    helper_{i}();" for i in range(count))
    source = f"{helpers}\nfn sound() {{\n{calls}\n    x();\n    y();\n}}"
    pairs, drops = _pairs(source, profile)
    assert any("fn sound" in pair.response for pair in pairs) is is_kept
    reasons = [drop for drop in drops if drop.item.endswith("::sound")]
    assert [(drop.kind, drop.detail) for drop in reasons] == (
        [] if is_kept else [("needs names that the prompt cannot show", "helper_0, helper_1")]
    )
