"""What may be asked about a live program: rename it, finish a body, extend it, test it.

Each maker reads a program and yields tasks with their answers. What a program contains is asked of
`vox_syntax`, what it computes of `evaluate`; how the request is worded belongs here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vox_assets.synthesize.vox.lexicon import RESERVED, ROLES, Domain, VoxType, camel, plural
from vox_assets.synthesize.vox.templates import tidy
from vox_assets.vox_syntax import Declaration
from vox_assets.vox_syntax.interpreter import FailedError, Program, UnknownError, Variant

#: Domains that one live program is renamed into.
RENAMES = 4
#: A body with fewer statements leaves nothing to complete.
MIN_STATEMENTS = 2
#: Above this share of the program, completing a body is writing the parent once more.
MAX_COMPLETED_SHARE = 0.7
#: Fields that a program is extended by, one row each.
EXTENSIONS = 3
#: About 600 tokens: a longer program leaves no room for the answer in a 1,024-token context.
MAX_SHOWN_CHARS = 2_200
#: Calls that a written test asserts on.
MAX_ASSERTED = 4

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
_SIGNATURE = re.compile(r"fn (?P<name>\w+)\((?P<params>[^()\n]*)\)")
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
    """A live program, the first row that shows it, and the ids of all that do."""

    row: Mapping[str, Any]
    parents: tuple[str, ...]
    source: str
    declared: tuple[Declaration, ...]

    def around(self, one: Declaration) -> str:
        """The declaration with all that it refers to, directly or not, in source order."""
        wanted = {one.name}
        while True:
            wider = wanted | {
                other.name
                for other in self.declared
                for named in self.declared
                if named.name in wanted and other.name and other.name in named.references
            }
            if wider == wanted:
                return tidy(
                    "\n\n".join(
                        each.text for each in self.declared if each is one or each.name in wanted
                    )
                )
            wanted = wider


@dataclass(frozen=True)
class Task:
    """What may be asked about a live program, and the answer."""

    family: str
    #: Names the task among those of its parent.
    label: str
    #: Ways to begin the request, and what follows any of them.
    leads: tuple[str, ...]
    details: str
    answer: str

    def prompt(self, lead: str) -> str:
        return f"{lead}{self.details}"


def tasks(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Everything that may be asked about the program."""
    for maker in _MAKERS:
        yield from maker(live, domains, rng)


def _fenced(source: str) -> str:
    return f"```vox\n{source}\n```"


def _paragraphs(*parts: str) -> str:
    """The parts that say something, each set off from what stands before it."""
    return "".join(f"\n\n{part}" for part in parts if part)


def _leads(forms: Iterable[str], **names: str) -> tuple[str, ...]:
    return tuple(form.format(**names) for form in forms)


# Consistent renaming into another domain.

_RENAME_LEADS = (
    "Turn this Vox program into one about the {things} of {place}. Rename:",
    "We need the same Vox code for {place}. Carry it over, with these names:",
    "Adapt the Vox program below to {things}. Only these names change:",
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


def new_names(source: str, declared: Iterable[Declaration], domain: Domain) -> dict[str, str]:
    """Old to new: record types, their fields by type and role, and what is named after them.

    Empty where a new name means something in the source already.
    """
    names: dict[str, str] = {}
    stems: dict[str, str] = {}
    type_names = [domain.type_name, f"{domain.type_name}Entry", f"{domain.type_name}Detail"]
    free: dict[VoxType, list[str]] = {kind: [] for kind in ROLES.values()}
    for attribute in domain.attributes:
        free[attribute.type].append(attribute.name)
    records = [one for one in declared if one.kind in _TABLE_KINDS and one.name in source]
    for record, type_name in zip(records, type_names, strict=False):
        names[record.name] = type_name
        old, new = _snake(record.name), _snake(type_name)
        stems[plural(old)] = domain.thing[1] if new == domain.thing[0] else plural(new)
        stems[old] = new
        for field, kind in _FIELD.findall(record.text):
            if field not in names and field not in BUILT_IN and free[kind]:
                names[field] = stems[field] = free[kind].pop(0)
    # Functions and variables that carry a name: `list_chores` follows `Chore`.
    taken = {found[0] for found in _NAME.finditer(source)}
    for word in sorted(taken - set(names) - BUILT_IN):
        follower = _follow(word, stems)
        if follower != word:
            names[word] = follower
    if set(names.values()) & taken or len(set(names.values())) < len(names):
        return {}
    return names


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _follow(word: str, stems: Mapping[str, str]) -> str:
    """The word with each old stem in it replaced; `ChoreBoard` has the stem of `chore` too."""
    for old, new in stems.items():
        word = re.sub(rf"(?<![A-Za-z0-9]){old}(?![A-Za-z0-9])", new, word)
        word = re.sub(rf"(?<![A-Z]){camel(old)}(?![a-z0-9])", camel(new), word)
    return word


def speaks(source: str) -> bool:
    """Whether a string holds a phrase: names can be carried into another domain, phrases not."""
    literals = (found[0] for found in _TOKEN.finditer(source) if found[0].startswith('"'))
    return any(_PHRASE.search(_HOLE.sub("", literal)) for literal in literals)


def _may_move(part: str, live: Live) -> bool:
    """Whether a part of a program is more than a type, short, and free of phrases."""
    held = sum(one.text in part for one in live.declared)
    return held > 1 and len(part) <= MAX_SHOWN_CHARS and not speaks(part)


def _renames(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    parts = dict.fromkeys([live.source, *(live.around(one) for one in live.declared)])
    source = next((part for part in parts if _may_move(part, live)), "")
    made = 0
    for domain in rng.sample(domains, k=len(domains)):
        names = new_names(source, live.declared, domain)
        # A type and at least two names besides: less is no other domain.
        if len(names) < 3:
            continue
        listed = "\n".join(f"- `{old}` becomes `{new}`" for old, new in names.items())
        yield Task(
            "rename_domain",
            f"as_{domain.name}",
            _leads(_RENAME_LEADS, things=domain.many, place=domain.the_place),
            f"\n{listed}\n\n{_fenced(source)}",
            renamed(source, names),
        )
        made += 1
        if made == RENAMES:
            return


# Completing a body that was cut.

_COMPLETE_LEADS = (
    "The body of `{name}` is cut off. Write the whole function.",
    "Complete `{name}` in this Vox program and return just that declaration.",
    "Finish `{name}`, whose beginning is given.",
    "What comes after the comment in `{name}`? Answer with the complete declaration.",
    "I stopped in the middle of `{name}`. Please go on, and return all of it.",
    "Given the rest of this Vox program, how does `{name}` end?",
    "Only the first lines of `{name}` were saved. Restore the declaration.",
)
_RESULT = re.compile(r"^[^{]*\bfn \w+\([^{]*\) (?:uses [^{]+ )?to (?!Unit\b)", re.MULTILINE)
_CUT = "    // to be completed"
#: Indented once, and not the end of a block, call or list that began above.
_STATEMENT = re.compile(r" {4}[^\s})\]]")
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)+"|(?<![\w.])\d{2,}(?![\w.])')


def cut(declaration: str) -> tuple[str, str] | None:
    """The declaration with the second half of its statements cut, and that half; else None."""
    lines = declaration.split("\n")
    opening = next((place for place, line in enumerate(lines) if line.endswith("{")), None)
    if opening is None or lines[-1] != "}":
        return None
    body = lines[opening + 1 : -1]
    starts = [place for place, line in enumerate(body) if _STATEMENT.match(line)]
    if len(starts) < MIN_STATEMENTS:
        return None
    half = starts[len(starts) // 2]
    kept = [*lines[: opening + 1], *body[:half], _CUT, "}"]
    return "\n".join(kept), "\n".join(body[half:])


def _mentions(prompt: str, name: str) -> str:
    """The sentences of the parent's prompt that speak of a function."""
    sentences = re.split(r"(?<=[.!?])\s+|\n{2,}", prompt)
    told = [one.strip() for one in sentences if f"`{name}" in one and "```" not in one]
    return " ".join(one for one in told if not re.match(r"Declare\b|#", one))


def _needed(missing: str, shown: str) -> str:
    """The texts and larger numbers of the missing part, which nobody could guess."""
    texts = [one for one in dict.fromkeys(_CONSTANT.findall(missing)) if one not in shown]
    if not texts:
        return ""
    return f"The missing part uses {', '.join(f'`{one}`' for one in texts)}."


def _completions(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    for one in live.declared:
        text = one.text
        if one.kind not in _BODIED_KINDS or len(text) > MAX_COMPLETED_SHARE * len(live.source):
            continue
        # What a function without a result does next, its beginning does not tell.
        if not _RESULT.search(text):
            continue
        found = cut(text)
        around = live.around(one)
        if found is None or len(around) > MAX_SHOWN_CHARS:
            continue
        shortened, missing = found
        shown = around.replace(text, shortened, 1)
        told = _mentions(live.row["prompt"], one.name)
        details = _paragraphs(told, _needed(missing, shown), _fenced(shown))
        leads = _leads(_COMPLETE_LEADS, name=one.name)
        yield Task("complete_body", f"body_of_{one.name}", leads, details, text)


# Writing the test for a function.

_TEST_LEADS = (
    "Write the `@test` called `{name}`{label} for this Vox code.",
    "Add a test, `{name}`{label}, to the program below. Return the test alone.",
    "Which test named `{name}`{label} belongs to this Vox code?",
    "The code below lacks its test `{name}`{label}. Write it in Vox.",
    "How do we know that this works? As a Vox test named `{name}`{label}, please.",
    "Before we change anything here, pin its behaviour down: `@test`, `{name}`{label}.",
    "Somebody reviews this Vox program and asks for a test. Name: `{name}`{label}.",
    "Prove what the following code does. Answer with one `@test` function, `{name}`{label}.",
)
_LABEL = re.compile(r"@test\(\"([^\"]+)\"\)")
_PARAMETER = re.compile(r"(\w+): ([\w\[\], ]+?)(?: = [^,]+)?(?:, (?=\w+:)|$)")
_NUMBER = re.compile(r"(?<![\w.\"])\d+(?![\w.])")
_COMPARED = re.compile(r'(?:is|isnt|==|!=) ("[^"{}\n]*")|("[^"{}\n]*") =>')
#: Names of people and things, where the code compares with no text of its own.
_ORDINARY_TEXTS = ('"north"', '"Ada"')


def _existing_tests(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """A test that documentation shows, asked of the code that it is about."""
    tests = [one for one in live.declared if one.kind == "test"]
    rest = tidy("\n\n".join(one.text for one in live.declared if one.kind != "test"))
    if not rest or len(rest) > MAX_SHOWN_CHARS:
        return
    for one in tests:
        label = _LABEL.search(one.text)
        called = f' ("{label[1]}")' if label else ""
        leads = _leads(_TEST_LEADS, name=one.name, label=called)
        details = _paragraphs(_expectations(one.text), _fenced(rest))
        yield Task("write_test", f"test_{one.name}", leads, details, one.text)


def _expectations(test: str) -> str:
    """What the test asserts, said in the prompt so that its values need no guessing."""
    asserted = re.findall(r"assert\((.+)\)$", test, re.MULTILINE)
    return "It asserts " + ", ".join(f"`{one}`" for one in asserted) + "." if asserted else ""


def _written_tests(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Tests of functions whose results can be computed here, on inputs near their constants."""
    program = Program(live.source)
    for one in live.declared:
        if one.kind not in ("function", "mcp_tool"):
            continue
        asserted = _assertions(one, live, program)
        around = live.around(one)
        if not asserted or len(around) > MAX_SHOWN_CHARS:
            continue
        name = f"{one.name}_is_right"
        calls = ", ".join(f"`{call}`" for call in asserted)
        lines = "\n".join(f"    assert({claim})" for claim in asserted.values())
        yield Task(
            "write_test",
            f"test_{name}",
            _leads(_TEST_LEADS, name=name, label=""),
            f" It checks {calls}, in this order.\n\n{_fenced(around)}",
            f"@test\nfn {name}() to Unit {{\n{lines}\n}}",
        )


def _assertions(one: Declaration, live: Live, program: Program) -> dict[str, str]:
    """Calls of a function and what holds of each; calls of unknown outcome are left out.

    Empty where the result does not depend on the input: such a test would say nothing.
    """
    signature = _SIGNATURE.search(one.text)
    if signature is None or not signature["params"]:
        return {}
    kinds = [kind for _, kind in _PARAMETER.findall(signature["params"])]
    choices = [_inputs(kind, live.around(one), live) for kind in kinds]
    if not all(choices):
        return {}
    claims: dict[str, str] = {}
    outcomes = set()
    for lap in range(max(map(len, choices))):
        # Uneven strides, so that two parameters of one type are not always equal.
        given = [
            values[(lap + lap // len(values) + place) % len(values)]
            for place, values in enumerate(choices)
        ]
        call = f"{one.name}({', '.join(given)})"
        try:
            claim = _claim(call, program.value(call))
        except (UnknownError, FailedError):
            continue
        if claim is not None and len(claims) < MAX_ASSERTED:
            claims[call] = claim
            outcomes.add(claim.replace(call, ""))
    return claims if len(outcomes) > 1 else {}


def _inputs(kind: str, code: str, live: Live) -> list[str]:
    """Values of a type as Vox, those at which the code decides first; empty for unknown types."""
    match kind:
        case "int":
            known = sorted({int(number) for number in _NUMBER.findall(code)})
            near = [number + step for number in known for step in (0, 1)]
            return [str(number) for number in dict.fromkeys([*near, 0, 4, 9])]
        case "str":
            compared = [first or second for first, second in _COMPARED.findall(code)]
            return list(dict.fromkeys([*compared, *_ORDINARY_TEXTS]))
        case "bool":
            return ["true", "false"]
        case "list[int]" | "List[int]":
            return ["[3, 1, 2]", "[]"]
        case "list[str]" | "List[str]":
            return ['["north", "south"]', "[]"]
    declared = next((one for one in live.declared if (one.kind, one.name) == ("adt", kind)), None)
    return _variants(declared.text) if declared else []


def _variants(declaration: str) -> list[str]:
    """A value for each variant whose payload is texts and numbers."""
    values = []
    for name, payload in re.findall(r"\| (\w+)(?:\(([^()]*)\))?", declaration):
        kinds = [part.partition(":")[2].strip() for part in payload.split(",") if part]
        if all(kind in ("int", "str") for kind in kinds):
            given = ", ".join("4" if kind == "int" else '"north"' for kind in kinds)
            values.append(f"{name}({given})" if given else name)
    return values


def _claim(call: str, value: Any) -> str | None:
    """What a test may assert of the call, or None for values that Vox does not compare simply."""
    match value:
        case True:
            return call
        case False:
            return f"not {call}"
        case int():
            return f"{call} is {value}" if value >= 0 else None
        case str() if not re.search(r"[\\\"\n{}]", value):
            return f'{call} is "{value}"'
        case Variant("Ok"):
            return f"{call}.is_ok()"
        case Variant("Error"):
            return f"{call}.is_err()"
        case Variant("Some"):
            return f"{call}.is_some()"
        case Variant("None"):
            return f"{call}.is_none()"
    return None


# Adding a field through table, endpoint and view.

_EXTEND_LEADS = (
    "Add the field `{field}: {kind}` to `{table}` and carry it through the whole Vox program.",
    "`{table}` needs one more column, `{field}: {kind}`. Change everything that it touches.",
    "Extend this Vox program: each `{table}` also has `{field}: {kind}`.",
    "We now record `{field}: {kind}` for every `{table}`. Update the Vox code below.",
)
#: Fields that records of any kind may have.
_EXTRA_FIELDS = (
    ("note", "str"),
    ("created_by", "str"),
    ("priority", "int"),
    ("archived", "bool"),
    ("updated_day", "int"),
    ("reference", "str"),
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
        signature = _SIGNATURE.search(one.text)
        if signature is None:
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
    if len(live.source) > MAX_SHOWN_CHARS:
        return
    words = set(_NAME.findall(live.source))
    unused = [(field, kind) for field, kind in _EXTRA_FIELDS if field not in words]
    for table in (one for one in live.declared if one.kind == "table"):
        # A call from elsewhere in the program would lack the new argument.
        if _is_called_inside(live, table):
            continue
        for field, kind in rng.sample(unused, k=min(EXTENSIONS, len(unused))):
            change = with_field(live, table, field, kind)
            if change is None:
                break
            leads = _leads(_EXTEND_LEADS, field=field, kind=kind, table=table.name)
            steps = "\n".join(f"- {step}" for step in change.done)
            details = f"\n{steps}\n\n{_fenced(live.source)}"
            label = f"{table.name}_with_{field}"
            yield Task("extend_program", label, leads, details, change.source)


def _is_called_inside(live: Live, table: Declaration) -> bool:
    inserting = {one.name for one in live.declared if f"db.{table.name}.insert(" in one.text}
    return any(one.references & (inserting - {one.name}) for one in live.declared)


_MAKERS: tuple[Callable[[Live, Sequence[Domain], random.Random], Iterable[Task]], ...] = (
    _renames,
    _completions,
    _existing_tests,
    _written_tests,
    _extensions,
)
