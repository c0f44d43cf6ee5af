"""The domain lexicon: the subjects of synthetic programs.

A domain is a small world (a town library, a tide office) described in fixed roles, so that every
template can be rendered in every domain and still make sense. The domains are YAML files in
`lexicon/`; this module validates their entries and refuses an entry that would not compile as Vox.
`templates` renders programs from domains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vox_assets.vox_syntax import lexer

LEXICON_DIR = Path(__file__).with_name("lexicon")

VoxType = Literal["str", "int", "dec", "bool"]

#: The fields that every domain has, each with a fixed meaning that templates rely on.
ROLES: dict[str, VoxType] = {
    "key": "str",  # names a thing
    "group": "str",  # a category that several things share
    "person": "str",  # a person involved with it
    "count": "int",  # an amount that may be added up
    "grade": "int",  # a level that may be compared, not added up
    "price": "dec",  # money for a thing
    "flag": "bool",  # a property that a thing has or lacks
}

# Words that names must not use: the reserved words of the grammar and, for readability, words that
# start a declaration or name something built in.
RESERVED = (
    lexer.RESERVED
    | lexer.HALF_RESERVED
    | frozenset(
        "routes url form field label style tokens int float str bool list len range print assert "
        "db std test".split()
    )
)

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_VARIANT = re.compile(r"(?P<name>[A-Z]\w*)(?:\((?P<payload>[^)]*)\))?")
_VOWEL_SOUND = re.compile(r"(?!(?:uni|use|one|ewe|eu))[aeiou]", re.IGNORECASE)


class LexiconError(ValueError):
    """A lexicon file is unreadable or holds an invalid domain."""


class Entry(BaseModel):
    """A part of a domain: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _identifier(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is not a snake_case name")
    if name in RESERVED:
        raise ValueError(f"{name!r} is a reserved word")
    return name


class Attribute(Entry):
    """A typed field of the domain's entity, in a role."""

    name: Annotated[str, Field(min_length=2)]
    #: Its name in a sentence, without an article, as in "the {words} of a loan".
    words: str
    #: Three plausible values; the last value of a number is above its limit.
    examples: tuple[str, str, str]
    unit: str = ""
    limit: int = 0
    role: str = ""

    _name = field_validator("name")(_identifier)

    @field_validator("examples", mode="before")
    @classmethod
    def _as_text(cls, values: list[object]) -> tuple[str, ...]:
        return tuple(str(value) for value in values)

    @property
    def type(self) -> VoxType:
        return ROLES[self.role]

    def literal(self, index: int) -> str:
        """Return example number `index` as Vox source."""
        value = self.examples[index % len(self.examples)]
        match self.type:
            case "str":
                return f'"{value}"'
            case "dec":
                return f"{value}dec"
            case _:
                return value


class Flag(Entry):
    """The boolean field, with a word for each of its values."""

    name: Annotated[str, Field(min_length=2)]
    holds: str
    fails: str
    role: str = "flag"

    _name = field_validator("name")(_identifier)

    @property
    def words(self) -> str:
        return f"whether it is {self.holds}"

    @property
    def type(self) -> VoxType:
        return "bool"

    def literal(self, index: int) -> str:
        return "false" if index % 2 else "true"


class Payload(Entry):
    """A named payload of a state."""

    name: str
    type: Literal["str", "int"]

    _name = field_validator("name")(_identifier)


class State(Entry):
    """A state in the life of the entity; its phrase `says` may name the payload in braces."""

    name: str
    payload: tuple[Payload, ...]
    says: str

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: object) -> object:
        """Read `[Lent(borrower: str), "lent to {borrower}"]`."""
        if not (isinstance(value, list) and len(value) == 2):
            raise ValueError("a state is a pair: [Name(field: type), phrase]")
        match = _VARIANT.fullmatch(value[0])
        if not match:
            raise ValueError(f"{value[0]!r} is not Name or Name(field: type)")
        parts = [part.split(":") for part in (match["payload"] or "").split(",") if part]
        payload = [{"name": name.strip(), "type": kind.strip()} for name, kind in parts]
        return {"name": match["name"], "payload": payload, "says": value[1]}

    @model_validator(mode="after")
    def _phrase_names_only_its_payload(self) -> State:
        named = set(re.findall(r"\{(\w+)\}", self.says))
        if not named <= {part.name for part in self.payload}:
            raise ValueError(f"{self.name}: {self.says!r} names a payload that it does not carry")
        return self

    @property
    def declared(self) -> str:
        """`Lent(borrower: str)`, as a type or a state machine declares it."""
        inner = ", ".join(f"{part.name}: {part.type}" for part in self.payload)
        return f"{self.name}({inner})" if inner else self.name

    @property
    def bound(self) -> str:
        """`Lent(borrower)`, as a pattern or a transition binds it."""
        inner = ", ".join(part.name for part in self.payload)
        return f"{self.name}({inner})" if inner else self.name


class Verbs(Entry):
    """Verbs for an entity; a verb followed by the noun is a function name."""

    add: Annotated[str, Field(pattern=_IDENTIFIER.pattern)]
    close: Annotated[str, Field(pattern=_IDENTIFIER.pattern)]


class Domain(Entry):
    """A small world that programs are about."""

    name: str
    #: With its article: "a town library".
    place: Annotated[str, Field(pattern=r"^an? ")]
    keeper: str
    #: The entity in the singular and the plural, in snake_case.
    thing: tuple[str, str]
    key: Attribute
    group: Attribute
    person: Attribute
    count: Attribute
    grade: Attribute
    price: Attribute
    flag: Flag
    verbs: Verbs
    #: A start, two states on the way, a good end and a bad end.
    states: tuple[State, State, State, State, State]
    #: Events that lead to the second, third and fourth state, and from any state to the last.
    events: tuple[str, str, str, str]

    @model_validator(mode="before")
    @classmethod
    def _roles(cls, value: dict[str, object]) -> dict[str, object]:
        for role in ROLES:
            entry = value.get(role)
            if isinstance(entry, dict):
                entry["role"] = role
        return value

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Domain:
        names = [field.name for field in self.attributes] + list(self.thing)
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise ValueError(f"names used more than once: {', '.join(sorted(repeated))}")
        for noun in self.thing:
            _identifier(noun)
        variants = [state.name for state in self.states]
        if len(set(variants)) != len(variants) or self.type_name in variants:
            raise ValueError("state names repeat each other or the entity")
        return self

    @model_validator(mode="after")
    def _count_has_an_example_above_its_limit(self) -> Domain:
        if not 0 < self.count.limit < max(map(int, self.count.examples)):
            raise ValueError("count: needs a limit, and an example above it")
        return self

    @property
    def attributes(self) -> tuple[Attribute | Flag, ...]:
        return tuple(getattr(self, role) for role in ROLES)

    @property
    def type_name(self) -> str:
        return camel(self.thing[0])

    @property
    def the_place(self) -> str:
        """`the town library`, where `place` is `a town library`."""
        return f"the {self._place_name}"

    @property
    def sign(self) -> str:
        """`Town library`, as a heading names the place."""
        return self._place_name[:1].upper() + self._place_name[1:]

    @property
    def _place_name(self) -> str:
        return self.place.partition(" ")[2]

    @property
    def one(self) -> str:
        return self.thing[0].replace("_", " ")

    @property
    def many(self) -> str:
        return self.thing[1].replace("_", " ")


def camel(snake: str) -> str:
    """Convert `print_run` to `PrintRun`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_\s-]+", snake))


def plural(noun: str) -> str:
    """Return the plural of a regular noun, in words or as a name."""
    if noun.endswith("ies"):
        return noun  # species, series
    if re.search(r"(?:s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"


def article(noun: str) -> str:
    """Put "a" or "an" before the noun."""
    return f"{'an' if _VOWEL_SOUND.match(noun) else 'a'} {noun}"


def _entries(path: Path) -> Iterator[Domain]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LexiconError(f"lexicon {path.name}: {' '.join(str(error).split())}") from error
    for name, entry in content.items():
        try:
            yield Domain.model_validate({"name": name, **entry})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in (name, *first["loc"]))
            raise LexiconError(f"lexicon {path.name}: {field}: {first['msg']}") from error


@cache
def load(folder: Path = LEXICON_DIR) -> tuple[Domain, ...]:
    """Load all domains of a folder, sorted by name.

    Raises LexiconError with a line that names the file, the field and what it accepts.
    """
    domains = [domain for path in sorted(folder.glob("*.yaml")) for domain in _entries(path)]
    names = [domain.name for domain in domains]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or not domains:
        raise LexiconError(f"lexicon {folder}: {', '.join(repeated) or 'no domain'}")
    return tuple(sorted(domains, key=lambda domain: domain.name))
