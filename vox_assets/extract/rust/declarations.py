"""Declarations that a question shows: the types and signatures that an item refers to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vox_assets.extract.docs import markdown
from vox_assets.extract.docs.lead_ins import SENTENCE_END, leads_in
from vox_assets.extract.rust.crates import Crate
from vox_assets.extract.rust.doc_comment import MIN_DOC_CHARS, prose_of
from vox_assets.extract.rust.items import Container, Item, RustFile
from vox_assets.extract.rust.names import MAX_PATH_PARTS, PRELUDE, imports_in
from vox_assets.extract.rust.selection import PATH_WORDS, WORD

#: Length of the declarations shown with a task: enough for fields, too short to hide the task.
MAX_SHOWN_CHARS = 1_200

#: Number and length of the associated types that every method of a block is shown with. A block
#: with more of them would be repeated in full for each method.
MAX_ASSOCIATED = 12
MAX_ASSOCIATED_CHARS = 1_200

#: Number of fields or variants that a question lists.
MAX_LISTED_MEMBERS = 24

#: Length of the text of a constant; a longer one is shown by its type.
MAX_CONSTANT_CHARS = 240

#: In less room, a long type is not shown: its first and last lines alone say nothing.
MIN_CUT_CHARS = 160

#: Longer names of crates are not looked up.
MAX_NAME_CHARS = 80

_LAST_NAME = re.compile(r"\w+\Z")

#: A field, variant or method of a type that is written over several lines.
_MEMBER = re.compile(r"    (?:(?:pub(?:\([^)]*\))?|async|const|unsafe|fn|type)\s+)*([A-Za-z_]\w*)")

#: Stands for the members of a type that are not shown.
_LEFT_OUT = "    // .."

NO_IMPORTS: Mapping[str, str] = {}

TYPE_NAME = re.compile(r"\b[A-Z]\w*")


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
    #: Members of long declarations by the identity of the item.
    _members: dict[int, list[tuple[str | None, str]]] = field(default_factory=dict)
    #: What each file imports: the path by the local name.
    _imports: dict[str, Mapping[str, str]] = field(default_factory=dict)
    #: Texts of constants and macros by crate, name and file.
    _constants: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    #: Names of files and folders by crate: they are modules.
    _modules: dict[str, set[str]] = field(default_factory=dict)
    #: Crates by the name that paths start with.
    _crates: dict[str, str] = field(default_factory=dict)
    #: The types that have a method, with their crates, by its name.
    _owners: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    #: The last part of each name that is declared.
    words: set[str] = field(default_factory=set)

    def add(self, crate: str, path: str, file: RustFile) -> None:
        """Index the items of the file at `path`."""
        names = self._by_crate.setdefault(crate, {})
        by_module = self._by_module.setdefault(crate, {})
        module = path.removesuffix(".rs").removesuffix("/mod").rpartition("/")[2]
        self._imports[path] = file.imports
        self._modules.setdefault(crate, set()).update(_parts(path))
        constants = self._constants.setdefault(crate, {})
        for name, text in file.constants:
            constants.setdefault(name, {}).setdefault(path, text)
            self.words.add(name.rpartition("::")[2].rstrip("!"))
        modules = self._modules[crate]
        for item in file.items:
            modules.update(item.modules)
            self.words.add(item.name)
            if item.container and item.kind == "function":
                self._owners.setdefault(item.name, set()).add((crate, item.container.type_name))
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

    def add_crate(self, name: str, folder: str) -> None:
        """Record that paths which start with `name` are those of the crate in `folder`."""
        self._crates[name.replace("-", "_")] = folder

    def resolve(
        self, crate: str, path: str, name: str, imported: Mapping[str, str] = NO_IMPORTS
    ) -> Item | str | None:
        """Find what a name of `names.used` means in a file: an item or the text of a constant.

        `imported` has the imports of the code itself. A name that another crate may mean is not
        found, nor is one that several declarations fit.
        """
        root = name.partition("::")[0].rstrip("!")
        full = imported.get(root) or self._imports.get(path, {}).get(root)
        parts = name.split("::")
        if full is not None:
            parts = [*full.split("::"), *parts[1:]]
            if name[-1] == "!" and parts[-1][-1:] != "!":
                parts[-1] += "!"
        home, is_local = crate, full is None and len(parts) == 1
        if parts[0] in self._crates and len(parts) > 1:
            home = self._crates[parts[0]]
            parts = parts[1:]
        elif parts[0] in PATH_WORDS and len(parts) > 1:
            parts = [part for part in parts if part not in PATH_WORDS]
        elif len(parts) > 1 and not (parts[0][:1].isupper() or parts[0] in self._modules[crate]):
            # A module inside the file may have constants only.
            return self._constants[crate].get(parts[-1], {}).get(path)
        if not parts or (full is None and parts[0] in PRELUDE):
            own = self._declared(crate, name).get(path)
            return own[0] if own is not None and len(own) == 1 else None
        *modules, last = parts
        owner = modules.pop() if modules and modules[-1][:1].isupper() else ""
        local = path if home == crate and (is_local or not modules) else None
        found = None
        if owner:
            found = self._choose(home, f"{owner}::{last}", modules, local)
        if found is None:
            found = self._choose(home, owner or last, modules, local)
        return found

    def method(self, name: str, in_sight: Collection[str]) -> Item | None:
        """Find the method that `.name()` calls: that of the only type in sight which has it."""
        owners = [(of, own) for of, own in self._owners.get(name, ()) if own in in_sight]
        if len(owners) != 1:
            return None
        (crate, owner) = owners[0]
        files = self._by_crate[crate][f"{owner}::{name}"]
        candidates = [item for items in files.values() for item in items]
        return candidates[0] if len(candidates) == 1 else None

    def _declared(self, crate: str, name: str) -> Mapping[str, Sequence[Item | str]]:
        """Return what a crate declares under a name, by file."""
        files = self._by_crate.get(crate, {}).get(name)
        if files is not None:
            return files
        texts = self._constants.get(crate, {}).get(name)
        return {path: [text] for path, text in texts.items()} if texts else {}

    def _choose(
        self, crate: str, name: str, modules: Sequence[str], local: str | None
    ) -> Item | str | None:
        """Choose among the declarations of a name: by file, by module, or the only one."""
        files = self._declared(crate, name)
        if not files:
            return None
        if local is not None and local in files:
            chosen = files[local]
        elif modules:
            # A module may show what a module below it declares.
            within = [path for path, of in files.items() if _is_within(modules[-1], path, of)]
            exact = [path for path in within if _module(path) == modules[-1]]
            within = exact if len(exact) == 1 else within
            if len(within) != 1:
                return None
            chosen = files[within[0]]
        elif len(files) == 1:
            chosen = next(iter(files.values()))
        else:
            # `use super::*` is the usual reason why a file does not name what it uses.
            above = posixpath.dirname(local or "")
            parents = [
                p for p in (f"{above}/mod.rs", f"{above}.rs", f"{above}/lib.rs") if p in files
            ]
            if len(parents) != 1:
                return None
            chosen = files[parents[0]]
        first = chosen[0]
        if len(chosen) > 1 and not all(_same(first, other) for other in chosen):
            return None
        return first

    def cut(self, item: Item, words: Collection[str]) -> str:
        """Shorten the declaration of a type to the members whose names are in `words`."""
        members = self._members.get(id(item))
        if members is None:
            members = self._members[id(item)] = list(_members_of(self.shown(item)))
        kept: list[str] = []
        for name, text in members:
            if name is None or name in words:
                kept.append(text)
            elif kept[-1] != _LEFT_OUT:
                kept.append(_LEFT_OUT)
        return "\n".join(kept)

    def shown(self, item: Item) -> str:
        """Return an indexed item's declaration; cached, because questions repeat items."""
        text = self._shown.get(id(item))
        if text is None:
            text = self._shown[id(item)] = _declaration(item)
        return text


def _members_of(declaration: str) -> Iterator[tuple[str | None, str]]:
    """Yield name and text of each member of a type, without comments and attributes.

    The lines before and after the members have no name.
    """
    name, member = None, ""
    for line in declaration.split("\n"):
        inner = line[:4] == "    "
        found = _MEMBER.match(line) if inner else None
        if found is None and name and inner and (line[4:5].isspace() or line[4:5] in ")}]"):
            member += f"\n{line}"
            continue
        if member:
            yield name, member
        name, member = (found[1], line) if found else ("", "") if inner else (None, line)
        if inner and not found:
            yield "", line
    if member:
        yield name, member


def _parts(path: str) -> list[str]:
    """Return the names of a file and of its folders, which are names of modules."""
    return path.removesuffix(".rs").split("/")


def _is_within(module: str, path: str, declared: Sequence[Item | str]) -> bool:
    inside = (item.modules for item in declared if isinstance(item, Item))
    return module in _parts(path) or any(module in modules for modules in inside)


def _module(path: str) -> str:
    return path.removesuffix(".rs").removesuffix("/mod").rpartition("/")[2]


def _same(first: Item | str, other: Item | str) -> bool:
    """Whether two declarations differ only in what `cfg` compiles."""
    if isinstance(first, str) or isinstance(other, str):
        return first == other
    return first.kind == other.kind == "function" and first.signature == other.signature


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
    """Return the associated types that an answer shows: all if short, else those it names.

    None where the answer is one of them.
    """
    if code.strip() in container.associated:
        return ()
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


def constant_shown(text: str) -> str:
    """Return the declaration of a constant: without its value where that is long."""
    if len(text) <= MAX_CONSTANT_CHARS or text.startswith("macro_rules!"):
        return text
    closing = "\n}" if text.endswith("\n}") and "{\n    " in text.partition("=")[0] else ""
    return f"{text.partition('=')[0].rstrip()};{closing}"


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


@dataclass(frozen=True, slots=True)
class Needed:
    """What one crate uses of others: name and folder of each, and the declarations by file."""

    crates: Mapping[str, str]
    files: Mapping[str, tuple[str, RustFile]]

    def add_to(self, index: Declarations) -> None:
        """Add the declarations to the index of the crate."""
        for name, folder in self.crates.items():
            index.add_crate(name, folder)
        for path, (folder, file) in self.files.items():
            index.add(folder, path, file)


class Shared:
    """The declarations of all crates, from which each crate gets those that it imports."""

    def __init__(self, files: Mapping[str, tuple[str, str, RustFile]]) -> None:
        """Index `files`: by path the folder of the crate, the name of its library and the file."""
        self._files = files
        self._crates: dict[str, str] = {}
        self._paths: dict[str, list[str]] = {}
        for path, (folder, name, _) in files.items():
            self._crates[name.replace("-", "_")] = folder
            self._paths.setdefault(folder, []).append(path)
        #: Items and constants by crate and name, with their file.
        self._items: dict[str, dict[str, list[tuple[str, Item]]]] = {}
        self._constants: dict[str, dict[str, list[tuple[str, tuple[str, str]]]]] = {}

    def needed_by(self, folder: str) -> Needed:
        """Return what the files of the crate in `folder` name of other crates."""
        wanted: dict[str, set[str]] = {}
        for path in self._paths.get(folder, ()):
            file = self._files[path][2]
            for full in dict.fromkeys(self._paths_in(file)):
                root, *parts = full.split("::")
                home = self._crates.get(root, folder)
                if home != folder:
                    wanted.setdefault(home, set()).update(parts[-2:])
        needed: dict[str, tuple[str, RustFile]] = {}
        for home, names in wanted.items():
            items: dict[str, dict[int, Item]] = {}
            constants: dict[str, list[tuple[str, str]]] = {}
            of_items, of_constants = self._index(home)
            for name in sorted(names):
                for path, item in of_items.get(name, ()):
                    items.setdefault(path, {})[id(item)] = item
                for path, constant in of_constants.get(name, ()):
                    constants.setdefault(path, []).append(constant)
            for path in sorted({*items, *constants}):
                chosen = RustFile(
                    items=tuple(items.get(path, {}).values()),
                    constants=tuple(dict.fromkeys(constants.get(path, ()))),
                )
                needed[path] = (home, chosen)
        return Needed({n: f for n, f in self._crates.items() if f in wanted}, needed)

    def _paths_in(self, file: RustFile) -> Iterator[str]:
        """Yield the paths of other crates that a file imports or that its bodies name in full."""
        yield from file.imports.values()
        roots = {name: name for name in self._crates}
        roots |= {n: p for n, p in file.imports.items() if p.partition("::")[0] in self._crates}
        # A look-up of the last signs excludes most pieces in a tenth of the time of their names.
        size = min(map(len, roots), default=0)
        endings = {name[-size:] for name in roots}
        for item in file.items:
            local = imports_in(item.body)
            yield from local.values()
            known = roots | local if local else roots
            # Splitting takes a tenth of the time of a regex search for paths.
            pieces = item.text.split("::")
            for number, piece in enumerate(pieces[:-1]):
                if not local and piece[-size:] not in endings:
                    continue
                root = _LAST_NAME.search(piece[-MAX_NAME_CHARS:])
                if root is not None and root[0] in known:
                    path = [known[root[0]]]
                    for part in pieces[number + 1 : number + MAX_PATH_PARTS]:
                        name = WORD.match(part)
                        path += [name[0]] if name else []
                        if name is None or name[0] != part:
                            break
                    yield "::".join(path)

    def _index(
        self, folder: str
    ) -> tuple[dict[str, list[tuple[str, Item]]], dict[str, list[tuple[str, tuple[str, str]]]]]:
        if folder not in self._items:
            items = self._items[folder] = {}
            constants = self._constants[folder] = {}
            for path in self._paths[folder]:
                file = self._files[path][2]
                for item in file.items:
                    # A type brings its methods.
                    name = item.container.type_name if item.container else item.name
                    items.setdefault(name, []).append((path, item))
                for name, text in file.constants:
                    constants.setdefault(name.partition("::")[0].rstrip("!"), []).append(
                        (path, (name, text))
                    )
        return self._items[folder], self._constants[folder]
