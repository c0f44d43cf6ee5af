"""Text that came with an answer is found by its kind, and quoted or intended text is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.contract.rows import turns
from vox_assets.curate.artefacts import DETECTORS, Answer, artefacts, in_dialogue
from vox_assets.curate.planted_artefacts import PLANTED, Clean, spoil

RUST = """\
/// Adds the weight of each crate to the load.
pub fn load(crates: &[Crate], limit: u64) -> Result<u64, Overload> {
    let total: u64 = crates.iter().map(|item| item.weight).sum();
    if total > limit {
        return Err(Overload { total, limit });
    }
    Ok(total)
}"""
VOX = """\
fn price_of(visitors: int, free: int) to int {
    let paying = visitors - free
    if paying < 0 {
        return 0
    }
    return paying * 3
}"""
PROSE = (
    "A lease ends when its holder stops renewing it. The broker waits for two heartbeats, then "
    "hands the partition to the next worker.\n\n- `lease.ttl` sets the time.\n- The journal keeps "
    "every change, with its author."
)
ASKED = "What does the broker do when a lease ends?"
CODE_ASKED = "Write `load`, which sums the weights of all crates. It refuses more than the limit."


def kinds(answer: str, language: str = "markdown", question: str = ASKED, earlier: str = "") -> set:
    return {reason.kind for reason in artefacts(Answer(question, answer, language, earlier))}


@pytest.mark.parametrize(
    ("answer", "language"), [(RUST, "rust"), (VOX, "vox"), (PROSE, "markdown")]
)
def test_a_clean_answer_has_no_artefact(answer: str, language: str) -> None:
    assert kinds(answer, language, ASKED if language == "markdown" else CODE_ASKED) == set()


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("chatter", f"Sure! {PROSE}"),
        ("chatter", f"Here's the explanation you wanted:\n\n{PROSE}"),
        ("chatter", f"{PROSE}\n\nLet me know if you would like more detail."),
        ("chatter", f"{PROSE} I'm sorry, I cannot help with the rest."),
        ("chatter", f"Hi there, {PROSE}"),
        ("chatter", f"Got it. {PROSE}"),
        ("chatter", f"Let's look at leases. {PROSE}"),
        ("chatter", f"{PROSE} I've added the second case as well."),
        ("chatter", f"{PROSE}\n\nDid that answer your question?"),
        ("chatter", f"{PROSE}\n\nHave fun with it!"),
        ("chatter", f"{PROSE}\n\nIf you need anything else, just ask."),
        ("template", f"{PROSE}<|im_end|>"),
        ("template", f"### Response:\n{PROSE}"),
        ("template", f"Dear {{{{ customer.name }}}}, {PROSE}"),
        ("template", f"{PROSE} [Insert link here]"),
        ("template", f"{PROSE} [describe the second state]"),
        ("html", PROSE.replace("two heartbeats", "<b>two</b> heartbeats")),
        ("html", PROSE.replace(" then", "&nbsp;then")),
        ("html", PROSE.replace(" then", " <g-icon/>then")),
        ("html", PROSE.replace("two", "<var>two</var>")),
        ("licence", f"Copyright (c) 2020 The Authors\n\n{PROSE}"),
        ("licence", f"{PROSE}\n\nAll rights reserved."),
        ("licence", f"{PROSE}\n\nReleased under the terms of the GPL."),
        ("licence", f"{PROSE} This text is in the public domain."),
        ("licence", f"Copyright Ada Example\n\n{PROSE}"),
        ("line numbers", "\n".join(f"{n}: {t}" for n, t in enumerate(PROSE.splitlines(), 4))),
        ("line numbers", f"1\t{PROSE.splitlines()[0]}"),
        ("line numbers", "\n".join(f"<{n}> {t}" for n, t in enumerate(PROSE.splitlines(), 8))),
        ("line numbers", "\n".join(f"Line {n}: {t}" for n, t in enumerate(PROSE.splitlines()))),
        ("mojibake", PROSE.replace("A lease", "The brokerâ€™s lease")),
        ("mojibake", PROSE.replace("author", "authorÃ©")),
        ("invisible", PROSE.replace("broker", "bro\u200bker")),
        ("invisible", PROSE.replace("waits", "\u202ewaits")),
        ("echo", f"{ASKED}\n\n{PROSE}"),
        ("echo", f"**{ASKED}** {PROSE}"),
        ("repetition", f"{PROSE}\n\n{PROSE}"),
        ("repetition", f"{PROSE}\n- The journal keeps every change, with its author."),
        # In another layout: a row of a table on the line of another, a sentence in an item.
        (
            "repetition",
            "| Sign | What the broker does when it is set |\n| --- | --- |\n"
            "| `a` | waits for the next heartbeat of the worker | "
            "| `a` | waits for the next heartbeat of the worker |",
        ),
        ("repetition", f"{PROSE} - The journal keeps every change, with its author."),
        ("missing reference", f"{PROSE} Figure 4 shows the states."),
        ("missing reference", f"As I explained earlier, {PROSE}"),
        ("missing reference", f"{PROSE} The enclosed graph has the details."),
        ("missing reference", f"{PROSE} The photo on the left shows a lease."),
        ("missing reference", f"In our previous chat, this was a lease. {PROSE}"),
        ("missing reference", f"{PROSE} The log that you pasted says so."),
        ("missing reference", f"The table below lists the states. {PROSE.splitlines()[0]}"),
        ("project note", f"{PROSE} It waits for TASK-6.4 and Phase 2."),
        ("project note", f"- [ ] Hand it on.\n\n{PROSE}"),
        ("project note", f"{PROSE}\n\n**Estimated effort**: two days"),
        ("project note", f"Accepted on 2026-05-11 for Phase 2. {PROSE}"),
        (
            "foreign language",
            "Der Makler wartet auf zwei Signale und gibt die Partition dann an den anderen.",
        ),
        (
            "foreign language",
            "Broker czeka na dwa sygna\u0142y, a potem oddaje partycj\u0119 nast\u0119pnemu "
            "pracownikowi.",
        ),
        (
            "foreign language",
            "A k\u00f6zvet\u00edt\u0151 k\u00e9t jelre v\u00e1r, majd \u00e1tadja a "
            "part\u00edci\u00f3t a k\u00f6vetkez\u0151 dolgoz\u00f3nak.",
        ),
        ("foreign language", "\u30d6\u30ed\u30fc\u30ab\u30fc\u306f\u5f85\u3064" * 4),
    ],
)
def test_an_artefact_of_prose_is_found_by_its_kind(kind: str, answer: str) -> None:
    assert kind in kinds(answer)


@pytest.mark.parametrize(
    "answer",
    [
        # Quoted in code spans and fences.
        f"{PROSE} Start it at <host>:<port> as <worker-name>.",
        f"{PROSE} Write `<b>` or `&nbsp;`, and end with `<|im_end|>`.",
        f"{PROSE} The variable `{{{{ name }}}}` is filled in.",
        # A numbered list of Markdown.
        "1. The broker waits.\n2. It hands the partition on.\n3. It writes the journal.",
        # The table that is meant is there.
        "The table below lists the states.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |",
        # The words of others, questions and answers, and a person who is no assistant.
        'The class of faults "I forgot the prefix" is gone. **How do I start it?** Run it.',
        "Yes. Set it before the start; the broker will do this for you.",
        "An SPDX name is a text such as `MIT`. Keep the copyright header of each file.",
        "A 16-bit word holds the state.\n\nThe image is missing until the first start.",
        "The distance is \u03bc plus \u03c3, and the caf\u00e9 of Zo\u00eb and Ren\u00e9 is the "
        "na\u00efve one of them all.",
        "A broker is sure. Certainly the journal helps, of course.",
        "It runs as an AI-native service; see the chapter on leases.",
        "Text is UTF-8 under AGPL-3.0, with XXH3-128, as ADR-032 and `TASK-6.4` say in Phase 2.",
        "The first release was on 2019-06-06, and the second one followed on 2021-12-21.",
        "A generic `Vec<T>` keeps rows; `a < b > c` compares.",
        "Caf\u00e9 \u00fcber \u00c0 propos: na\u00efve r\u00e9sum\u00e9 names stay as they are in "
        "the text.",
        "The \U0001f469\u200d\U0001f52c sign joins two.",
    ],
)
def test_quoted_and_intended_text_is_no_artefact_of_prose(answer: str) -> None:
    assert kinds(answer) == set()


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("chatter", f"Sure! Here is the function:\n\n{RUST}"),
        ("chatter", f"{RUST}\n// Let me know if you need tests."),
        ("chatter", f"{RUST}\n// This is how you wanted it."),
        ("template", RUST.replace("/// Adds", "/// {{ verb }}")),
        ("template", f"{RUST}\n<|endoftext|>"),
        ("template", f"{RUST}\n[INSERT NAME HERE]"),
        ("template", RUST.replace("Ok(total)", "<your text here>")),
        ("licence", f"// SPDX-License-Identifier: MIT\n{RUST}"),
        ("line numbers", "\n".join(f"{n:>3} {t}" for n, t in enumerate(RUST.splitlines(), 10))),
        ("mojibake", RUST.replace("each crate", "each crateâ€™s box")),
        ("invisible", RUST.replace('"', '"').replace("load(", "lo\u2066ad(")),
        ("echo", f"// {CODE_ASKED}\n{RUST}"),
        ("repetition", f"{RUST}\n\n{RUST}"),
        ("missing reference", RUST.replace("/// Adds", "/// As mentioned above, adds")),
        ("undeclared name", RUST.replace(RUST.splitlines()[2] + "\n", "")),
        ("unused variable", RUST.replace("Ok(total)", "let spare = limit - total;\n    Ok(total)")),
        (
            "trivial body",
            "pub fn load(crates: &[Crate], limit: u64) -> Result<u64, Overload> {\n    Ok(0)\n}",
        ),
        ("stub", 'fn push() -> Result<()> {\n    bail!("push is not yet implemented")\n}'),
        ("stub", 'fn push() -> Result<(), E> {\n    Err(E::from("push: not wired"))\n}'),
        ("stub", "fn push() -> u8 {\n    // For now this is a stub.\n    3\n}"),
        ("syntax error", RUST.replace("Ok(total)\n}", "Ok(total")),
        ("syntax error", f"Here is what {RUST}"),
        (
            "trivial body",
            "fn first(rows: &[Row], _n: u8) -> Result<Row> {\n    Err(Default::default())\n}",
        ),
        ("trivial body", "fn names(rows: &[Row]) -> Vec<String> {\n    Vec::new()\n}"),
    ],
)
def test_an_artefact_of_code_is_found_by_its_kind(kind: str, answer: str) -> None:
    assert kind in kinds(answer, "rust", CODE_ASKED)


@pytest.mark.parametrize(
    "code",
    [
        'fn prompt() -> String {\n    format!("<|im_start|>{}<|im_end|>", role())\n}',
        'const PAGE: &str = r#"<div>{{ name }}</div> Sure! Copyright (c) 2020"#;',
        'fn text() -> &\'static str {\n    "first \\\n     Figure 3, as I said earlier"\n}',
        "impl<S: Source> Reader<S> {\n    fn of(inner: S) -> Self {\n        Self { inner }\n"
        "    }\n"
        "}",
        # Match arms on numbers are no line numbers.
        'fn rank(n: u8) -> &\'static str {\n    match n {\n        0 => "a",\n        1 => "b",\n'
        '        2 => "c",\n        _ => "d",\n    }\n}',
        "fn known(code: &[u8]) -> bool {\n    assert!(matches!(code.first(), Some(b) if *b > 3));\n"
        '    assert_eq!(code, *b"JPY");\n    code == b"x"\n}',
        'fn is_open(text: &str) -> bool {\n    text.contains("stub") || text == "not wired"\n}',
        "fn routes(all: &[Kind]) -> Router {\n    let kinds = all.iter().fold(seed(), add_kind);\n"
        '    Router::new().route("/", get(health)).layer(Box::new(step_all), kinds)\n}',
        # Parameters that nothing uses are marked by an underscore.
        "fn visit(&self, _node: &Node) -> bool {\n    false\n}",
        # Names of macros, closures, patterns, fields, functions and format strings.
        "fn show(rows: &[Row]) -> String {\n    let Some(first) = rows.first() else {\n        "
        'return format!("{} rows", rows.len());\n    };\n    let name = &first.id;\n    '
        "rows.iter().map(render).filter(|(key, _)| *key > 1).for_each(drop);\n    "
        'format!("{name}: {count}", count = rows.len())\n}',
        "fn keep(all: Vec<Row>) -> Vec<Row> {\n    if cfg!(windows) { all } else { "
        "all.into_iter().filter(is_new).map(render).collect() }\n}",
        'fn text(all: &[Row]) -> Value {\n    json!({ "run": Box::new(step), "all": '
        "all.iter().map(render) })\n}",
        "fn sum(a: Option<u8>, b: u8) -> u8 {\n    if let Some(c) = a && c > b { c } else { b }\n}",
        "fn add(all: &[u8]) -> u8 {\n    const LIMIT: u8 = 3;\n    fn one(of: u8) -> u8 { of }\n"
        "    all.iter().map(|each| one(*each)).sum::<u8>() + LIMIT\n}",
        "fn pick(state: State) -> u8 {\n    match state {\n        State::Open { at } => at,\n"
        "        State::Shut(reason) if reason > 3 => reason,\n        other => other.code(),\n"
        "    }\n}",
    ],
)
def test_literals_and_declared_names_are_no_artefact_of_rust(code: str) -> None:
    assert kinds(code, "rust", "Write it.") == set()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        # A pattern declares its names in its arm, block or branch alone.
        ("out", "fn f() -> u8 {\n    let Ok(out) = out else { return 0 };\n    out\n}"),
        ("top", "fn f(a: Option<u8>) -> u8 {\n    if let Some(top) = a { 1 } else { top }\n}"),
        ("cut", "fn f(a: u8) -> u8 {\n    match a { b if b < cut => b, _ => 0 }\n}"),
        ("one", "fn f(all: &[u8]) {\n    for one in all {}\n    go(one, 1);\n}"),
        ("b", "fn f(a: u8) -> u8 {\n    { let b = a; }\n    b + a\n}"),
        ("a", "fn f() -> u8 {\n    let a = a + 1;\n    a\n}"),
        # The arguments of methods that take values, and of macros.
        ("json", "fn f(req: Request) -> Reply {\n    req.header(1, 2).body(json)\n}"),
        ("rows", 'fn f() -> Value {\n    json!({ "rows": rows, "none": null })\n}'),
        ("kind", 'fn f() -> bool {\n    matches!(kind, "a" | "b")\n}'),
        ("word", 'fn f() -> String {\n    format!(r"(?i)(?:{word})")\n}'),
        ("max", "fn f(a: u8) -> bool {\n    assert!(a > 0 || a < max);\n    true\n}"),
    ],
)
def test_a_variable_of_rust_is_undeclared_outside_of_its_scope(name: str, code: str) -> None:
    reasons = artefacts(Answer("Write `f`.", code, "rust"))
    assert [r.detail for r in reasons if r.kind == "undeclared name"] == [name]


def test_a_method_that_the_prompt_declares_is_no_variable() -> None:
    shown = "Write `f`.\n```rust\nimpl Log {\n    fn cause(&self) -> u8;\n}\nfn first() -> u8;\n```"
    code = "fn f(log: &Log) -> Report {\n    Report { of: first, cause }\n}"
    reasons = artefacts(Answer(shown, code, "rust"))
    assert [r.detail for r in reasons] == ["cause"]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("undeclared name", VOX.replace("    let paying = visitors - free\n", "")),
        ("unused variable", VOX.replace("return paying", "let spare = free\n    return paying")),
        ("trivial body", "fn price_of(visitors: int, free: int) to int {\n    return 0\n}"),
        ("trivial body", 'fn price_of(visitors: int) to Result[int] {\n    return Error("")\n}'),
        ("syntax error", VOX.replace("return 0\n    }", "return 0")),
        ("undeclared name", VOX.replace("return paying * 3", "return cost_of(paying, rate)")),
        ("undeclared name", VOX.replace("return paying * 3", "return { paid: payed, free: free }")),
        (
            "undeclared name",
            "fn or_zero(n: Option[int]) to int {\n    match n {\n        Some(m) => m\n"
            "        None => zero\n    }\n}",
        ),
        (
            "undeclared name",
            'fn line(pasture: str) to str {\n    return "{pasture}: {heads}"\n}',
        ),
        ("undeclared name", 'fn line(pasture: str) to str {\n    return "costs {pence}"\n}'),
        ("undeclared name", "fn due(n: int) to int {\n    return result\n}"),
    ],
)
def test_statements_that_are_missing_from_vox_are_found(kind: str, answer: str) -> None:
    assert kind in kinds(answer, "vox", CODE_ASKED)


@pytest.mark.parametrize(
    "code",
    [
        "let fee: int = 3\n\nfn due(n: int) to int {\n    return n * fee\n}",
        "fn sum_of(rows: list[Row]) to int {\n    let mut total = 0\n    for row in rows {\n"
        "        total += row.kilos\n    }\n    return total\n}",
        "component Badge(title: str) {\n    state open: bool = false\n    view: row() {\n        "
        'text() { title }\n    }\n}\n\nroutes {\n    "/" to Badge\n}',
        "@table type Plot {\n    name: str\n}\n\n@index Plot.by_name on (name)",
        "fn both(pair: Result[int]) to int {\n    match pair {\n        Ok(value) => value\n"
        "        Error(why) => len(why)\n    }\n}",
        'fn page(id: str) to str {\n    return \'{"id"}\' + "/plots/{plot}"\n}',
        "fn pair(a: int, b: int) to Both {\n    let both = { left: a, right: [b, a] }\n    "
        "return both\n}",
        "state_machine Lamp {\n    state Off\n    state On(level: int)\n\n"
        "    on Turn(level) from any -> On(level)\n}",
        "@ensure(result <= 100)\nfn share(n: int) to int {\n    return n * 100 / 6\n}",
    ],
)
def test_declared_names_are_no_artefact_of_vox(code: str) -> None:
    assert kinds(code, "vox", "Write it.") == set()


def test_a_path_that_the_question_names_may_stand_in_code() -> None:
    code = "// jobs/first/nightly.vox\n" + VOX
    assert kinds(code, "vox", "Write the job.\n\n- **Step 1: jobs/first/nightly.vox**") == set()


def test_names_that_the_prompt_declares_are_known() -> None:
    code = "fn due(n: int) to int {\n    return n * fee\n}"
    assert kinds(code, "vox", "Write `due`.") == {"undeclared name"}
    assert kinds(code, "vox", "Given\n```vox\nlet fee: int = 3\n```\nwrite `due`.") == set()


def test_an_earlier_turn_can_be_referred_to_in_a_dialogue_only() -> None:
    answer = f"As I said earlier, {PROSE}"
    assert "missing reference" in kinds(answer)
    assert "missing reference" not in kinds(answer, earlier="What is a lease? A time.")
    dialogue = turns("What is a lease?", "A claim for a time.", ASKED, answer)
    assert in_dialogue(dialogue, "markdown") == []


def test_every_answer_of_a_dialogue_is_inspected() -> None:
    dialogue = turns(ASKED, f"Sure! {PROSE}", "And then?", "The worker starts.")
    assert [reason.kind for reason in in_dialogue(dialogue, "markdown")] == ["chatter"]


def test_a_licence_is_no_artefact_where_it_is_asked_for() -> None:
    answer = "The server is licensed under the Apache License."
    assert "licence" in kinds(answer)
    assert "licence" not in kinds(answer, question="Which licence does the server have?")


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize(
    ("answer", "language"), [(RUST, "rust"), (VOX, "vox"), (PROSE, "markdown")]
)
def test_planted_artefacts_change_the_answer_and_are_repeatable(
    kind: str, answer: str, language: str
) -> None:
    clean = Clean(CODE_ASKED, answer, language)
    planted = [spoil(clean, kind, random.Random(seed)) for seed in (1, 1)]
    assert planted[0] == planted[1] != answer


@given(st.text(max_size=400), st.text(max_size=200), st.sampled_from(["rust", "vox", "markdown"]))
def test_any_text_is_inspected(answer: str, question: str, language: str) -> None:
    for reason in artefacts(Answer(question, answer, language)):
        assert reason.kind in DETECTORS


@pytest.mark.parametrize(
    "hostile",
    [
        "`" * 4000,
        "<" * 4000,
        "{{" * 2000,
        "(" * 3000,
        "fn f(" * 900,
        "1. \n" * 1500,
        "a " * 4000,
        '"' * 3001,
        "/*" * 2000,
        "As I " * 1000,
        "\u202e" * 3000,
        "let x = " * 800,
    ],
)
@pytest.mark.parametrize("language", ["rust", "vox", "markdown"])
def test_hostile_text_is_inspected_in_linear_steps(hostile: str, language: str) -> None:
    # Quadratic patterns would take minutes for the doubled text and run into the suite's limit.
    artefacts(Answer("Say it.", hostile * 4, language))


KNOWN = frozenset("load push len reef".split())


@pytest.mark.parametrize(
    ("code", "language", "found"),
    [
        ("fn f(a: u8) { load(a); a.reef() }", "rust", None),
        ("fn f(a: u8) { unload(a) }", "rust", "unload"),
        ("fn f(a: u8) { a.unreef() }", "rust", "unreef"),
        ("fn f(a: u8) { sea::chart::<u8>(a) }", "rust", "chart"),
        # What the prompt or the code itself declares is known, also as a value.
        ("fn f(a: u8) { asked_for(a) }", "rust", None),
        ("fn f(a: u8) { own(a) }\nfn own(a: u8) {}", "rust", None),
        ("fn f(a: u8) { let g = |b| b; g(a) }", "rust", None),
        # Types, macros, literals and comments call nothing.
        ('fn f(a: u8) { Unknown(a); shout!("unload(a)"); } // unload(a)', "rust", None),
        ("fn f(a: int) to int { return unload(a) }", "vox", "unload"),
        ("fn f(a: int) to int { return load(a) }", "vox", None),
        ("Call `unload(a)`.", "markdown", None),
    ],
)
def test_a_call_of_a_name_that_exists_nowhere_is_found(
    code: str, language: str, found: str | None
) -> None:
    question = "Write `f` with `asked_for`."
    reasons = artefacts(Answer(question, code, language, known=KNOWN))
    assert [r.detail for r in reasons if r.kind == "unknown name"] == ([found] if found else [])
    assert "unknown name" not in kinds(code, language, question)


def test_earlier_turns_of_a_dialogue_make_a_name_known() -> None:
    dialogue = turns("Use `unload`.", "fn unload() {}", "Call it.", "fn f() { unload() }")
    assert in_dialogue(dialogue, "rust", KNOWN) == []
