"""Tasks that rename a declaration."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vox_assets.synthesize.vox.lexicon import ROLES, Domain, VoxType, camel, plural
from vox_assets.synthesize.vox.live_tasks.task import (
    BUILT_IN,
    FIELD,
    HOLE,
    MAX_SHOWN_CHARS,
    NAME,
    PHRASE,
    TABLE_KINDS,
    TOKEN,
    Live,
    Task,
    fenced,
    lead_ins,
)
from vox_assets.vox_syntax import Declaration

#: Domains that one live program is renamed into.
RENAMES = 4


# Consistent renaming into another domain.

_RENAME_LEADS = (
    "Turn this Vox program into one about the {things} of {place}. Rename:",
    "We need the same Vox code for {place}. Carry it over, with these names:",
    "Adapt the Vox program below to {things}. Only these names change:",
    "Reuse this Vox module for {things}. The names change as follows:",
)


def renamed(source: str, names: Mapping[str, str]) -> str:
    """Replace identifiers in a source, including those that strings interpolate."""

    def token(match: re.Match[str]) -> str:
        text = match[0]
        if text.startswith('"'):
            return HOLE.sub(lambda hole: NAME.sub(identifier, hole[0]), text)
        return names.get(text, text)

    def identifier(match: re.Match[str]) -> str:
        return names.get(match[0], match[0])

    return TOKEN.sub(token, source)


def new_names(source: str, declared: Iterable[Declaration], domain: Domain) -> dict[str, str]:
    """Map old names to new: record types, their fields by type and role, and derived names.

    Empty when the source already uses a new name.
    """
    names: dict[str, str] = {}
    stems: dict[str, str] = {}
    type_names = [domain.type_name, f"{domain.type_name}Entry", f"{domain.type_name}Detail"]
    free: dict[VoxType, list[str]] = {kind: [] for kind in ROLES.values()}
    for attribute in domain.attributes:
        free[attribute.type].append(attribute.name)
    records = [item for item in declared if item.kind in TABLE_KINDS and item.name in source]
    for record, type_name in zip(records, type_names, strict=False):
        names[record.name] = type_name
        old, new = _snake(record.name), _snake(type_name)
        stems[plural(old)] = domain.thing[1] if new == domain.thing[0] else plural(new)
        stems[old] = new
        for field, kind in FIELD.findall(record.text):
            if field not in names and field not in BUILT_IN and free[kind]:
                names[field] = stems[field] = free[kind].pop(0)
    # Functions and variables whose name contains a renamed name: `list_chores` follows `Chore`.
    taken = {match[0] for match in NAME.finditer(source)}
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
    """Replace each old stem in a word; `ChoreBoard` contains the stem of `chore` too."""
    for old, new in stems.items():
        word = re.sub(rf"(?<![A-Za-z0-9]){old}(?![A-Za-z0-9])", new, word)
        word = re.sub(rf"(?<![A-Z]){camel(old)}(?![a-z0-9])", camel(new), word)
    return word


def speaks(source: str) -> bool:
    """Check whether a string holds a phrase, which renaming cannot move to another domain."""
    literals = (match[0] for match in TOKEN.finditer(source) if match[0].startswith('"'))
    return any(PHRASE.search(HOLE.sub("", literal)) for literal in literals)


def _may_move(part: str, live: Live) -> bool:
    """Check whether a part of a program is more than a type, short, and free of phrases."""
    held = sum(item.text in part for item in live.declared)
    return held > 1 and len(part) <= MAX_SHOWN_CHARS and not speaks(part)


def renames(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Yield tasks that rename a program consistently into other domains."""
    parts = dict.fromkeys([live.source, *(live.around(item) for item in live.declared)])
    source = next((part for part in parts if _may_move(part, live)), "")
    made = 0
    for domain in rng.sample(domains, k=len(domains)):
        names = new_names(source, live.declared, domain)
        # A type and at least two other names: with fewer the domain hardly changes.
        if len(names) < 3:
            continue
        listed = "\n".join(f"- `{old}` becomes `{new}`" for old, new in names.items())
        yield Task(
            "rename_domain",
            f"as_{domain.name}",
            lead_ins(_RENAME_LEADS, things=domain.many, place=domain.the_place),
            f"\n{listed}\n\n{fenced(source)}",
            renamed(source, names),
        )
        made += 1
        if made == RENAMES:
            return
