"""The names that Rust code uses and that its workspace may declare."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

#: Nesting to which the braces of a `use` are read, and the length of its paths in names: every name
#: repeats the path before it.
MAX_USE_DEPTH = 16
MAX_PATH_PARTS = 32

#: Names that every file knows without a `use`. A crate that declares one of them means it only
#: where the file declares or imports it.
PRELUDE = frozenset(
    "AsMut AsRef Box Clone Copy Debug Default DoubleEndedIterator Drop Eq Err ExactSizeIterator"
    " Extend Fn FnMut FnOnce From FromIterator Hash Into IntoIterator Iterator None Ok Option Ord"
    " PartialEq PartialOrd Result Send Sized Some String Sync ToOwned ToString TryFrom TryInto"
    " Unpin Vec drop".split()
)

#: Methods of the standard library's types: the type of the value before the dot is not known.
COMMON_METHODS = frozenset(
    "all any append as_bytes as_mut as_ref as_slice as_str borrow chars clear clone cmp collect"
    " contains contains_key count drain entry eq err expect extend filter find first flush fmt fold"
    " from get get_mut get_or_insert insert into into_iter is_empty is_err is_none is_ok is_some"
    " iter iter_mut join keys last len lines load lock map max min name next ok parse path pop push"
    " push_str read recv remove replace retain rev run send skip sort split start starts_with store"
    " sum take to_owned to_string to_vec trim unwrap values write".split()
)

#: A `use` that does not end reaches to the end, so that it is read once.
_USE = re.compile(r"\buse\s([^;]*+)(?:;|\Z)")
_USE_TOKEN = re.compile(r"\w+|[{},*]")

#: What names nothing of the workspace, and then a method or a path with what stands after it.
#: An unclosed literal reaches to the end, so that it is read once.
_NAME = re.compile(
    r"""(?:
        [^\w"'/.]++
      | r(?P<raw>\#*)"(?:[\s\S]*?"(?P=raw)|[\s\S]*+) | "(?:[^"\\]|\\.)*+(?:"|\Z)
      | //[^\n]*+ | /\*(?:[\s\S]*?\*/|[\s\S]*+) | \.\.+=? | '(?:\\.|[^\\'\s])' | '
      | \d\w*+(?:\.\d\w*+)?
      | (?!self\s*\.)[a-z_]\w*+(?!\s*\(|::|!)
    )*+
    (?:(self\s*\.\s*|\.\s*)?([A-Za-z_]\w*+(?:::(?:<[^<>;(){}]*>::)?\w++)*+)
       (!(?=\s*[(\[{])|\s*(?:::<[^;(){}]{0,120}>\s*)?\()? | \Z | [\s\S])""",
    re.VERBOSE | re.DOTALL,
)
#: A default does not describe a type.
_SAYS_NOTHING = "::default"
_GENERICS = re.compile(r"<[^<>]*>::")


def used(code: str, owner: str) -> Counter[str]:
    """Count the paths in `code` that may be names of the workspace.

    A method of the code's own type is `Owner::name`, another method is `.name`, a macro `name!`.
    """
    names: Counter[str] = Counter()
    for _, dot, path, after in _NAME.findall(code):
        if dot:
            if after[-1:] == "(":
                names[f"{owner}::{path}" if dot[0] == "s" else f".{path}"] += 1
            continue
        if after == "!":
            names[f"{path}!"] += 1
        elif path and (after or "::" in path or path[0].isupper()):
            if "<" in path:
                path = _GENERICS.sub("", path)
            if path.startswith("Self"):
                if path == "Self":
                    continue
                path = f"{owner}{path[4:]}" if path[4:6] == "::" else path
            if not path.endswith(_SAYS_NOTHING):
                names[path] += 1
    return names


def imports_in(code: str) -> dict[str, str]:
    """Return what the `use` declarations in `code` import: the path by the local name."""
    found: dict[str, str] = {}
    if "use " in code:
        for tree in _USE.findall(code):
            found.update(imports(tree))
    return found


def imports(tree: str) -> Iterator[tuple[str, str]]:
    """Yield local name and path of each name that a `use` imports; a glob imports no names."""
    base: list[str] = []
    outer: list[list[str]] = []
    path: list[str] = []
    for token in (*_USE_TOKEN.findall(tree), ","):
        if token == "{":
            outer.append(base)
            base, path = [*base, *path], []
            if len(outer) > MAX_USE_DEPTH:
                return
        elif token in "},":
            if path:
                yield from _imported([*base, *path])
            path = []
            if token == "}" and outer:
                base = outer.pop()
        else:
            path.append(token)
            if len(path) > MAX_PATH_PARTS:
                return


def _imported(path: list[str]) -> Iterator[tuple[str, str]]:
    local = path[-1]
    if len(path) > 2 and path[-2] == "as":
        path = path[:-2]
    if path[-1] == "self" and len(path) > 1:
        path = path[:-1]
        local = path[-1] if local == "self" else local
    if local not in ("*", "_", "self", "super", "crate"):
        yield local, "::".join(path)
