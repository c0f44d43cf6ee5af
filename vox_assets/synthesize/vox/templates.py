"""Reads the template files and renders a variant in a domain.

A template file holds the variants of a construct. Its syntax is Jinja2 with delimiters that Vox
does not use: `<< name >>` for a value, `%%` at the start of a line for a statement, `<# .. #>` for
a comment. A variant reads

    === total (level 1)
    goal: add up the << count.words >> of all << things >>
    why: I can plan the van
    - `<< fn >>(<< es >>: list[<< E >>]) to int` returns the sum
    ~~~
    fn << fn >>(...) ..

with several `goal:` lines as alternative wordings, and facts (`- `) that together describe the
program completely. In goals and facts `[[returns|gives back]]` is replaced by either of its parts.
`instructions` words the instruction from goals and facts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from vox_assets.synthesize.shared import enumerated
from vox_assets.synthesize.vox.lexicon import Attribute, Domain, Flag, State, article, camel, plural

TEMPLATE_DIR = Path(__file__).with_name("templates")
#: Prefix of the source path that names the template file in a row.
SOURCE_PREFIX = "synthesize/templates/"

_HEADING = re.compile(r"^=== (?P<name>\w+) \(level (?P<level>[123])\)$", re.MULTILINE)
_ALTERNATIVES = re.compile(r"\[\[([^\[\]]*\|[^\[\]]*)\]\]")
_CODE_MARK = "~~~"

#: Reasons for a failure, for the bad end of a domain or an error message.
REASONS = ("no answer", "wrong label", "heavy rain", "power cut", "late notice", "wrong size")


class TemplateError(ValueError):
    """A template file does not follow the layout or cannot be rendered."""


@dataclass(frozen=True)
class Variant:
    """A program template for a construct, not yet rendered in a domain."""

    construct: str
    name: str
    level: int
    body: str
    source_path: str
    start_line: int
    end_line: int


@dataclass(frozen=True)
class Rendered:
    """A variant in a domain: the material for instructions, and the answer."""

    variant: Variant
    domain: Domain
    goals: tuple[str, ...]
    why: str
    facts: tuple[str, ...]
    source: str


class Names:
    """The variables of a template: short names of a domain, and random choices by a seed."""

    def __init__(self, domain: Domain, rng: random.Random) -> None:
        self.domain = domain
        self.rng = rng

    def pick(self, *options: Any) -> Any:
        """Choose an option."""
        return self.rng.choice(options)

    def number(self, low: int, high: int, step: int = 1) -> int:
        """Choose an integer within the bounds."""
        return self.rng.randrange(low, high + 1, step)

    def fields(self, *needed: Attribute | Flag, extra: int = 0) -> list[Attribute | Flag]:
        """Choose the needed fields and up to `extra` others, in random order."""
        others = [item for item in self.domain.attributes if item not in needed]
        chosen = [*needed, *self.rng.sample(others, k=min(extra, len(others)))]
        if self.rng.random() < 0.5:
            return sorted(chosen, key=list(self.domain.attributes).index)
        head, tail = chosen[0], chosen[1:]
        self.rng.shuffle(tail)
        return [head, *tail]

    def context(self) -> dict[str, Any]:
        domain = self.domain
        item, many = domain.thing
        kind = domain.type_name
        return {
            "d": domain,
            "E": kind,
            "Es": camel(many),
            "e": item,
            "es": many,
            "thing": domain.one,
            "things": domain.many,
            "a_thing": article(domain.one),
            "the_place": domain.the_place,
            "sign": domain.sign,
            "keeper": domain.keeper,
            "a_keeper": article(domain.keeper),
            **{attribute.role: attribute for attribute in domain.attributes},
            "add_fn": f"{domain.verbs.add}_{item}",
            "add_words": f"{domain.verbs.add.replace('_', ' ')} {article(domain.one)}",
            "close_words": f"{domain.verbs.close.replace('_', ' ')} {article(domain.one)}",
            "states": domain.states,
            "events": domain.events,
            "S": f"{kind}State",
            "M": f"{kind}Life",
            "pick": self.pick,
            "number": self.number,
            "fields": self.fields,
            "declare": declare,
            "listing": listing,
            "params": params,
            "record": record,
            "value": self.state_value,
            "a": article,
            "plural": plural,
            "camel": camel,
            "reason": self.rng.choice(REASONS),
        }

    def state_value(self, state: State, index: int = 0) -> str:
        """Write the state as a Vox expression, with payloads that suit their names."""
        parts = []
        known = {item.name: item for item in self.domain.attributes}
        for position, part in enumerate(state.payload):
            attribute = known.get(part.name)
            if isinstance(attribute, Attribute) and attribute.type == part.type:
                parts.append(attribute.literal(index))
            elif part.name == "reason":
                parts.append(f'"{REASONS[index % len(REASONS)]}"')
            elif part.type == "str":
                parts.append(self.domain.person.literal(index))
            else:
                parts.append(str(3 + 4 * index + position))
        return f"{state.name}({', '.join(parts)})" if parts else state.name


def declare(opening: str, fields: list[Attribute | Flag]) -> str:
    """Write `type Loan { .. }` with a field per line; `opening` is the text before the brace."""
    lines = "\n".join(f"    {item.name}: {item.type}" for item in fields)
    return f"{opening} {{\n{lines}\n}}"


def listing(fields: list[Attribute | Flag]) -> str:
    """List fields for an instruction: "`title: str` and `pages: int`"."""
    return enumerated([f"`{item.name}: {item.type}`" for item in fields])


def params(fields: list[Attribute | Flag]) -> str:
    """Write fields as a parameter list."""
    return ", ".join(f"{item.name}: {item.type}" for item in fields)


def record(fields: list[Attribute | Flag], index: int, **given: object) -> str:
    """Write a record literal with example values; `given` sets the value of a role."""
    parts = (f"{item.name}: {given.get(item.role, item.literal(index))}" for item in fields)
    return "{ " + ", ".join(parts) + " }"


def shorthand(fields: list[Attribute | Flag]) -> str:
    """Write the fields of a record literal that takes them from variables of the same names."""
    return ", ".join(f"{item.name}: {item.name}" for item in fields)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        line_statement_prefix="%%",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters["shorthand"] = shorthand
    return environment


_ENVIRONMENT = _environment()


@cache
def _compiled(body: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(body)


def split(text: str, construct: str, source_path: str) -> list[Variant]:
    """Split a template file into its variants, with their line numbers."""
    headings = list(_HEADING.finditer(text))
    if not headings:
        raise TemplateError(f"{source_path}: expected a line like '=== name (level 1)'")
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    variants = []
    for heading, end in zip(headings, ends, strict=True):
        body = text[heading.end() : end]
        start_line = text.count("\n", 0, heading.start()) + 1
        variants.append(
            Variant(
                construct=construct,
                name=heading["name"],
                level=int(heading["level"]),
                body=body,
                source_path=source_path,
                start_line=start_line,
                end_line=start_line + body.rstrip().count("\n"),
            )
        )
    return variants


@cache
def load(folder: Path = TEMPLATE_DIR) -> tuple[Variant, ...]:
    """Load every variant of every construct, in the order of file names."""
    return tuple(
        variant
        for path in sorted(folder.glob("*.vox.j2"))
        for variant in split(
            path.read_text(encoding="utf-8"),
            path.name.removesuffix(".vox.j2"),
            SOURCE_PREFIX + path.name,
        )
    )


def alternatives(text: str, rng: random.Random) -> str:
    """Replace every `[[this|that]]` by one of its parts."""
    return _ALTERNATIVES.sub(lambda match: rng.choice(match[1].split("|")), text)


def render_text(variant: Variant, domain: Domain, rng: random.Random) -> str:
    """Render the body of a variant in a domain; the same seed makes the same choices.

    Raises TemplateError that names the file and the variant.
    """
    try:
        return _compiled(variant.body).render(Names(domain, rng).context())
    except jinja2.TemplateError as error:
        raise TemplateError(f"{variant.source_path}: {variant.name}: {error}") from error


def render(variant: Variant, domain: Domain, rng: random.Random) -> Rendered:
    """Render a variant in a domain.

    Raises TemplateError when the variant does not follow the layout.
    """
    text = render_text(variant, domain, rng)
    head, mark, source = text.partition(f"\n{_CODE_MARK}\n")
    lines = [alternatives(line, rng) for line in head.splitlines() if line.strip()]
    goals = tuple(_after("goal: ", lines))
    whys = tuple(_after("why: ", lines))
    if not mark or not goals or len(whys) != 1:
        raise TemplateError(f"{variant.source_path}: {variant.name}: needs goal:, why: and ~~~")
    return Rendered(
        variant=variant,
        domain=domain,
        goals=goals,
        why=whys[0],
        facts=tuple(_after("- ", lines)),
        source=tidy(source),
    )


def _after(prefix: str, lines: list[str]) -> Iterator[str]:
    return (line.removeprefix(prefix).strip() for line in lines if line.startswith(prefix))


#: Start of a top-level declaration or decorator; a style belongs to the component above it.
_TOP_LEVEL = re.compile(r"(?!style \{)[@A-Za-z]")


def tidy(source: str) -> str:
    """Remove trailing and surrounding blanks, and put a blank line after each top-level block."""
    lines: list[str] = []
    for line in map(str.rstrip, source.strip().splitlines()):
        above = lines[-1] if lines else ""
        if not line and not above:
            continue
        if _TOP_LEVEL.match(line) and (above.startswith("    ") or above == "}"):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
