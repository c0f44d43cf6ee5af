"""Corpus rows from Rust items: the question and answer of each.

The task families are `implement_from_doc`, `complete_signature`, `define_type`, `explain_api`
(prose) and `use_api`. `items` parses the files, and `crates` arranges them into modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vox_assets.contract.rows import RESPONSE_MODES, Drop, Pair, Reason, ResponseMode, turns
from vox_assets.extract.docs import markdown
from vox_assets.extract.questions import choose
from vox_assets.extract.rust.attributes import has_test_attribute
from vox_assets.extract.rust.declarations import (
    MAX_LISTED_MEMBERS,
    MAX_SHOWN_CHARS,
    MIN_CUT_CHARS,
    NO_IMPORTS,
    TYPE_NAME,
    Declarations,
    FileContext,
    constant_shown,
    declared_by,
    indented,
    interface_of,
    moved_to,
    one_line,
    outdented,
    purpose_of,
    wrap,
)
from vox_assets.extract.rust.doc_comment import (
    MIN_DOC_CHARS,
    paragraphs,
    prose_of,
    remarks,
    sentences,
    shorten,
)
from vox_assets.extract.rust.items import Item, RustFile, has_errors
from vox_assets.extract.rust.names import COMMON_METHODS, imports_in, used
from vox_assets.extract.rust.questions import MENTION, article_for, module_noun, noun_of
from vox_assets.extract.rust.selection import (
    LITERAL,
    MAX_LITERAL_SHARE,
    MIN_EXAMPLE_CHARS,
    MIN_UNDOCUMENTED_LINES,
    WORD,
    body_lines,
    code_problem,
    difficulty,
    example_code,
    parseable,
    prose_difficulty,
    prose_problem,
)
from vox_assets.profiles import Profile

STAGE = "extract_rust"

#: Names of the workspace that an answer may use unseen: a model can guess one from its context, and
#: more make it invent them.
MAX_UNSHOWN_NAMES = 1

#: The kind of the reason of a row that is dropped for its names.
UNSHOWN = "needs names that the prompt cannot show"

#: Names of a drop's reason that it lists.
MAX_LISTED_NAMES = 8


def pairs(
    file: RustFile, context: FileContext, declared: Declarations, profile: Profile
) -> tuple[list[Pair], list[Drop]]:
    """Write the rows of one file in source order, and a drop for every item without a row."""
    writer = _Writer(context, declared, profile)
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
    """The subject of a row: its name, its noun in a sentence, and its location."""

    symbol: str
    noun: str
    start_line: int
    end_line: int
    difficulty: int
    documented: bool


@dataclass(frozen=True, slots=True)
class _Need:
    """A declaration that code uses, and the word that a question mentions it by."""

    word: str
    #: The item, or the text of a constant or macro.
    declared: Item | str
    #: Whether the code names it for certain: whose method `.name()` is, only types can tell.
    certain: bool


class _Writer:
    def __init__(
        self,
        context: FileContext,
        declared: Declarations,
        profile: Profile,
    ) -> None:
        self.context = context
        self.declared = declared
        #: What names of the file mean, without imports inside of a body.
        self.resolved: dict[str, Item | str | None] = {}
        self.lanes = {
            mode: profile.lane_for("rust", mode, context.path, context.crate.name)
            for mode in RESPONSE_MODES
        }
        self.pairs: list[Pair] = []
        self.drops: list[Drop] = []

    def drop(self, line: int, name: str, reason: Reason | str) -> None:
        symbol = f"{self.context.module}::{name}" if name else self.context.module
        self.drops.append(Drop(STAGE, reason, self.context.path, line, symbol))

    def module_doc(self, file: RustFile) -> None:
        if not file.doc:
            return
        prose, examples = markdown.split_code(file.doc)
        prose = prose_of(prose)
        start, end = file.doc_lines
        module, crate = self.context.module, self.context.crate.name
        noun = module_noun(self.context.path)
        api = _Api(module, noun, start, end, 3, True)
        self._examples(api, prose, examples)
        if problem := prose_problem(prose):
            self.drop(start, "", f"module documentation {problem}")
            return
        question = choose(
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
        prose = prose_of(prose)
        api = self._api(item)
        if item.doc:
            self._explain(item, api, prose)
            self._examples(api, prose, examples)
        if problem := code_problem(item) or self._undocumented_problem(item, prose):
            self.drop(item.start_line, item.symbol, problem)
            return
        code = answer(item)
        needs = self._needs(item.body, item)
        if len(prose) >= MIN_DOC_CHARS:
            shown = self._usable(item, shorten(prose), needs)
            question, family = (
                self._implement(item, api, shorten(prose), shown),
                "implement_from_doc",
            )
        else:
            shown = self._usable(item, prose, needs)
            question, family = self._complete(item, api, prose, shown), "complete_signature"
        self._add_code(api, question, code, family, needs)

    def type_(self, item: Item) -> None:
        if not item.doc:
            self.drop(
                item.start_line, item.symbol, f"{article_for(item.kind)} without documentation"
            )
            return
        prose, examples = markdown.split_code(item.doc)
        prose = prose_of(prose)
        api = self._api(item)
        self._explain(item, api, prose)
        self._examples(api, prose, examples)
        problem = code_problem(item)
        if not problem and len(prose) < MIN_DOC_CHARS and not item.members:
            problem = "documentation too short to define it from"
        if problem:
            self.drop(item.start_line, item.symbol, problem)
        else:
            needs = self._needs(item.text, item)
            question = self._define(item, shorten(prose), self._fitting(needs, item.text))
            self._add_code(api, question, answer(item), "define_type", needs)

    def drop_unparseable(self) -> None:
        """Drop answers that do not parse alone, which error recovery in the parser can produce.

        In a file without syntax errors every answer is a block of the grammar without some of its
        members, which always parses; parsing it again would cost half of the whole extraction.
        """
        kept = []
        for pair in self.pairs:
            if pair.response_mode == "code_only" and has_errors(pair.response):
                reason = "the answer does not parse on its own"
                line, symbol = pair.source_start_line, pair.source_symbol
                self.drops.append(Drop(STAGE, reason, self.context.path, line, symbol))
            else:
                kept.append(pair)
        self.pairs = kept

    def _undocumented_problem(self, item: Item, prose: str) -> str | None:
        if len(prose) >= MIN_DOC_CHARS:
            return None
        if body_lines(item) < MIN_UNDOCUMENTED_LINES:
            return f"fewer than {MIN_UNDOCUMENTED_LINES} lines and no documentation to speak of"
        if item.name == "main" and not item.parameters:
            return "a main function that nothing describes"
        if sum(map(len, LITERAL.findall(item.body))) > MAX_LITERAL_SHARE * len(item.body):
            return "mostly text in literals that nothing describes"
        return None

    # -- questions ---------------------------------------------------------------------------

    def _implement(self, item: Item, api: _Api, prose: str, usable: Sequence[str]) -> str:
        where, noun = self._where(item), api.noun
        home = f"It belongs in `{one_line(item.container.header)}`." if item.container else ""
        declared = sentences(home, declared_by(item))
        shown = _block(usable)
        parts = choose(
            item.symbol + item.text,
            (
                prose,
                sentences(
                    f"Write the Rust {noun} `{item.name}` of {where} that does this.", declared
                ),
                shown,
            ),
            (
                f"Write {article_for(noun)} for {where} that meets this contract:",
                prose,
                declared,
                shown,
            ),
            (
                f"In {where}, `{item.name}` is documented as follows.",
                prose,
                sentences(f"Write {article_for(noun)} that fits the documentation.", declared),
                shown,
            ),
            (
                self._purpose(),
                f"Add {article_for(noun)} called `{item.name}` to {where}. {home}",
                prose,
                interface_of(item),
                shown,
            ),
            (
                "Turn this description into Rust.",
                prose,
                sentences(f"The result is {article_for(noun)} in {where}.", declared),
                shown,
            ),
        )
        return paragraphs(*parts)

    def _complete(self, item: Item, api: _Api, prose: str, usable: Sequence[str]) -> str:
        where, noun = self._where(item), api.noun
        comments = [f"/// {line}" for line in prose.split("\n") if line]
        comments += [f"// {line}" for line in remarks(item)]
        stub = f"{outdented(item.signature, item)} {{\n    todo!()\n}}"
        code = "\n".join([*comments, *item.attributes, stub])
        shown = list(usable)
        if item.container:
            code = wrap(item.container, indented(code))
            trait = self.declared.find(
                self.context.crate.folder, self.context.path, item.container.type_name
            )
            if trait is not None and trait.kind == "trait" and _owner(item) == trait.name:
                # The trait is shown once: with the stub in the place of the method.
                whole = self.declared.shown(trait)
                if whole in shown and whole.count(f"{item.signature};") == 1:
                    shown.remove(whole)
                    body = f"{item.signature} {{\n{item.indent}    todo!()\n{item.indent}}}"
                    code = whole.replace(f"{item.signature};", body)
        block = "\n\n".join([*shown, code])
        lead = choose(
            item.symbol + item.text,
            f"Complete this Rust {noun} from {where}.",
            f"The {noun} `{item.name}` in {where} is declared below without its body. Write it in "
            "full, keeping the signature.",
            f"Replace `todo!()` with working code. This is `{item.symbol}` in {where}.",
            f"Given these declarations from {where}, supply the missing body of `{item.name}`.",
        )
        closing = "Answer with the method inside its block." if item.container else ""
        return paragraphs(self._purpose(), sentences(lead, closing), f"```rust\n{block}\n```")

    def _define(self, item: Item, prose: str, usable: Sequence[str]) -> str:
        where, kind = self._where(item), item.kind
        members = ""
        if item.members:
            label = {"enum": "variants", "trait": "members"}.get(kind, "fields")
            listed = ", ".join(f"`{name}`" for name in item.members[:MAX_LISTED_MEMBERS])
            members = f"Its {label}: {listed}."
        if item.attributes:
            marks = ", ".join(f"`{one_line(attribute)}`" for attribute in item.attributes)
            members = sentences(members, f"It carries {marks}.")
        # The target of an alias is the answer.
        declared = f"`{one_line(item.signature).split(' = ')[0]}`"
        shown = _block(usable)
        parts = choose(
            item.symbol + item.text,
            (f"Define the Rust {kind} {declared} for {where}.", prose, members, shown),
            (
                prose,
                sentences(
                    f"Write the {kind} `{item.name}` of {where} that this describes.", members
                ),
                shown,
            ),
            (
                self._purpose(),
                sentences(f"Declare {article_for(kind)} named `{item.name}` in {where}.", members),
                prose,
                shown,
            ),
            (
                f"Which Rust {kind} in {where} fits this documentation?",
                prose,
                sentences(f"It is declared as {declared}.", members),
                shown,
            ),
        )
        return paragraphs(*parts)

    def _explain(self, item: Item, api: _Api, prose: str) -> None:
        if prose_problem(prose):
            return
        is_function = item.kind == "function"
        verb = "do" if is_function else "stand for"
        noun, crate = api.noun, self.context.crate.name
        lead = choose(
            f"explain {api.symbol}",
            f"What does the Rust {noun} `{api.symbol}` {verb}?",
            f"Explain `{api.symbol}` from the crate `{crate}`.",
            f"What should a caller know about the {noun} `{api.symbol}`?",
            f"Document `{api.symbol}`, {article_for(noun)} of the crate `{crate}`.",
        )
        signature = f"Its signature is `{one_line(item.signature)}`." if is_function else ""
        self._add(api, sentences(lead, signature), prose, "prose_only", "explain_api")

    def _examples(self, api: _Api, prose: str, examples: Sequence[markdown.Fence]) -> None:
        for fence in examples:
            line = api.start_line + fence.start_line - 1
            code = example_code(fence)
            if code is None:
                problem = "a doc example that is not Rust to run"
            elif len(code) < MIN_EXAMPLE_CHARS:
                problem = "a doc example too short to teach a use"
            elif has_test_attribute(code):
                problem = "a doc example that is a test"
            elif (code := parseable(code)) is None:
                problem = "a doc example that does not parse"
            else:
                crate = self.context.crate.name
                lead = choose(
                    f"use {api.symbol} {code}",
                    f"Show how to use the Rust {api.noun} `{api.symbol}`.",
                    f"How is the {api.noun} `{api.symbol}` of the crate `{crate}` used in Rust?",
                    f"Give a Rust example of the {api.noun} `{api.symbol}`.",
                )
                needs = self._needs(code, None)
                shown = _block(self._fitting(needs, code))
                question = paragraphs(sentences(lead, purpose_of(prose)), shown)
                self._add_code(api, question, code, "use_api", needs)
                continue
            self.drops.append(Drop(STAGE, problem, self.context.path, line, api.symbol))

    # -- context -----------------------------------------------------------------------------

    def _api(self, item: Item) -> _Api:
        return _Api(
            f"{self.context.module}::{item.symbol}",
            noun_of(item),
            item.start_line,
            item.end_line,
            difficulty(item),
            bool(item.doc),
        )

    def _where(self, item: Item) -> str:
        module = "::".join((self.context.module, *item.modules))
        return f"`{module}` (crate `{self.context.crate.name}`)"

    def _purpose(self) -> str:
        return f"Context: {self.context.purpose.rstrip('.')}." if self.context.purpose else ""

    def _needs(self, code: str, item: Item | None) -> list[_Need]:
        """Return the declarations of the workspace that code uses, the most used first.

        `item` is what the code declares, if it declares one.
        """
        own = "" if item is None else item.name
        container = item.container if item is not None else None
        owner = container.type_name if container else own
        around = f"{item.signature} {container.header if container else ''}" if item else ""
        declared, imported = self.declared, imports_in(code)
        needs: dict[int | str, _Need] = {}
        sight: set[str] = set()
        for name, _ in used(code, owner).most_common():
            last = name.rpartition("::")[2]
            if name[0] == ".":
                if name[1:] not in declared.words or name[1:] in COMMON_METHODS:
                    continue
                sight = sight or set(TYPE_NAME.findall(f"{code} {around}"))
                found: Item | str | None = declared.method(name[1:], sight)
            elif "::" in name or last.rstrip("!") in declared.words or last in imported:
                found = self._resolve(name, imported)
            else:
                continue
            if found is None or found is item:
                continue
            if isinstance(found, str):
                needs.setdefault(found, _Need(last.rstrip("!"), found, certain=True))
            elif found.name != own and f"{_word_of(found)} {found.name}" not in code:
                needs.setdefault(id(found), _Need(found.name, found, certain=name[0] != "."))
        return list(needs.values())

    def _resolve(self, name: str, imported: Mapping[str, str] = NO_IMPORTS) -> Item | str | None:
        folder, path = self.context.crate.folder, self.context.path
        if imported:
            return self.declared.resolve(folder, path, name, imported)
        if name not in self.resolved:
            self.resolved[name] = self.declared.resolve(folder, path, name)
        return self.resolved[name]

    def _usable(self, item: Item, prose: str, needs: Sequence[_Need]) -> list[str]:
        """Return declarations that the answer may use, as many as fit.

        These are its owner, the types of its signature, the functions that its documentation names,
        and what it uses.
        """
        owner = item.container.type_name if item.container else ""
        header = item.container.header if item.container else ""
        names = [owner, *TYPE_NAME.findall(f"{item.signature} {header}")]
        names += [f"{of}::{name}" if of else name for of, name in MENTION.findall(prose)]
        first = [
            _Need(found.name, found, certain=False)
            for name in dict.fromkeys(names)
            if name and isinstance(found := self._resolve(name), Item) and found is not item
        ]
        return self._fitting([*first, *needs], item.body)

    def _fitting(self, needs: Sequence[_Need], code: str) -> list[str]:
        """Return the declarations of `needs` that fit, in order; of long types what `code` uses."""
        shown: dict[str, None] = {}
        traits: set[str] = set()
        words: set[str] = set()
        room = MAX_SHOWN_CHARS
        for need in needs:
            other = need.declared
            if isinstance(other, str):
                text = constant_shown(other)
            elif _owner(other) in traits:
                continue
            else:
                text = self.declared.shown(other)
                if len(text) > room and other.kind != "function" and room >= MIN_CUT_CHARS:
                    words = words or set(WORD.findall(code))
                    text = self.declared.cut(other, words)
                elif len(text) <= room and other.kind == "trait":
                    traits.add(other.name)
            if len(text) <= room and text not in shown:
                shown[text] = None
                room -= len(text)
        return list(shown)

    # -- rows --------------------------------------------------------------------------------

    def _add_code(
        self, api: _Api, question: str, code: str, family: str, needs: Sequence[_Need]
    ) -> None:
        """Add a row of code, unless it uses several names that its question does not show."""
        unshown = [
            need.word for need in needs if need.certain and not _mentions(question, need.word)
        ]
        if len(unshown) > MAX_UNSHOWN_NAMES:
            reason = Reason(UNSHOWN, ", ".join(unshown[:MAX_LISTED_NAMES]))
            self.drops.append(Drop(STAGE, reason, self.context.path, api.start_line, api.symbol))
        else:
            self._add(api, question, code, "code_only", family)

    def _add(
        self, api: _Api, question: str, response: str, mode: ResponseMode, family: str
    ) -> None:
        context = self.context
        self.pairs.append(
            Pair(
                messages=turns(question, response),
                lane=self.lanes[mode],
                response_mode=mode,
                task_family=family,
                language="rust" if mode == "code_only" else "markdown",
                origin="human",
                category=context.crate.name,
                difficulty=api.difficulty if mode == "code_only" else prose_difficulty(response),
                source_kind="rust",
                source_path=context.path,
                source_start_line=api.start_line,
                source_end_line=api.end_line,
                source_symbol=api.symbol,
                source_commit=context.commit,
                documented=api.documented,
            )
        )


def _block(usable: Sequence[str]) -> str:
    """Return the part of a question that shows declarations."""
    block = "\n\n".join(usable)
    return f"These are declared already:\n\n```rust\n{block}\n```" if block else ""


def _mentions(question: str, word: str) -> bool:
    """Return whether a question contains a word; a pattern for each word is slow to compile."""
    at = question.find(word)
    while at >= 0:
        around = question[at - 1 : at] + question[at + len(word) : at + len(word) + 1]
        if not any(sign.isalnum() or sign == "_" for sign in around):
            return True
        at = question.find(word, at + 1)
    return False


def _word_of(item: Item) -> str:
    """Return the keyword of a declaration."""
    return {"function": "fn", "type alias": "type", "module": "mod"}.get(item.kind, item.kind)


def _owner(item: Item) -> str:
    """Return the trait whose declaration contains a method, or an empty text."""
    container = item.container
    return container.type_name if container and container.trait_name is None else ""


def answer(item: Item) -> str:
    """Return the item as self-contained code: with its attributes and its `impl` or `trait` block.

    Its documentation is omitted, because the question quotes it. Comments in the body remain.
    """
    indent = "    " if item.container else ""
    code = "\n".join(indent + line for line in (*item.attributes, moved_to(item, indent)))
    return wrap(item.container, code) if item.container else code
