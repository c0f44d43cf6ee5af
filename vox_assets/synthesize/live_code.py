"""Rows from live Vox: programs that documentation shows, renamed, cut, extended and tested.

Every row names its parent. The parent's text is taken as it is today, so these rows follow the
language without anybody touching a template. What a program contains is asked of `vox_syntax`;
how a rename or an extension is worded belongs here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from vox_assets.profiles import Profile
from vox_assets.rows import Drop, Pair, turns
from vox_assets.synthesize.lexicon import RESERVED, ROLES, Domain, VoxType, camel
from vox_assets.synthesize.programs import NEAR_PROGRAM, STAGE, Gate, Pool, difficulty
from vox_assets.synthesize.templates import tidy
from vox_assets.vox_syntax import Declaration, VoxSyntaxError, constructs, declarations

#: Live programs are few and their offspring resemble them, so templates keep the larger part.
LIVE_SHARE = 1 / 3
#: Domains that one live program is renamed into.
RENAMES = 2
#: A body with fewer statements leaves nothing to complete.
MIN_STATEMENTS = 2
#: Above this share of the program, completing a body is writing the parent once more.
MAX_COMPLETED_SHARE = 0.7
#: Fields that a program is extended by, one row each.
EXTENSIONS = 2
DIFFICULTY_LEVEL = 2

#: Names that the language or its library gives a meaning, which a rename must not touch.
BUILT_IN = RESERVED | set(
    """push append get length join map filter contains split trim to_upper to_lower replace slice
    starts_with ends_with char_at index_of is_some is_none is_ok is_err unwrap insert delete find
    all count query where update key value level href text heading column row panel card list_item
    link button image input name title id result body""".split()
)

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|[A-Za-z_]\w*|\s+|.', re.DOTALL)
_HOLE = re.compile(r"\{[^{}\"]*\}")
_NAME = re.compile(r"[A-Za-z_]\w*")
_PHRASE = re.compile(r"[a-z]{2,}[^\w\"]+[a-z]{2,}", re.IGNORECASE)
_FIELD = re.compile(r"^\s*(\w+): (str|int|bool|dec)\b,?$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*(?://|#)[^\n]*\n?|[ \t]+//[^\n]*", re.MULTILINE)
_TABLE_KINDS = ("table", "struct")
_BODIED_KINDS = (
    "function",
    "endpoint_query",
    "endpoint_mutation",
    "endpoint_server",
    "mcp_tool",
    "webhook",
)


@dataclass(frozen=True)
class Live:
    """A live program and the row that holds it."""

    row: Mapping[str, Any]
    source: str
    declared: tuple[Declaration, ...]


@dataclass(frozen=True)
class Task:
    """What may be asked about a live program, and the answer."""

    family: str
    #: Names the task among those of its parent.
    label: str
    prompt: str
    answer: str


def programs(doc_rows: pl.DataFrame) -> Iterator[Live]:
    """The Vox programs of the documentation, without comments, in the order of their rows."""
    vox = doc_rows.filter((pl.col("language") == "vox") & (pl.col("response_mode") == "code_only"))
    for row in vox.iter_rows(named=True):
        source = tidy(_COMMENT.sub("", row["response"]))
        try:
            declared = declarations(source)
        except VoxSyntaxError:
            continue  # A fence that the gate refuses is reported by the extraction.
        if declared:
            yield Live(row, source, tuple(declared))


def expand_live_code(
    doc_rows: pl.DataFrame,
    domains: Sequence[Domain],
    profile: Profile,
    pool: Pool,
    check_vox: Gate,
    budget: int,
) -> tuple[list[Pair], list[Drop]]:
    """Rows from live programs, up to their share of `budget`; every program has its turn first."""
    seed = profile.synthesis.seed
    queues = []
    for live in programs(doc_rows):
        rng = random.Random(f"{seed}:live:{live.row['pair_id']}")
        tasks = [task for maker in _MAKERS for task in maker(live, domains, rng)]
        rng.shuffle(tasks)
        queues.append((live, tasks))
    pairs: list[Pair] = []
    drops: list[Drop] = []
    limit = int(budget * LIVE_SHARE)
    for live, task in _in_turns(queues):
        if len(pairs) >= limit:
            break
        reason = _refusal(task, live, pool, check_vox)
        if reason:
            drops.append(_drop(live, task, reason))
            continue
        pool.programs.add(_symbol(live, task), task.answer)
        pairs.append(_pair(live, task, profile))
    return pairs, drops


def _in_turns(queues: Sequence[tuple[Live, Sequence[Task]]]) -> Iterator[tuple[Live, Task]]:
    for lap in range(max((len(tasks) for _, tasks in queues), default=0)):
        for live, tasks in queues:
            if lap < len(tasks):
                yield live, tasks[lap]


def _refusal(task: Task, live: Live, pool: Pool, check_vox: Gate) -> str | None:
    message = check_vox(task.answer)
    if message is not None:
        return f"refused by the syntax gate: {message}"
    _, similarity = pool.programs.nearest(task.answer)
    if similarity >= NEAR_PROGRAM:
        return "near-duplicate of an earlier program"
    return "answers with its parent unchanged" if task.answer == live.source else None


def _symbol(live: Live, task: Task) -> str:
    return f"{live.row['source_symbol']}::{task.label}"


def _drop(live: Live, task: Task, reason: str) -> Drop:
    return Drop(
        stage=STAGE,
        reason=reason,
        source_path=live.row["source_path"],
        line=live.row["source_start_line"],
        item=_symbol(live, task),
    )


def _pair(live: Live, task: Task, profile: Profile) -> Pair:
    row = live.row
    return Pair(
        messages=turns(task.prompt, task.answer),
        lane=profile.lane_for("synthetic", "code_only", row["source_path"]),
        response_mode="code_only",
        task_family=task.family,
        language="vox",
        origin="synthetic",
        category=main_construct(task.answer),
        difficulty=difficulty(DIFFICULTY_LEVEL, task.answer),
        source_kind="synthetic",
        source_path=row["source_path"],
        source_start_line=row["source_start_line"],
        source_end_line=row["source_end_line"],
        source_symbol=_symbol(live, task),
        source_commit=row["source_commit"],
        source_date=row["source_date"],
        parents=(row["pair_id"],),
    )


def main_construct(source: str) -> str:
    """What a live program mainly shows: its most specific declaration, else its first construct.

    A plain function is the least specific: nearly every program has one.
    """
    kinds = [one.kind for one in declarations(source)]
    special = [kind for kind in kinds if kind not in ("function", "struct", "import")]
    if special:
        return max(special, key=lambda kind: (special.count(kind), kind))
    found = constructs(source)
    telling = ("error_propagation", "match", "pipe", "lambda", "while", "for", "if", "struct")
    return next((name for name in telling if name in found), "function")


def _fenced(source: str) -> str:
    return f"```vox\n{source}\n```"


def _listed(names: Mapping[str, str]) -> str:
    return "\n".join(f"- `{old}` becomes `{new}`" for old, new in names.items())


# Consistent renaming into another domain.

_RENAME_LEADS = (
    "Turn this Vox program into one about the {things} of {place}. Rename:",
    "We need the same code for {place}. Carry it over, with these names:",
    "Adapt the program below to {things}; everything else stays.",
    "Reuse this Vox module for {things}. The names change as follows:",
)


def renamed(source: str, names: Mapping[str, str]) -> str:
    """The source with identifiers replaced, those that strings interpolate included."""

    def token(found: re.Match[str]) -> str:
        text = found[0]
        if text.startswith('"'):
            return _HOLE.sub(lambda hole: _NAME.sub(identifier, hole[0]), text)
        return names.get(text, text)

    def identifier(found: re.Match[str]) -> str:
        return names.get(found[0], found[0])

    return _TOKEN.sub(token, source)


def new_names(live: Live, domain: Domain) -> dict[str, str]:
    """Old to new: record types, their fields by type and role, and what is named after them."""
    records = [one for one in live.declared if one.kind in _TABLE_KINDS and one.name]
    taken = {found[0] for found in _NAME.finditer(live.source)}
    names: dict[str, str] = {}
    type_names = [domain.type_name, f"{domain.type_name}Entry", f"{domain.type_name}Detail"]
    free: dict[VoxType, list[str]] = {kind: [] for kind in ROLES.values()}
    for attribute in domain.attributes:
        free[attribute.type].append(attribute.name)
    for record, type_name in zip(records, type_names, strict=False):
        names[record.name] = type_name
        for field, kind in _FIELD.findall(record.text):
            if field not in names and field not in BUILT_IN and free[kind]:
                names[field] = free[kind].pop(0)
    # Functions and variables that carry a record's name: `list_chores` follows `Chore`.
    stems = {_snake(one.name): _snake(names[one.name]) for one in records if one.name in names}
    for word in sorted(taken - set(names) - BUILT_IN):
        follower = _follow(word, stems, domain)
        if follower and follower != word:
            names[word] = follower
    if set(names.values()) & taken or len(set(names.values())) < len(names):
        return {}  # A new name means something already: this domain does not fit.
    return names


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _follow(word: str, stems: Mapping[str, str], domain: Domain) -> str | None:
    for old, new in stems.items():
        plural = domain.thing[1] if new == domain.thing[0] else f"{new}s"
        for old_form, new_form in ((f"{old}s", plural), (old, new)):
            if re.search(rf"(?:^|_){old_form}(?:_|$)", word):
                return re.sub(rf"(?<![a-z0-9]){old_form}(?![a-z0-9])", new_form, word)
            if word[:1].isupper() and camel(old_form) in word:
                return word.replace(camel(old_form), camel(new_form))
    return None


def speaks(source: str) -> bool:
    """Whether a string holds a phrase: names can be carried into another domain, phrases not."""
    literals = (found[0] for found in _TOKEN.finditer(source) if found[0].startswith('"'))
    return any(_PHRASE.search(_HOLE.sub("", literal)) for literal in literals)


def _renames(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    records = [one for one in live.declared if one.kind in _TABLE_KINDS]
    if not records or len(live.declared) < 2 or speaks(live.source):
        return
    made = 0
    for domain in rng.sample(domains, k=len(domains)):
        names = new_names(live, domain)
        # A type and at least two of its fields: less is no other domain.
        if len(names) < 3:
            continue
        lead = rng.choice(_RENAME_LEADS).format(things=domain.many, place=domain.place)
        prompt = f"{lead}\n{_listed(names)}\n\n{_fenced(live.source)}"
        answer = renamed(live.source, names)
        yield Task("rename_domain", f"as_{domain.name}", prompt, answer)
        made += 1
        if made == RENAMES:
            return


# Completing a body that was cut.

_COMPLETE_LEADS = (
    "The body of `{name}` is cut off. Write the whole function.",
    "Complete `{name}` in this Vox program and return just that declaration.",
    "Finish `{name}`, whose beginning is given.",
    "What comes after the comment in `{name}`? Answer with the complete declaration.",
)
_CUT = "    // to be completed"
#: Indented once, and not the end of a block, call or list that began above.
_STATEMENT = re.compile(r" {4}[^\s})\]]")


def _statements(body: Sequence[str]) -> list[int]:
    """Where the top-level statements of a body start: lines indented once."""
    return [place for place, line in enumerate(body) if _STATEMENT.match(line)]


def cut(declaration: str) -> str | None:
    """The declaration with its body cut after the first half of its statements, or None."""
    lines = declaration.split("\n")
    opening = next((place for place, line in enumerate(lines) if line.endswith("{")), None)
    if opening is None or lines[-1] != "}":
        return None
    body = lines[opening + 1 : -1]
    starts = _statements(body)
    if len(starts) < MIN_STATEMENTS:
        return None
    kept = body[: starts[len(starts) // 2]]
    return "\n".join([*lines[: opening + 1], *kept, _CUT, "}"])


def _mentions(prompt: str, name: str) -> str:
    """The sentences of the parent's prompt that speak of a function."""
    sentences = re.split(r"(?<=[.!?])\s+|\n{2,}", prompt)
    told = [one.strip() for one in sentences if f"`{name}" in one and "```" not in one]
    return " ".join(one for one in told if not one.startswith("Declare "))


def _completions(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    for one in live.declared:
        text = one.text
        if one.kind not in _BODIED_KINDS or len(text) > MAX_COMPLETED_SHARE * len(live.source):
            continue
        shortened = cut(text)
        if shortened is None:
            continue
        lead = rng.choice(_COMPLETE_LEADS).format(name=one.name)
        told = _mentions(live.row["prompt"], one.name)
        shown = live.source.replace(text, shortened, 1)
        prompt = "\n\n".join(part for part in (lead, told, _fenced(shown)) if part)
        yield Task("complete_body", f"body_of_{one.name}", prompt, text)


# Writing the test for a function.

_TEST_LEADS = (
    "Write the `@test` called `{name}`{label} for this Vox code.",
    "Add a test, `{name}`{label}, to the program below. Return the test alone.",
    "Which test named `{name}`{label} belongs to this code?",
    "The code below lacks its test `{name}`{label}. Write it.",
)
_LABEL = re.compile(r"@test\(\"([^\"]+)\"\)")
_PARAMETER = r"\((?P<parameter>\w+): (?P<type>str|int)\)"
_LITERAL = r"-?\d+|\"[^\"{}\n]*\"|true|false"
_MATCH_BODY = re.compile(
    rf"fn (?P<name>\w+){_PARAMETER} to (?:int|str|bool) \{{\n"
    r"    match (?P<subject>\w+) \{\n(?P<arms>(?:        [^\n]+\n)+)    \}\n\}\Z"
)
_ARM = re.compile(rf"^ +(?P<pattern>{_LITERAL}) => (?P<value>{_LITERAL})$", re.MULTILINE)
_MAX_ASSERTED = 4


def _existing_tests(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """A test that documentation shows, asked of the code that it is about."""
    tests = [one for one in live.declared if one.kind == "test"]
    rest = tidy("\n\n".join(one.text for one in live.declared if one.kind != "test"))
    if not rest:
        return
    for one in tests:
        label = _LABEL.search(one.text)
        called = f' ("{label[1]}")' if label else ""
        lead = rng.choice(_TEST_LEADS).format(name=one.name, label=called)
        told = _expectations(one.text)
        prompt = "\n\n".join(part for part in (lead, told, _fenced(rest)) if part)
        yield Task("write_test", f"test_{one.name}", prompt, one.text)


def _expectations(test: str) -> str:
    """What the test asserts, said in the prompt so that its values need no guessing."""
    asserted = re.findall(r"assert\((.+)\)$", test, re.MULTILINE)
    return "It asserts " + ", ".join(f"`{one}`" for one in asserted) + "." if asserted else ""


def _table_tests(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Assertions that can be read off a `match` on literals without running anything."""
    for one in live.declared:
        found = _MATCH_BODY.search(one.text) if one.kind == "function" else None
        if found is None or found["parameter"] != found["subject"]:
            continue
        known = [(arm["pattern"], arm["value"]) for arm in _ARM.finditer(found["arms"])]
        if len(known) < 2:
            continue
        chosen = known if len(known) <= _MAX_ASSERTED else rng.sample(known, k=_MAX_ASSERTED)
        name = f"{one.name}_for_known_values"
        inputs = ", ".join(f"`{value}`" for value, _ in chosen)
        lead = rng.choice(_TEST_LEADS).format(name=name, label="")
        asserted = "\n".join(f"    assert({one.name}({given}) is {want})" for given, want in chosen)
        prompt = (
            f"{lead} It checks `{one.name}` for {inputs}, in this order.\n\n{_fenced(one.text)}"
        )
        answer = f"@test\nfn {name}() to Unit {{\n{asserted}\n}}"
        yield Task("write_test", f"test_{name}", prompt, answer)


# Adding a field through table, endpoint and view.

_EXTEND_LEADS = (
    "Add the field `{field}: {kind}` to `{table}` and carry it through the whole program.",
    "`{table}` needs one more column, `{field}: {kind}`. Change everything that it touches.",
    "Extend this Vox program: each `{table}` also has `{field}: {kind}`.",
    "We now record `{field}: {kind}` for every `{table}`. Update the code below.",
)


@dataclass(frozen=True)
class _Change:
    source: str
    done: tuple[str, ...]


def with_field(live: Live, table: Declaration, field: str, kind: str) -> _Change | None:
    """The program with one more field, or None where no endpoint inserts into the table."""
    done = [f"the table `{table.name}` gets it as its last field"]
    source = live.source.replace(table.text, _with_last_field(table.text, field, kind), 1)
    insert = re.compile(rf"db\.{table.name}\.insert\(\{{ (?P<inside>[^{{}}]+) \}}\)")
    inserted = False
    for one in live.declared:
        if one.kind not in _BODIED_KINDS or not insert.search(one.text):
            continue
        signature = re.search(r"fn \w+\((?P<params>[^()\n]*)\)", one.text)
        if signature is None or re.search(rf"\b{field}\b", one.text):
            return None
        separator = ", " if signature["params"] else ""
        head = one.text[: signature.end("params")]
        tail = one.text[signature.end("params") :]
        text = f"{head}{separator}{field}: {kind}{tail}"
        text = insert.sub(lambda found: found[0][:-3] + f", {field}: {field} }})", text)
        source = source.replace(one.text, text, 1)
        done.append(f"`{one.name}` takes it as its last parameter and stores it")
        inserted = True
    if not inserted:
        return None
    shown = _with_text(source, live, table, field)
    if shown != source:
        done.append("the view shows it after the first text of each entry")
    return _Change(shown, tuple(done))


def _with_last_field(text: str, field: str, kind: str) -> str:
    """Commas or newlines separate fields; the new one follows the habit of the last."""
    head, _, _ = text.rpartition("\n}")
    comma = "," if head.endswith(",") else ""
    return f"{head}\n    {field}: {kind}{comma}\n}}"


def _with_text(source: str, live: Live, table: Declaration, field: str) -> str:
    """A further text in each loop of a component over a list of the table's records."""
    for one in live.declared:
        listed = re.search(rf"(\w+): (?:list|List)\[{table.name}\]", one.text)
        if one.kind != "component" or listed is None:
            continue
        loop = re.search(
            rf"for (?P<each>\w+) in {listed[1]}\b[^\n]*\{{\n(?P<inside>(?:[^\n]*\n)*?)"
            r"(?P<indent> +)text\(\) \{ (?P=each)\.\w+ \}\n",
            one.text,
        )
        if loop:
            line = f"{loop['indent']}text() {{ {loop['each']}.{field} }}\n"
            text = one.text[: loop.end()] + line + one.text[loop.end() :]
            source = source.replace(one.text, text, 1)
    return source


def _extensions(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    made = 0
    for table in (one for one in live.declared if one.kind == "table"):
        for domain in rng.sample(domains, k=len(domains)):
            attribute = rng.choice(domain.attributes)
            # A call from elsewhere in the program would lack the new argument.
            change = with_field(live, table, attribute.name, attribute.type)
            if change is None or _is_called_inside(live, table):
                break
            lead = rng.choice(_EXTEND_LEADS).format(
                field=attribute.name, kind=attribute.type, table=table.name
            )
            steps = "\n".join(f"- {step}" for step in change.done)
            yield Task(
                "extend_program",
                f"with_{attribute.name}",
                f"{lead}\n{steps}\n\n{_fenced(live.source)}",
                change.source,
            )
            made += 1
            if made == EXTENSIONS:
                return


def _is_called_inside(live: Live, table: Declaration) -> bool:
    inserting = {one.name for one in live.declared if f"db.{table.name}.insert(" in one.text}
    return any(one.references & (inserting - {one.name}) for one in live.declared)


_MAKERS: tuple[Callable[[Live, Sequence[Domain], random.Random], Iterable[Task]], ...] = (
    _renames,
    _completions,
    _existing_tests,
    _table_tests,
    _extensions,
)
