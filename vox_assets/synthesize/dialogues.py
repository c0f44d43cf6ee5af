"""Dialogues of two to five turns in which every answer is new and follows from the one before.

Vox dialogues are scripts in `templates/dialogues/`: a script is a variant whose body alternates
between what is asked and, between `~~~` lines, the answer. Rust dialogues are cut from live rows:
a type, then methods of its `impl`, then the documented use as a test.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from vox_assets.profiles import Profile
from vox_assets.rows import Drop, Lane, Pair, turns
from vox_assets.synthesize import templates
from vox_assets.synthesize.lexicon import Domain
from vox_assets.synthesize.programs import (
    NEAR_INSTRUCTION,
    NEAR_PROGRAM,
    STAGE,
    Gate,
    Pool,
    difficulty,
)
from vox_assets.synthesize.templates import TEMPLATE_DIR, TemplateError, Variant, tidy

TASK_FAMILY = "dialogue"
SCRIPT_DIR = TEMPLATE_DIR / "dialogues"

#: Largest share of the dialogues that may be Rust: the corpus has plenty of Rust, but no other
#: Rust of more than one turn.
RUST_SHARE = 1 / 3
MAX_RUST_TURNS = 4
#: About 900 tokens: a dialogue that a 1,024-token context cuts off teaches half a sentence.
MAX_RUST_CHARS = 3_200
#: Fewer lines of answers in all are constructors and accessors.
MIN_RUST_LINES = 14
#: From one crate: more would let the largest crate decide what a dialogue is.
MAX_PER_CRATE = 25
#: Fewer turns are no dialogue.
MIN_TURNS = 2
#: Wordings tried for one dialogue.
WORDINGS = 16

_CODE_MARK = re.compile(r"^~~~$", re.MULTILINE)


@dataclass(frozen=True)
class Talk:
    """A script in a domain: what is asked in each turn, in several ways, and the answers."""

    script: Variant
    domain: Domain
    asks: tuple[tuple[str, ...], ...]
    facts: tuple[tuple[str, ...], ...]
    answers: tuple[str, ...]

    @property
    def symbol(self) -> str:
        return f"dialogues/{self.script.construct}::{self.script.name}::{self.domain.name}"


def render(script: Variant, domain: Domain, rng: random.Random) -> Talk:
    """The script in the domain; raises TemplateError where a turn has no question or answer."""
    text = templates.render_text(script, domain, rng)
    parts = _CODE_MARK.split(text)
    if len(parts) % 2 or len(parts) < 4:
        raise TemplateError(f"{script.source_path}: {script.name}: a turn without an answer")
    asked = [templates.alternatives(part, rng).strip().splitlines() for part in parts[::2]]
    asks = [tuple(line[5:] for line in lines if line.startswith("ask: ")) for lines in asked]
    if not all(asks):
        raise TemplateError(f"{script.source_path}: {script.name}: a turn without ask:")
    return Talk(
        script=script,
        domain=domain,
        asks=tuple(asks),
        facts=tuple(tuple(line[2:] for line in lines if line.startswith("- ")) for lines in asked),
        answers=tuple(tidy(part) for part in parts[1::2]),
    )


def _question(asks: Sequence[str], facts: Sequence[str], rng: random.Random) -> str:
    """One turn of the user: a way to ask, and the facts as bullets or as sentences."""
    ask = rng.choice(asks)
    if not facts:
        return ask
    if rng.random() < 0.5:
        mark = rng.choice("-*")
        return "\n".join([ask, *(f"{mark} {fact}" for fact in facts)])
    sentences = (fact if fact.startswith("`") else fact[:1].upper() + fact[1:] for fact in facts)
    return " ".join([ask, *(f"{sentence}." for sentence in sentences)])


def _worded(talk: Talk, pool: Pool, rng: random.Random) -> list[str] | None:
    """What the user says in each turn, unlike the other dialogues of the script, or None.

    A dialogue may end early: its length is drawn too.
    """
    kept = pool.instructions[f"dialogues/{talk.script.construct}/{talk.script.name}"]
    whole = list(zip(talk.asks, talk.facts, strict=True))
    lengths = rng.sample(range(MIN_TURNS, len(whole) + 1), k=len(whole) + 1 - MIN_TURNS)
    for attempt in range(WORDINGS):
        length = lengths[attempt % len(lengths)]
        questions = [_question(asks, facts, rng) for asks, facts in whole[:length]]
        said = "\n".join(questions)
        if questions[-1] in pool.last_questions:
            continue
        if kept.nearest(said, NEAR_INSTRUCTION) < NEAR_INSTRUCTION:
            kept.add(said)
            pool.last_questions.add(questions[-1])
            return questions
    return None


def vox_dialogues(
    scripts: Sequence[Variant],
    domains: Sequence[Domain],
    profile: Profile,
    pool: Pool,
    check_vox: Gate,
    amount: int,
) -> tuple[list[Pair], list[Drop]]:
    """Up to `amount` dialogues; every script is used once before any is used again."""
    seed = profile.synthesis.seed
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for script, domain in _laps(scripts, domains, seed):
        if len(pairs) >= amount:
            break
        rng = random.Random(f"{seed}:{script.construct}:{script.name}:{domain.name}")
        talk = render(script, domain, rng)
        reason = _refusal(talk, pool, check_vox)
        questions = None if reason else _worded(talk, pool, rng)
        if questions is None:
            drops.append(_drop(talk, reason or "no wording differs enough from its script's"))
            continue
        pool.programs.add(talk.symbol, "\n\n".join(talk.answers[: len(questions)]))
        pairs.append(_vox_pair(talk, questions, profile))
    return pairs, drops


def _laps(
    scripts: Sequence[Variant], domains: Sequence[Domain], seed: int
) -> Iterator[tuple[Variant, Domain]]:
    rng = random.Random(f"{seed}:dialogues")
    routes = [rng.sample(domains, k=len(domains)) for _ in scripts]
    for lap in range(len(domains)):
        for script, route in zip(scripts, routes, strict=True):
            yield script, route[lap]


def _refusal(talk: Talk, pool: Pool, check_vox: Gate) -> str | None:
    if len(set(talk.answers)) < len(talk.answers):
        return "an answer repeats an earlier one"
    for answer in talk.answers:
        message = check_vox(answer)
        if message is not None:
            return f"refused by the syntax gate: {message}"
    _, similarity = pool.programs.nearest("\n\n".join(talk.answers))
    return "near-duplicate of an earlier dialogue" if similarity >= NEAR_PROGRAM else None


def _drop(talk: Talk, reason: str) -> Drop:
    return Drop(
        stage=STAGE,
        reason=reason,
        source_path=talk.script.source_path,
        line=talk.script.start_line,
        item=talk.symbol,
    )


def _vox_pair(talk: Talk, questions: Sequence[str], profile: Profile) -> Pair:
    script = talk.script
    answers = talk.answers[: len(questions)]
    said = [text for turn in zip(questions, answers, strict=True) for text in turn]
    return Pair(
        messages=turns(*said),
        lane=profile.lane_for("synthetic", "code_only", script.source_path),
        response_mode="code_only",
        task_family=TASK_FAMILY,
        language="vox",
        origin="synthetic",
        category=script.construct,
        difficulty=difficulty(script.level, *answers),
        source_kind="synthetic",
        source_path=script.source_path,
        source_start_line=script.start_line,
        source_end_line=script.end_line,
        source_symbol=talk.symbol,
    )


def scripts() -> tuple[Variant, ...]:
    """Every dialogue script; their source path names the folder too."""
    return tuple(
        variant
        for path in sorted(SCRIPT_DIR.glob("*.vox.j2"))
        for variant in templates.split(
            path.read_text(encoding="utf-8"),
            path.name.removesuffix(".vox.j2"),
            f"{templates.SOURCE_PREFIX}dialogues/{path.name}",
        )
    )


# Rust: from live rows.

_METHOD_LEADS = (
    "Now the behaviour.",
    "Good. Next:",
    "Building on that type:",
    "Go on with it.",
    "That is the type. Now implement one part of it.",
)
_NEXT_LEADS = ("And one more.", "It also needs this.", "Extend the implementation.", "Then:")
_TEST_LEADS = (
    "Write a test named `{name}` that shows `{method}` at work.",
    "Now prove it: a `#[test]` called `{name}` for `{method}`.",
    "Finish with a unit test `{name}` that uses `{method}` as documented.",
)

#: Paragraphs of an extracted prompt that repeat what the dialogue has said already.
_REPEATED = re.compile(
    r"\n*(?:Types it works with:\n\n```rust\n.*?\n```|^Context: [^\n]*$)", re.DOTALL | re.MULTILINE
)
_MAIN = re.compile(r"\Afn main\(\)[^{]*\{\n(?P<body>.*)\n\}\s*\Z", re.DOTALL)
_ASSERTION = re.compile(r"\bassert(?:_eq|_ne)?!\s*\(")


@dataclass(frozen=True)
class _Impl:
    """A documented Rust type and what the rows know of its implementation."""

    type: Mapping[str, Any]
    methods: tuple[Mapping[str, Any], ...]
    uses: tuple[Mapping[str, Any], ...]


def _impls(rust_rows: pl.DataFrame) -> list[_Impl]:
    """Types with at least one method that has its own row, in source order.

    Comments may hold Markdown fences; those answers are left out, since code must be code only.
    """
    code = rust_rows.filter(
        (pl.col("language") == "rust")
        & (pl.col("response_mode") == "code_only")
        & ~pl.col("response").str.contains("```", literal=True)
    ).sort("source_path", "source_start_line", "pair_id")
    owners: dict[tuple[str, str], dict[str, list[Mapping[str, Any]]]] = {}
    types: list[Mapping[str, Any]] = []
    for row in code.iter_rows(named=True):
        if row["task_family"] == "define_type":
            types.append(row)
            continue
        owner = row["source_symbol"].rpartition("::")[0]
        families = owners.setdefault((row["source_path"], owner), {})
        families.setdefault(row["task_family"], []).append(row)
    found = []
    for type_ in types:
        own = owners.get((type_["source_path"], type_["source_symbol"]), {})
        methods = [one for one in own.get("implement_from_doc", []) if one["lane"] == type_["lane"]]
        if methods:
            uses = [one for one in own.get("use_api", []) if _ASSERTION.search(one["response"])]
            found.append(_Impl(type_, tuple(methods), tuple(uses)))
    return found


def rust_dialogues(
    rust_rows: pl.DataFrame, profile: Profile, amount: int
) -> tuple[list[Pair], list[Drop]]:
    """Up to `amount` dialogues, those that end in a test first, no crate too often."""
    seed = profile.synthesis.seed
    order = _impls(rust_rows)
    random.Random(f"{seed}:rust").shuffle(order)
    order.sort(key=lambda impl: (not impl.uses, len(impl.methods) < 2))
    pairs: list[Pair] = []
    drops: list[Drop] = []
    per_crate: dict[str, int] = {}
    for impl in order:
        crate = impl.type["category"]
        if len(pairs) >= amount:
            break
        if per_crate.get(crate, 0) >= MAX_PER_CRATE:
            continue
        pair = _rust_pair(impl, random.Random(f"{seed}:{impl.type['pair_id']}"))
        if pair is None:
            drops.append(
                Drop(
                    stage=STAGE,
                    reason=f"no Rust dialogue of {MIN_RUST_LINES} lines or more that stays below "
                    f"{MAX_RUST_CHARS} characters",
                    source_path=impl.type["source_path"],
                    line=impl.type["source_start_line"],
                    item=impl.type["source_symbol"],
                )
            )
            continue
        per_crate[crate] = per_crate.get(crate, 0) + 1
        pairs.append(pair)
    return pairs, drops


def _rust_pair(impl: _Impl, rng: random.Random) -> Pair | None:
    """The dialogue with as many turns as fit, or None when they are too few or too small."""
    first = impl.type
    said = [first["prompt"], first["response"]]
    used = [first]
    answers = {first["response"]}
    room = MAX_RUST_TURNS - 1 - bool(impl.uses)
    for row in _chosen(impl, min(room, len(impl.methods)), rng):
        lead = rng.choice(_METHOD_LEADS if len(used) == 1 else _NEXT_LEADS)
        turn = [f"{lead}\n\n{_fresh(row['prompt'])}", row["response"]]
        if row["response"] not in answers and _fits(said, turn):
            said += turn
            used.append(row)
            answers.add(row["response"])
    implemented = {row["source_symbol"] for row in used}
    for use in impl.uses:
        turn = _test_turn(use, rng)
        if use["source_symbol"] in implemented and _fits(said, turn):
            said += turn
            used.append(use)
            break
    lines = sum(answer.count("\n") + 1 for answer in said[1::2])
    if len(used) < 2 or lines < MIN_RUST_LINES:
        return None
    lane: Lane = first["lane"]
    return Pair(
        messages=turns(*said),
        lane=lane,
        response_mode="code_only",
        task_family=TASK_FAMILY,
        language="rust",
        origin="synthetic",
        category=first["category"],
        difficulty=max(row["difficulty"] for row in used),
        source_kind="synthetic",
        source_path=first["source_path"],
        source_start_line=min(row["source_start_line"] for row in used),
        source_end_line=max(row["source_end_line"] for row in used),
        source_symbol=f"{first['source_symbol']}::dialogue",
        source_commit=first["source_commit"],
        source_date=first["source_date"],
        parents=tuple(row["pair_id"] for row in used),
    )


def _chosen(impl: _Impl, amount: int, rng: random.Random) -> list[Mapping[str, Any]]:
    """Methods in source order, what builds before what is built on it; tested ones above all."""
    tested = {use["source_symbol"] for use in impl.uses}
    drawn = rng.sample(impl.methods, k=len(impl.methods))
    drawn.sort(key=lambda row: row["source_symbol"] not in tested)
    return sorted(drawn[:amount], key=lambda row: row["source_start_line"])


def _fits(said: Iterable[str], turn: Iterable[str]) -> bool:
    return sum(map(len, said)) + sum(map(len, turn)) <= MAX_RUST_CHARS


def _fresh(prompt: str) -> str:
    """The prompt without the definitions that an earlier turn has given."""
    return _REPEATED.sub("", prompt).strip()


def _test_turn(use: Mapping[str, Any], rng: random.Random) -> list[str]:
    """The documented use of a method as a unit test, and the request for it."""
    method = use["source_symbol"].rpartition("::")[2]
    name = f"{method}_as_documented"
    code = use["response"]
    inside = _MAIN.match(code)
    body = "\n".join(
        line if inside or not line else f"    {line}"
        for line in (inside["body"] if inside else code).splitlines()
    )
    return [
        rng.choice(_TEST_LEADS).format(name=name, method=method),
        f"#[test]\nfn {name}() {{\n{body}\n}}",
    ]


def make_dialogues(
    rust_rows: pl.DataFrame,
    domains: Sequence[Domain],
    profile: Profile,
    pool: Pool,
    check_vox: Gate,
) -> tuple[list[Pair], list[Drop]]:
    """As many dialogues as the profile asks for, Rust ones up to their share."""
    wanted = profile.synthesis.dialogues
    rust, rust_drops = rust_dialogues(rust_rows, profile, int(wanted * RUST_SHARE))
    vox, vox_drops = vox_dialogues(scripts(), domains, profile, pool, check_vox, wanted - len(rust))
    return [*rust, *vox], [*rust_drops, *vox_drops]
