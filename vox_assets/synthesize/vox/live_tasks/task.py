"""A task over live code, and the live program that it starts from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vox_assets.synthesize.vox.lexicon import RESERVED
from vox_assets.synthesize.vox.templates import tidy
from vox_assets.vox_syntax import Declaration, declarations

#: About 600 tokens: a longer program leaves no room for the answer in a 1,024-token context.
MAX_SHOWN_CHARS = 2_200


#: Names with a meaning in the language or its library, which a rename must not change.
BUILT_IN = RESERVED | set(
    """push append get length join map filter contains split trim to_upper to_lower replace slice
    starts_with ends_with char_at index_of is_some is_none is_ok is_err unwrap insert delete find
    all count query where update key value level href text heading column row panel card list_item
    link button image input name title id result body""".split()
)


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|[A-Za-z_]\w*|\s+|.', re.DOTALL)


HOLE = re.compile(r"\{[^{}\"]*\}")


NAME = re.compile(r"[A-Za-z_]\w*")


PHRASE = re.compile(r"[a-z]{2,}[^\w\"]+[a-z]{2,}", re.IGNORECASE)


FIELD = re.compile(r"^\s*(\w+): (str|int|bool|dec)\b,?$", re.MULTILINE)


SIGNATURE = re.compile(r"fn (?P<name>\w+)\((?P<params>[^()\n]*)\)")


TABLE_KINDS = ("table", "struct")


BODIED_KINDS = (
    "function",
    "endpoint_query",
    "endpoint_mutation",
    "endpoint_server",
    "mcp_tool",
    "webhook",
)


@dataclass(frozen=True)
class Live:
    """A live program, the first row that shows it, and the ids of all rows that show it."""

    row: Mapping[str, Any]
    parents: tuple[str, ...]
    source: str
    declared: tuple[Declaration, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any], parents: tuple[str, ...], source: str) -> Live:
        """Read what a program declares; raises VoxSyntaxError when it does not parse."""
        return cls(row, parents, source, tuple(declarations(source)))

    def around(self, item: Declaration) -> str:
        """Return the declaration and all that it refers to, also indirectly, in source order."""
        wanted = {item.name}
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
                        each.text for each in self.declared if each is item or each.name in wanted
                    )
                )
            wanted = wider


@dataclass(frozen=True)
class Task:
    """A task about a live program, and its answer."""

    family: str
    #: Distinguishes the task from others about the same program.
    label: str
    #: Wordings of the first line of the request; `details` follows any of them.
    leads: tuple[str, ...]
    details: str
    answer: str

    def prompt(self, lead: str) -> str:
        return f"{lead}{self.details}"


def fenced(source: str) -> str:
    return f"```vox\n{source}\n```"


def paragraphs(*parts: str) -> str:
    """Join the parts that are not empty, separated by blank lines."""
    return "".join(f"\n\n{part}" for part in parts if part)


def lead_ins(forms: Iterable[str], **names: str) -> tuple[str, ...]:
    return tuple(form.format(**names) for form in forms)


_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)+"|(?<![\w.])\d{2,}(?![\w.])')


def mentions(prompt: str, name: str) -> str:
    """Return the sentences of the parent's prompt that mention a function."""
    sentences = re.split(r"(?<=[.!?])\s+|\n{2,}", prompt)
    mentioning = [item.strip() for item in sentences if f"`{name}" in item and "```" not in item]
    return " ".join(item for item in mentioning if not re.match(r"Declare\b|#", item))


def needed(missing: str, shown: str) -> str:
    """List the texts and larger numbers of the missing part, which cannot be guessed."""
    texts = [item for item in dict.fromkeys(_CONSTANT.findall(missing)) if item not in shown]
    if not texts:
        return ""
    return f"The missing part uses {', '.join(f'`{item}`' for item in texts)}."
