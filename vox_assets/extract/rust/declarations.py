"""Declarations that a question shows: the types and signatures that an item refers to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vox_assets.extract.docs import markdown
from vox_assets.extract.docs.lead_ins import SENTENCE_END, leads_in
from vox_assets.extract.rust.crates import Crate
from vox_assets.extract.rust.doc_comment import MIN_DOC_CHARS, prose_of
from vox_assets.extract.rust.items import Container, Item, RustFile
from vox_assets.extract.rust.selection import PATH_WORDS

#: Length of the declarations shown with a task: enough for fields, too short to hide the task.
MAX_SHOWN_CHARS = 1_200

#: Longer paths to a function are cut at the start, which only names modules.
MAX_CALLEE_CHARS = 80

#: Number and length of the associated types that every method of a block is shown with. A block
#: with more of them would be repeated in full for each method.
MAX_ASSOCIATED = 12
MAX_ASSOCIATED_CHARS = 1_200

#: Number of fields or variants that a question lists.
MAX_LISTED_MEMBERS = 24

TYPE_NAME = re.compile(r"\b[A-Z]\w*")

#: The path before a call's parenthesis, with the function's owner; `value.method` does not match.
_CALLEE = re.compile(r"(?<![\w.])(?:(self\.|Self::)|(\w+)::)?([a-z_]\w+)\Z")


@dataclass(frozen=True, slots=True)
class FileContext:
    """The crate, module and path of a file's items, as questions mention them."""

    path: str
    module: str
    crate: Crate
    #: One sentence about the purpose of the module or crate; may be empty.
    purpose: str
    commit: str | None = None


@dataclass(slots=True)
class Declarations:
    """An index of items by crate and name, for the declarations that a question shows.

    The key of a type or a free function is its name, and of a method `Type::method`. A function of
    another module is also found as `module::function`.
    """

    #: By crate and name, the items of each file; lists of all files would make lookups quadratic.
    _by_crate: dict[str, dict[str, dict[str, list[Item]]]] = field(default_factory=dict)
    #: Functions by crate and `module::function`, the module being that of their file.
    _by_module: dict[str, dict[str, list[Item]]] = field(default_factory=dict)
    #: Results of `shown` by the identity of the item: the index keeps every item alive.
    _shown: dict[int, str] = field(default_factory=dict)

    def add(self, crate: str, path: str, file: RustFile) -> None:
        """Index the items of the file at `path`."""
        names = self._by_crate.setdefault(crate, {})
        by_module = self._by_module.setdefault(crate, {})
        module = path.removesuffix(".rs").removesuffix("/mod").rpartition("/")[2]
        for item in file.items:
            owner = f"{item.container.type_name}::" if item.container else ""
            names.setdefault(owner + item.name, {}).setdefault(path, []).append(item)
            if not owner:
                by_module.setdefault(f"{module}::{item.name}", []).append(item)

    def find(self, crate: str, path: str, name: str) -> Item | None:
        """Find the item that `name` means in `path`: the file's own, else the only one."""
        module, separator, _ = name.rpartition("::")
        if separator and not module[:1].isupper():
            candidates = self._by_module.get(crate, {}).get(name, [])
        else:
            # Most calls are calls of functions that the crate does not declare.
            files = self._by_crate.get(crate, {}).get(name)
            if files is None:
                return None
            candidates = files.get(path) or (next(iter(files.values())) if len(files) == 1 else [])
        return candidates[0] if len(candidates) == 1 else None

    def shown(self, item: Item) -> str:
        """Return an indexed item's declaration; cached, because questions repeat items."""
        text = self._shown.get(id(item))
        if text is None:
            text = self._shown[id(item)] = _declaration(item)
        return text


def purpose_of(doc: str) -> str:
    """Return the first sentence of documentation on one line; empty when too short or too long."""
    prose = prose_of(markdown.split_code(doc)[0]) if doc else ""
    paragraph = " ".join(prose.split("\n\n", 1)[0].split())
    sentence = SENTENCE_END.split(paragraph, maxsplit=1)[0]
    if leads_in(sentence):
        return ""
    return sentence if MIN_DOC_CHARS <= len(sentence) <= 240 else ""


def moved_to(item: Item, indent: str) -> str:
    """Change the indentation of an item's text to `indent`."""
    if item.indent == indent or item.has_long_literal:
        return item.text
    first, *rest = item.text.split("\n")
    moved = [indent + line.removeprefix(item.indent) if line.strip() else "" for line in rest]
    return "\n".join([first, *moved])


def wrap(container: Container, code: str) -> str:
    """Put `code`, which is indented already, into its `impl` or `trait` block."""
    associated = "".join(f"    {line}\n" for line in _associated(container, code))
    gap = "\n" if associated else ""
    opening = "\n{" if "\nwhere" in container.header else " {"
    return f"{container.header}{opening}\n{associated}{gap}{code}\n}}"


def _associated(container: Container, code: str) -> Iterable[str]:
    """Return the associated types that an answer shows: all if short, else those it names."""
    if sum(map(len, container.associated[:MAX_ASSOCIATED])) <= MAX_ASSOCIATED_CHARS and (
        len(container.associated) <= MAX_ASSOCIATED
    ):
        return container.associated
    by_name = container.associated_by_name
    named = dict.fromkeys(word for word in TYPE_NAME.findall(code) if word in by_name)
    return [by_name[word] for word in list(named)[:MAX_ASSOCIATED]]


def indented(code: str) -> str:
    """Indent the lines of `code` by four spaces."""
    return "\n".join(f"    {line}" if line else "" for line in code.split("\n"))


def outdented(text: str, item: Item) -> str:
    """Remove the indentation of `item` from the lines of `text`."""
    return "\n".join(line.removeprefix(item.indent) for line in text.split("\n"))


def called_by(body: str, owner: str) -> list[str]:
    """Return the functions that a body calls; those of its own type as `Owner::name`."""
    names = []
    # Splitting, and reading each word once, takes a fifth of the time of a regex search for calls.
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
    """Return the declaration of an item for its users: types in full, functions without bodies.

    A trait is shown without default bodies, because its methods are asked for.
    """
    if item.kind != "function":
        return "\n".join((*item.attributes, item.interface))
    purpose = purpose_of(item.doc)
    lines = [f"/// {purpose}"] if purpose else []
    code = "\n".join([*lines, f"{outdented(item.signature, item)};"])
    return wrap(item.container, indented(code)) if item.container else code


def declared_by(item: Item) -> str:
    """Describe an item by its declaration: in the sentence if short, else in a code block."""
    declaration = "\n".join((*item.attributes, outdented(item.signature, item)))
    if "\n" in declaration or len(declaration) > 120:
        return f"It is declared as:\n\n```rust\n{declaration}\n```"
    return f"Its signature is `{declaration}`."


def interface_of(item: Item) -> str:
    """Describe inputs and result in words, or show a generic or attributed declaration."""
    if item.attributes or "<" in item.signature.split("(", 1)[0] or "where" in item.signature:
        return declared_by(item)
    modifiers = item.signature.split("fn ", 1)[0].strip()
    inputs = ", ".join(f"`{one_line(parameter)}`" for parameter in item.parameters)
    returns = f"returns `{one_line(item.result)}`" if item.result else "returns nothing"
    declared = f" It is declared `{modifiers}`." if modifiers else ""
    return f"It takes {inputs or 'no arguments'} and {returns}.{declared}"


def one_line(text: str) -> str:
    """Join the words of `text` with single spaces."""
    return " ".join(text.split())


def index_declarations(files: Mapping[str, RustFile], crate_of: Mapping[str, str]) -> Declarations:
    """Index all declarations of `files` by the crate folder that `crate_of` gives each path."""
    index = Declarations()
    for path, file in files.items():
        index.add(crate_of[path], path, file)
    return index
