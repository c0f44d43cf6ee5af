"""Declarations that a question shows: the types and signatures that an item refers to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vox_assets.extract.docs import markdown
from vox_assets.extract.rust.crates import Crate
from vox_assets.extract.rust.doc_comment import MIN_DOC_CHARS, SENTENCE_END, prose_of
from vox_assets.extract.rust.items import Container, Item, RustFile
from vox_assets.extract.rust.worth import PATH_WORDS

#: Declarations shown with a task: enough for the fields, not so much as to hide the task.
MAX_SHOWN_CHARS = 1_200


#: Longer paths to a function are cut at the front, which only names modules.
MAX_CALLEE_CHARS = 80


#: Names of fields or variants that a question lists.
MAX_LISTED_MEMBERS = 24


TYPE_NAME = re.compile(r"\b[A-Z]\w*")


#: The path before a call's bracket, which names the function's owner; `value.method` has none.
_CALLEE = re.compile(r"(?<![\w.])(?:(self\.|Self::)|(\w+)::)?([a-z_]\w+)\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """The crate, module and path of a file's items, as questions mention them."""

    path: str
    module: str
    crate: Crate
    #: One sentence about what the module or crate is for; may be empty.
    purpose: str
    commit: str | None = None


@dataclass(slots=True)
class Declarations:
    """Items by crate and name, so that a question can show what its answer may use.

    A type or a free function goes by its name, a method by `Type::method`; a function of another
    module may be asked for as `module::function`.
    """

    _by_crate: dict[str, dict[str, list[tuple[str, Item]]]] = field(default_factory=dict)
    #: Results of `shown` by the identity of the item: the index keeps every item alive.
    _shown: dict[int, str] = field(default_factory=dict)

    def add(self, crate: str, path: str, file: RustFile) -> None:
        """Index what `path` declares."""
        names = self._by_crate.setdefault(crate, {})
        for item in file.items:
            owner = f"{item.container.type_name}::" if item.container else ""
            names.setdefault(owner + item.name, []).append((path, item))

    def find(self, crate: str, path: str, name: str) -> Item | None:
        """The item that `name` means in `path`: the file's own, else the crate's only one."""
        names = self._by_crate.get(crate, {})
        module, separator, function = name.rpartition("::")
        if separator and not module[:1].isupper():
            files = (f"/{module}.rs", f"/{module}/mod.rs")
            candidates = [item for place, item in names.get(function, []) if place.endswith(files)]
        else:
            # Most calls are of functions that the crate does not declare.
            if name not in names:
                return None
            here = [item for place, item in names[name] if place == path]
            candidates = here or [item for _, item in names[name]]
        return candidates[0] if len(candidates) == 1 else None

    def shown(self, item: Item) -> str:
        """An item of the index as somebody sees who uses it; the same one is shown many times."""
        text = self._shown.get(id(item))
        if text is None:
            text = self._shown[id(item)] = _declaration(item)
        return text


def purpose_of(doc: str) -> str:
    """The first sentence of a module's documentation, on one line; empty when it says little."""
    prose = prose_of(markdown.split_code(doc)[0]) if doc else ""
    paragraph = " ".join(prose.split("\n\n", 1)[0].split())
    sentence = SENTENCE_END.split(paragraph, maxsplit=1)[0]
    return sentence if MIN_DOC_CHARS <= len(sentence) <= 240 else ""


def moved_to(item: Item, indent: str) -> str:
    """The item's text with its lines moved from where it stood to `indent`."""
    if item.indent == indent or item.has_long_literal:
        return item.text
    first, *rest = item.text.split("\n")
    moved = [indent + line.removeprefix(item.indent) if line.strip() else "" for line in rest]
    return "\n".join([first, *moved])


def wrap(container: Container, code: str) -> str:
    """`code`, indented already, in its block."""
    associated = "".join(f"    {line}\n" for line in container.associated)
    gap = "\n" if associated else ""
    opening = "\n{" if "\nwhere" in container.header else " {"
    return f"{container.header}{opening}\n{associated}{gap}{code}\n}}"


def indented(code: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in code.split("\n"))


def outdented(text: str, item: Item) -> str:
    return "\n".join(line.removeprefix(item.indent) for line in text.split("\n"))


def called_by(body: str, owner: str) -> list[str]:
    """Names of the functions that a body calls, its own type's as `Owner::name`."""
    names = []
    # Splitting, and reading each word once, takes a fifth of the time of a search for calls.
    pieces = dict.fromkeys(piece[-MAX_CALLEE_CHARS:] for piece in body.split("("))
    for word in dict.fromkeys(piece.rsplit(None, 1)[-1] for piece in pieces if piece.strip()):
        if match := _CALLEE.search(word):
            own, of, name = match.groups("")
            of = owner if own else "" if of in PATH_WORDS else of
            # A default does not describe a type.
            if name != "default":
                names.append(f"{of}::{name}" if of else name)
    return names


def _declaration(item: Item) -> str:
    """An item as somebody sees who uses it: a type in full, a function without its body."""
    if item.kind != "function":
        return "\n".join((*item.attributes, item.text))
    purpose = purpose_of(item.doc)
    lines = [f"/// {purpose}"] if purpose else []
    code = "\n".join([*lines, f"{outdented(item.signature, item)};"])
    return wrap(item.container, indented(code)) if item.container else code


def declared_by(item: Item) -> str:
    declaration = "\n".join((*item.attributes, outdented(item.signature, item)))
    if "\n" in declaration or len(declaration) > 120:
        return f"It is declared as:\n\n```rust\n{declaration}\n```"
    return f"Its signature is `{declaration}`."


def interface_of(item: Item) -> str:
    """Inputs and result in words; functions with generics or attributes show them instead."""
    if item.attributes or "<" in item.signature.split("(", 1)[0] or "where" in item.signature:
        return declared_by(item)
    modifiers = item.signature.split("fn ", 1)[0].strip()
    inputs = ", ".join(f"`{one_line(parameter)}`" for parameter in item.parameters)
    returns = f"returns `{one_line(item.result)}`" if item.result else "returns nothing"
    declared = f" It is declared `{modifiers}`." if modifiers else ""
    return f"It takes {inputs or 'no arguments'} and {returns}.{declared}"


def one_line(text: str) -> str:
    return " ".join(text.split())


def index_declarations(files: Mapping[str, RustFile], crate_of: Mapping[str, str]) -> Declarations:
    """Index all declarations of `files` by the crate folder that `crate_of` gives each path."""
    index = Declarations()
    for path, file in files.items():
        index.add(crate_of[path], path, file)
    return index
