"""Rust items as corpus rows: which are worth learning, what is asked and what is answered.

The task families: `implement_from_doc`, `complete_signature`, `define_type`, `explain_api` (prose)
and `use_api`. Reading syntax belongs to `rust`, and who sees the file to `crates`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vox_assets.contract.rows import RESPONSE_MODES, Drop, Pair, ResponseMode, turns
from vox_assets.extract.docs import markdown
from vox_assets.extract.rust.crates import Crate
from vox_assets.extract.rust.items import Container, Item, RustFile, has_errors
from vox_assets.profiles import Profile

STAGE = "extract_rust"

#: Documentation shorter than this ("The name.") does not say enough to write the item from.
MIN_DOC_CHARS = 30
#: Longer documentation fills the context window before the code begins.
MAX_DOC_CHARS = 1_500
#: Without documentation only the body tells; fewer lines are forwarding and accessors.
MIN_UNDOCUMENTED_LINES = 3
#: What StarCoder2's self-alignment found learnable; longer functions are whole programs.
MAX_CODE_LINES = 150
#: About 2,000 tokens: no profile trains on a wider context.
MAX_CODE_CHARS = 7_000
#: An explanation shorter than this repeats the signature in words.
MIN_PROSE_CHARS = 100
MAX_PROSE_CHARS = 2_500
#: Declarations shown with a task: enough for the fields, not so much as to hide the task.
MAX_SHOWN_CHARS = 1_200
#: Longer paths to a function are cut at the front, which only names modules.
MAX_CALLEE_CHARS = 80
#: Share of an answer in string literals: with more, and nothing that says what they read, the
#: question is a riddle.
MAX_LITERAL_SHARE = 0.4
#: A use of an API shorter than this is the call itself.
MIN_EXAMPLE_CHARS = 20
#: Names of fields or variants that a question lists.
MAX_LISTED_MEMBERS = 24

_UNFINISHED = re.compile(r"\b(?:todo|unimplemented)!\s*[(\[{]")
_TYPE_NAME = re.compile(r"\b[A-Z]\w*")
#: What stands before a call's bracket and says whose function it is; `value.method` does not.
_CALLEE = re.compile(r"(?<![\w.])(?:(self\.|Self::)|(\w+)::)?([a-z_]\w+)\Z")
_MENTION = re.compile(r"`(?:[\w:]*?(\w+)::)?([a-z_]\w+)(?:\(\))?`")
#: Words that start a path and name no module.
_PATH_WORDS = {"crate", "self", "super"}
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
#: What a branch looks like, near enough to rank functions by: a word in a comment counts too.
_BRANCHES = ("if ", "match ", "while ", "loop {", "for ", "=>", "?;", "?.", "?)")
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+)$", re.MULTILINE)
_LINK = re.compile(
    r"!?\[(`?[^\[\]\n]+?`?)\](?:\([^()\s]*(?:\s\"[^\"]*\")?\)|\[[^\[\]]*\])?(?![(\[:])"
)
#: A first heading names what the question names already.
_TITLE = re.compile(r"\A\s*#\s+.*\n")
#: A line break inside a paragraph or list item: what follows opens no block of its own.
_WRAPPED = re.compile(r"(?<=[^\n:|])\n[ \t]*(?=[^\s\-*+>|#\d]|\*\*|\d+[^.)\d])")
_LINK_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*\S+.*\n?", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_BOX = re.compile(r"^\s*[-*+]\s+\[[ xX]\]", re.MULTILINE)
_WORK_WORDS = ("TODO", "FIXME", "XXX", "STUB")
_WORK = re.compile(rf"\b(?:{'|'.join(_WORK_WORDS)})\b")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")
_DIVIDER = re.compile(r"[-=─━═~*#/]{3,}")
_RUSTDOC_WORDS = {"rust", "ignore", "no_run", "should_panic", "compile_fail", "standalone_crate"}
_NOT_AN_EXAMPLE = {"compile_fail", "should_panic"}


#: A question, or the paragraphs of one.
_Form = TypeVar("_Form", str, tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file's items are: what a question says about their surroundings."""

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
    #: What `shown` has said of an item, by its identity: the index keeps every item alive.
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
    prose = _prose(markdown.split_code(doc)[0]) if doc else ""
    paragraph = " ".join(prose.split("\n\n", 1)[0].split())
    sentence = _SENTENCE_END.split(paragraph, maxsplit=1)[0]
    return sentence if MIN_DOC_CHARS <= len(sentence) <= 240 else ""


def pairs(
    file: RustFile, place: Place, declared: Declarations, profile: Profile
) -> tuple[list[Pair], list[Drop]]:
    """The rows of one file in source order, and every item that gave none."""
    writer = _Writer(place, declared, file.constants, profile)
    writer.module_doc(file)
    for skipped in file.skipped:
        writer.drop(skipped.line, skipped.name, skipped.reason)
    for item in file.items:
        if item.kind == "function":
            writer.function(item)
        else:
            writer.type_(item)
    if not file.sound:
        writer.drop_unparseable()
    return writer.pairs, writer.drops


@dataclass(frozen=True, slots=True)
class _Api:
    """What a row is about: its name, what it is called in a sentence, and where it stands."""

    symbol: str
    noun: str
    start_line: int
    end_line: int
    difficulty: int
    documented: bool


class _Writer:
    def __init__(
        self,
        place: Place,
        declared: Declarations,
        constants: Sequence[tuple[str, str]],
        profile: Profile,
    ) -> None:
        self.place = place
        self.declared = declared
        self.constants = constants
        self.lanes = {
            mode: profile.lane_for("rust", mode, place.path, place.crate.name)
            for mode in RESPONSE_MODES
        }
        self.pairs: list[Pair] = []
        self.drops: list[Drop] = []

    def drop(self, line: int, name: str, reason: str) -> None:
        symbol = f"{self.place.module}::{name}" if name else self.place.module
        self.drops.append(Drop(STAGE, reason, self.place.path, line, symbol))

    def module_doc(self, file: RustFile) -> None:
        if not file.doc:
            return
        prose, examples = markdown.split_code(file.doc)
        prose = _prose(prose)
        start, end = file.doc_lines
        module, crate = self.place.module, self.place.crate.name
        noun = _module_noun(self.place.path)
        api = _Api(module, noun, start, end, 3, True)
        self._examples(api, prose, examples)
        if problem := _prose_problem(prose):
            self.drop(start, "", f"module documentation {problem}")
            return
        question = _choose(
            module,
            f"What is the Rust {noun} `{module}` of the crate `{crate}` for?",
            f"Explain the {noun} `{module}` (crate `{crate}`) to someone who reads it first.",
            f"What should I know about the {noun} `{module}` of the crate `{crate}` before I "
            "change code in it?",
            f"Describe the responsibility of the {noun} `{module}` in the crate `{crate}`.",
        )
        self._add(api, question, prose, "prose_only", "explain_api")

    def function(self, item: Item) -> None:
        prose, examples = markdown.split_code(item.doc)
        prose = _prose(prose)
        api = self._api(item)
        if item.doc:
            self._explain(item, api, prose)
            self._examples(api, prose, examples)
        if problem := _code_problem(item) or self._undocumented_problem(item, prose):
            self.drop(item.start_line, item.symbol, problem)
            return
        code = answer(item)
        if len(prose) >= MIN_DOC_CHARS:
            question, family = self._implement(item, api, _shorten(prose)), "implement_from_doc"
        else:
            question, family = self._complete(item, api, prose), "complete_signature"
        self._add(api, question, code, "code_only", family)

    def type_(self, item: Item) -> None:
        if not item.doc:
            self.drop(item.start_line, item.symbol, f"{_article(item.kind)} without documentation")
            return
        prose, examples = markdown.split_code(item.doc)
        prose = _prose(prose)
        api = self._api(item)
        self._explain(item, api, prose)
        self._examples(api, prose, examples)
        problem = _code_problem(item)
        if not problem and len(prose) < MIN_DOC_CHARS and not item.members:
            problem = "documentation too short to define it from"
        if problem:
            self.drop(item.start_line, item.symbol, problem)
        else:
            question = self._define(item, _shorten(prose))
            self._add(api, question, answer(item), "code_only", "define_type")

    def drop_unparseable(self) -> None:
        """Let go of code that is not Rust on its own, as recovery from an error may leave it.

        In a sound file every answer is a block of the grammar less some of its members, which
        parses by construction; parsing it again would cost half of the whole extraction.
        """
        for pair in list(self.pairs):
            if pair.response_mode == "code_only" and has_errors(pair.response):
                self.pairs.remove(pair)
                reason = "the answer does not parse on its own"
                line, symbol = pair.source_start_line, pair.source_symbol
                self.drops.append(Drop(STAGE, reason, self.place.path, line, symbol))

    def _undocumented_problem(self, item: Item, prose: str) -> str | None:
        if len(prose) >= MIN_DOC_CHARS:
            return None
        if _body_lines(item) < MIN_UNDOCUMENTED_LINES:
            return f"fewer than {MIN_UNDOCUMENTED_LINES} lines and no documentation to speak of"
        if item.name == "main" and not item.parameters:
            return "a main function that nothing describes"
        if sum(map(len, _LITERAL.findall(item.body))) > MAX_LITERAL_SHARE * len(item.body):
            return "mostly text in literals that nothing describes"
        return None

    # -- questions ---------------------------------------------------------------------------

    def _implement(self, item: Item, api: _Api, prose: str) -> str:
        place, noun = self._where(item), api.noun
        home = f"It belongs in `{_one_line(item.container.header)}`." if item.container else ""
        declared = _sentences(home, _declared(item))
        shown = self._shown(item, prose)
        parts = _choose(
            item.symbol + item.text,
            (
                prose,
                _sentences(
                    f"Write the Rust {noun} `{item.name}` of {place} that does this.", declared
                ),
                shown,
            ),
            (
                f"Write {_article(noun)} for {place} that meets this contract:",
                prose,
                declared,
                shown,
            ),
            (
                f"In {place}, `{item.name}` is documented as follows.",
                prose,
                _sentences(f"Write {_article(noun)} that fits the documentation.", declared),
                shown,
            ),
            (
                self._purpose(),
                f"Add {_article(noun)} called `{item.name}` to {place}. {home}",
                prose,
                _interface(item),
                shown,
            ),
            (
                "Turn this description into Rust.",
                prose,
                _sentences(f"The result is {_article(noun)} in {place}.", declared),
                shown,
            ),
        )
        return _paragraphs(*parts)

    def _complete(self, item: Item, api: _Api, prose: str) -> str:
        place, noun = self._where(item), api.noun
        comments = [f"/// {line}" for line in prose.split("\n") if line]
        comments += [f"// {line}" for line in _remarks(item)]
        stub = f"{_outdented(item.signature, item)} {{\n    todo!()\n}}"
        code = "\n".join([*comments, *item.attributes, stub])
        if item.container:
            code = _wrap(item.container, _indented(code))
        block = "\n\n".join([*self._usable(item, prose), code])
        lead = _choose(
            item.symbol + item.text,
            f"Complete this Rust {noun} from {place}.",
            f"The {noun} `{item.name}` in {place} is declared below without its body. Write it in "
            "full, keeping the signature.",
            f"Replace `todo!()` with working code. This is `{item.symbol}` in {place}.",
            f"Given these declarations from {place}, supply the missing body of `{item.name}`.",
        )
        closing = "Answer with the method inside its block." if item.container else ""
        return _paragraphs(self._purpose(), _sentences(lead, closing), f"```rust\n{block}\n```")

    def _define(self, item: Item, prose: str) -> str:
        place, kind = self._where(item), item.kind
        members = ""
        if item.members:
            label = {"enum": "variants", "trait": "members"}.get(kind, "fields")
            listed = ", ".join(f"`{name}`" for name in item.members[:MAX_LISTED_MEMBERS])
            members = f"Its {label}: {listed}."
        if item.attributes:
            marks = ", ".join(f"`{_one_line(attribute)}`" for attribute in item.attributes)
            members = _sentences(members, f"It carries {marks}.")
        # What an alias stands for is the answer.
        declared = f"`{_one_line(item.signature).split(' = ')[0]}`"
        parts = _choose(
            item.symbol + item.text,
            (f"Define the Rust {kind} {declared} for {place}.", prose, members),
            (
                prose,
                _sentences(
                    f"Write the {kind} `{item.name}` of {place} that this describes.", members
                ),
            ),
            (
                self._purpose(),
                _sentences(f"Declare {_article(kind)} named `{item.name}` in {place}.", members),
                prose,
            ),
            (
                f"Which Rust {kind} in {place} fits this documentation?",
                prose,
                _sentences(f"It is declared as {declared}.", members),
            ),
        )
        return _paragraphs(*parts)

    def _explain(self, item: Item, api: _Api, prose: str) -> None:
        if _prose_problem(prose):
            return
        is_function = item.kind == "function"
        verb = "do" if is_function else "stand for"
        noun = api.noun
        lead = _choose(
            f"explain {api.symbol}",
            f"What does the Rust {noun} `{api.symbol}` {verb}?",
            f"Explain `{api.symbol}` from the crate `{self.place.crate.name}`.",
            f"What should a caller know about the {noun} `{api.symbol}`?",
            f"Document `{api.symbol}`, {_article(noun)} of the crate `{self.place.crate.name}`.",
        )
        signature = f"Its signature is `{_one_line(item.signature)}`." if is_function else ""
        self._add(api, _sentences(lead, signature), prose, "prose_only", "explain_api")

    def _examples(self, api: _Api, prose: str, examples: Sequence[markdown.Fence]) -> None:
        for fence in examples:
            line = api.start_line + fence.start_line - 1
            code = example_code(fence)
            if code is None:
                problem = "a doc example that is not Rust to run"
            elif len(code) < MIN_EXAMPLE_CHARS:
                problem = "a doc example too short to teach a use"
            elif (code := _parseable(code)) is None:
                problem = "a doc example that does not parse"
            else:
                crate = self.place.crate.name
                lead = _choose(
                    f"use {api.symbol} {code}",
                    f"Show how to use the Rust {api.noun} `{api.symbol}`.",
                    f"How is the {api.noun} `{api.symbol}` of the crate `{crate}` used in Rust?",
                    f"Give a Rust example of the {api.noun} `{api.symbol}`.",
                )
                self._add(api, _sentences(lead, purpose_of(prose)), code, "code_only", "use_api")
                continue
            self.drops.append(Drop(STAGE, problem, self.place.path, line, api.symbol))

    # -- surroundings ------------------------------------------------------------------------

    def _api(self, item: Item) -> _Api:
        return _Api(
            f"{self.place.module}::{item.symbol}",
            _noun(item),
            item.start_line,
            item.end_line,
            difficulty(item),
            bool(item.doc),
        )

    def _where(self, item: Item) -> str:
        module = "::".join((self.place.module, *item.modules))
        return f"`{module}` (crate `{self.place.crate.name}`)"

    def _purpose(self) -> str:
        return f"Context: {self.place.purpose.rstrip('.')}." if self.place.purpose else ""

    def _shown(self, item: Item, prose: str) -> str:
        block = "\n\n".join(self._usable(item, prose))
        return f"These are declared already:\n\n```rust\n{block}\n```" if block else ""

    def _usable(self, item: Item, prose: str) -> list[str]:
        """Declarations for an answer to use: its owner, the types of its signature, functions that
        its documentation names or that it calls, constants of its file; as many as fit.
        """
        owner = item.container.type_name if item.container else ""
        header = item.container.header if item.container else ""
        names = [owner, *_TYPE_NAME.findall(f"{item.signature} {header}")]
        names += [f"{of}::{name}" if of else name for of, name in _MENTION.findall(prose)]
        names += _called(item.body, owner)
        shown: list[str] = []
        room = MAX_SHOWN_CHARS
        for name in dict.fromkeys(names):
            found = self.declared.find(self.place.crate.folder, self.place.path, name)
            if found is None or found is item:
                continue
            text = self.declared.shown(found)
            if len(text) <= room:
                shown.append(text)
                room -= len(text)
        for name, text in self.constants:
            if name in item.body and len(text) <= room:
                shown.append(text)
                room -= len(text)
        return shown

    # -- rows --------------------------------------------------------------------------------

    def _add(
        self, api: _Api, question: str, response: str, mode: ResponseMode, family: str
    ) -> None:
        place = self.place
        self.pairs.append(
            Pair(
                messages=turns(question, response),
                lane=self.lanes[mode],
                response_mode=mode,
                task_family=family,
                language="rust" if mode == "code_only" else "markdown",
                origin="human",
                category=place.crate.name,
                difficulty=api.difficulty if mode == "code_only" else prose_difficulty(response),
                source_kind="rust",
                source_path=place.path,
                source_start_line=api.start_line,
                source_end_line=api.end_line,
                source_symbol=api.symbol,
                source_commit=place.commit,
                documented=api.documented,
            )
        )


def answer(item: Item) -> str:
    """The item as code that stands alone: its attributes, and its `impl` or `trait` around it.

    Its own documentation is left out: it is the question. Comments inside stay.
    """
    indent = "    " if item.container else ""
    code = "\n".join(indent + line for line in (*item.attributes, _moved(item, indent)))
    return _wrap(item.container, code) if item.container else code


def difficulty(item: Item) -> int:
    """1 to 10: a point per 15 lines (up to 4) and per 4 branches (up to 3), and one each for

    generics, lifetimes, async and unsafe.
    """
    lines = item.text.count("\n") + 1
    branches = sum(map(item.body.count, _BRANCHES))
    header = item.container.header if item.container else ""
    generic = (
        "<" in item.signature.split("(", 1)[0] or " where" in item.signature or "impl<" in header
    )
    lifetimes = "'" in item.signature
    return min(
        10,
        1
        + min(4, lines // 15)
        + min(3, branches // 4)
        + generic
        + lifetimes
        + ("async " in item.signature)
        + ("unsafe" in item.text),
    )


def prose_difficulty(text: str) -> int:
    """1 to 10: a point for each 500 characters."""
    return min(10, 1 + len(text) // 500)


def example_code(fence: markdown.Fence) -> str | None:
    """The Rust that a doc example shows: lines hidden by `# ` are left out. Null: not Rust."""
    words = {word for word in re.split(r"[\s,]+", fence.info.lower()) if word}
    if words & _NOT_AN_EXAMPLE or not all(
        word in _RUSTDOC_WORDS or word.startswith(("edition", "ignore-", "e0")) for word in words
    ):
        return None
    return _without_hidden(fence.content)


def _without_hidden(code: str) -> str:
    shown: list[str] = []
    for line in code.rstrip("\n").split("\n"):
        stripped = line.lstrip()
        if stripped == "#" or stripped.startswith("# "):
            continue
        shown.append(line.replace("##", "#", 1) if stripped.startswith("##") else line)
    return "\n".join(shown).strip("\n")


def _parseable(code: str) -> str | None:
    """`code` as it stands or, where it ends in a bare expression, inside a function."""
    inside = "\n".join(f"    {line}".rstrip() for line in code.split("\n"))
    wrapped = f"fn main() {{\n{inside}\n}}"
    # What is no Rust in a function is none outside: so prose, slow to parse, is parsed once.
    if has_errors(wrapped):
        return None
    return wrapped if has_errors(code) else code


def _code_problem(item: Item) -> str | None:
    if item.kind == "function" and not item.body:
        return "declared without a body"
    if item.kind == "function" and not item.body[1:-1].strip():
        return "an empty body"
    text = item.text
    if text.count("\n") + 1 > MAX_CODE_LINES:
        return f"longer than {MAX_CODE_LINES} lines"
    if len(text) > MAX_CODE_CHARS:
        return f"longer than {MAX_CODE_CHARS:,} characters"
    if ("todo!" in text or "unimplemented!" in text) and _UNFINISHED.search(item.body):
        return "unfinished: todo! or unimplemented! in its body"
    if ("```" in text or "~~~" in text) and _FENCE.search(text):
        return "holds the marks of a Markdown fence"
    return None


def _prose_problem(prose: str) -> str | None:
    if len(prose) < MIN_PROSE_CHARS:
        return "too short to explain"
    if len(prose) > MAX_PROSE_CHARS:
        return "too long for one answer"
    if "```" in prose or "~~~" in prose or "{{#" in prose or "<!--" in prose:
        return "that is more than prose"
    # A pattern takes as long where nothing matches; a look for its words takes no time.
    has_box = "[" in prose and _BOX.search(prose)
    if has_box or (any(word in prose for word in _WORK_WORDS) and _WORK.search(prose)):
        return "that speaks of work to do"
    return None


def _body_lines(item: Item) -> int:
    """Lines of the body that say something: not blank, not a comment."""
    inside = item.body[1:-1].split("\n")
    return sum(1 for line in inside if (text := line.strip()) and not text.startswith("//"))


def _moved(item: Item, indent: str) -> str:
    """The item's text with its lines moved from where it stood to `indent`."""
    if item.indent == indent or item.has_long_literal:
        return item.text
    first, *rest = item.text.split("\n")
    moved = [indent + line.removeprefix(item.indent) if line.strip() else "" for line in rest]
    return "\n".join([first, *moved])


def _wrap(container: Container, code: str) -> str:
    """`code`, indented already, in its block."""
    associated = "".join(f"    {line}\n" for line in container.associated)
    gap = "\n" if associated else ""
    opening = "\n{" if "\nwhere" in container.header else " {"
    return f"{container.header}{opening}\n{associated}{gap}{code}\n}}"


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in code.split("\n"))


def _outdented(text: str, item: Item) -> str:
    return "\n".join(line.removeprefix(item.indent) for line in text.split("\n"))


def _prose(text: str) -> str:
    """Documentation as prose: headings as lead-ins, links as their words, lines unwrapped."""
    text = _LINK_DEFINITION.sub("", text) if "]:" in text else text
    text = _LINK.sub(_link_words, text) if "[" in text else text
    if "#" in text:
        text = _HEADING.sub(_lead_in, _TITLE.sub("", text))
    return _WRAPPED.sub(" ", text).strip() if "\n" in text else text.strip()


def _lead_in(heading: re.Match[str]) -> str:
    return heading.group(1).rstrip(" \t#:") + ":"


def _link_words(match: re.Match[str]) -> str:
    words = match.group(1)
    is_link = match.group().endswith((")", "]]")) or words.startswith("`")
    return words if is_link else match.group()


def _shorten(prose: str) -> str:
    """Whole paragraphs of `prose`, as many as a question has room for."""
    if len(prose) <= MAX_DOC_CHARS:
        return prose
    cut = prose.rfind("\n\n", 0, MAX_DOC_CHARS)
    return prose[: cut if cut > 0 else MAX_DOC_CHARS].rstrip()


def _remarks(item: Item) -> list[str]:
    lines = [line for line in item.remarks.split("\n") if line and not _DIVIDER.search(line)]
    return lines if sum(map(len, lines)) >= MIN_DOC_CHARS else []


def _module_noun(path: str) -> str:
    """What a file is as a whole: crate roots share the crate's name, and are told apart by this."""
    folder, _, name = path.rpartition("/")
    if name == "build.rs" and not folder.endswith("/src"):
        return "build script"
    if name == "main.rs" or folder.endswith(("/src/bin", "/examples")):
        return "program"
    return "library" if name == "lib.rs" else "module"


def _called(body: str, owner: str) -> list[str]:
    """Names of the functions that a body calls, its own type's as `Owner::name`."""
    names = []
    # Splitting, and reading each word once, takes a fifth of the time of a search for calls.
    pieces = dict.fromkeys(piece[-MAX_CALLEE_CHARS:] for piece in body.split("("))
    for word in dict.fromkeys(piece.rsplit(None, 1)[-1] for piece in pieces if piece.strip()):
        if match := _CALLEE.search(word):
            own, of, name = match.groups("")
            of = owner if own else "" if of in _PATH_WORDS else of
            # That a type has a default says nothing about it.
            if name != "default":
                names.append(f"{of}::{name}" if of else name)
    return names


def _declaration(item: Item) -> str:
    """An item as somebody sees who uses it: a type in full, a function without its body."""
    if item.kind != "function":
        return "\n".join((*item.attributes, item.text))
    purpose = purpose_of(item.doc)
    lines = [f"/// {purpose}"] if purpose else []
    code = "\n".join([*lines, f"{_outdented(item.signature, item)};"])
    return _wrap(item.container, _indented(code)) if item.container else code


def _noun(item: Item) -> str:
    if item.kind != "function":
        return item.kind
    words = [word for word in ("const", "async", "unsafe") if _has_modifier(item, word)]
    if item.container is None:
        words.append("function")
    elif any("self" in parameter.split(":")[0] for parameter in item.parameters[:1]):
        words.append("method")
    else:
        words.append("associated function")
    return " ".join(words)


def _has_modifier(item: Item, word: str) -> bool:
    return f"{word} " in item.signature.split("fn ", 1)[0]


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' and not noun.startswith('union') else 'a'} {noun}"


def _declared(item: Item) -> str:
    declaration = "\n".join((*item.attributes, _outdented(item.signature, item)))
    if "\n" in declaration or len(declaration) > 120:
        return f"It is declared as:\n\n```rust\n{declaration}\n```"
    return f"Its signature is `{declaration}`."


def _interface(item: Item) -> str:
    """Inputs and result in words; functions with generics or attributes show them instead."""
    if item.attributes or "<" in item.signature.split("(", 1)[0] or "where" in item.signature:
        return _declared(item)
    modifiers = item.signature.split("fn ", 1)[0].strip()
    inputs = ", ".join(f"`{_one_line(parameter)}`" for parameter in item.parameters)
    returns = f"returns `{_one_line(item.result)}`" if item.result else "returns nothing"
    declared = f" It is declared `{modifiers}`." if modifiers else ""
    return f"It takes {inputs or 'no arguments'} and {returns}.{declared}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _choose(key: str, *forms: _Form) -> _Form:
    """One of the forms, by content, so that a rebuild asks the same way again."""
    return forms[zlib.crc32(key.encode()) % len(forms)]


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part)


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def index_declarations(files: Mapping[str, RustFile], crate_of: Mapping[str, str]) -> Declarations:
    """All that `files` declare, by the crate folder that `crate_of` gives each path."""
    index = Declarations()
    for path, file in files.items():
        index.add(crate_of[path], path, file)
    return index
