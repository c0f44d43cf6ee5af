"""Rust items as corpus rows: which items are used, and the question and answer of each.

The task families: `implement_from_doc`, `complete_signature`, `define_type`, `explain_api` (prose)
and `use_api`. Reading syntax belongs to `rust`, and who sees the file to `crates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vox_assets.contract.rows import RESPONSE_MODES, Drop, Pair, Reason, ResponseMode, turns
from vox_assets.extract.docs import markdown
from vox_assets.extract.questions import choose
from vox_assets.extract.rust.declarations import (
    MAX_LISTED_MEMBERS,
    MAX_SHOWN_CHARS,
    TYPE_NAME,
    Declarations,
    Place,
    called_by,
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
from vox_assets.extract.rust.questions import MENTION, article_for, module_noun, noun_of
from vox_assets.extract.rust.worth import (
    LITERAL,
    MAX_LITERAL_SHARE,
    MIN_EXAMPLE_CHARS,
    MIN_UNDOCUMENTED_LINES,
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
    """The subject of a row: its name, its noun in a sentence, and its location."""

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

    def drop(self, line: int, name: str, reason: Reason | str) -> None:
        symbol = f"{self.place.module}::{name}" if name else self.place.module
        self.drops.append(Drop(STAGE, reason, self.place.path, line, symbol))

    def module_doc(self, file: RustFile) -> None:
        if not file.doc:
            return
        prose, examples = markdown.split_code(file.doc)
        prose = prose_of(prose)
        start, end = file.doc_lines
        module, crate = self.place.module, self.place.crate.name
        noun = module_noun(self.place.path)
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
        if len(prose) >= MIN_DOC_CHARS:
            question, family = self._implement(item, api, shorten(prose)), "implement_from_doc"
        else:
            question, family = self._complete(item, api, prose), "complete_signature"
        self._add(api, question, code, "code_only", family)

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
            question = self._define(item, shorten(prose))
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
        if body_lines(item) < MIN_UNDOCUMENTED_LINES:
            return f"fewer than {MIN_UNDOCUMENTED_LINES} lines and no documentation to speak of"
        if item.name == "main" and not item.parameters:
            return "a main function that nothing describes"
        if sum(map(len, LITERAL.findall(item.body))) > MAX_LITERAL_SHARE * len(item.body):
            return "mostly text in literals that nothing describes"
        return None

    # -- questions ---------------------------------------------------------------------------

    def _implement(self, item: Item, api: _Api, prose: str) -> str:
        place, noun = self._where(item), api.noun
        home = f"It belongs in `{one_line(item.container.header)}`." if item.container else ""
        declared = sentences(home, declared_by(item))
        shown = self._shown(item, prose)
        parts = choose(
            item.symbol + item.text,
            (
                prose,
                sentences(
                    f"Write the Rust {noun} `{item.name}` of {place} that does this.", declared
                ),
                shown,
            ),
            (
                f"Write {article_for(noun)} for {place} that meets this contract:",
                prose,
                declared,
                shown,
            ),
            (
                f"In {place}, `{item.name}` is documented as follows.",
                prose,
                sentences(f"Write {article_for(noun)} that fits the documentation.", declared),
                shown,
            ),
            (
                self._purpose(),
                f"Add {article_for(noun)} called `{item.name}` to {place}. {home}",
                prose,
                interface_of(item),
                shown,
            ),
            (
                "Turn this description into Rust.",
                prose,
                sentences(f"The result is {article_for(noun)} in {place}.", declared),
                shown,
            ),
        )
        return paragraphs(*parts)

    def _complete(self, item: Item, api: _Api, prose: str) -> str:
        place, noun = self._where(item), api.noun
        comments = [f"/// {line}" for line in prose.split("\n") if line]
        comments += [f"// {line}" for line in remarks(item)]
        stub = f"{outdented(item.signature, item)} {{\n    todo!()\n}}"
        code = "\n".join([*comments, *item.attributes, stub])
        if item.container:
            code = wrap(item.container, indented(code))
        block = "\n\n".join([*self._usable(item, prose), code])
        lead = choose(
            item.symbol + item.text,
            f"Complete this Rust {noun} from {place}.",
            f"The {noun} `{item.name}` in {place} is declared below without its body. Write it in "
            "full, keeping the signature.",
            f"Replace `todo!()` with working code. This is `{item.symbol}` in {place}.",
            f"Given these declarations from {place}, supply the missing body of `{item.name}`.",
        )
        closing = "Answer with the method inside its block." if item.container else ""
        return paragraphs(self._purpose(), sentences(lead, closing), f"```rust\n{block}\n```")

    def _define(self, item: Item, prose: str) -> str:
        place, kind = self._where(item), item.kind
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
        parts = choose(
            item.symbol + item.text,
            (f"Define the Rust {kind} {declared} for {place}.", prose, members),
            (
                prose,
                sentences(
                    f"Write the {kind} `{item.name}` of {place} that this describes.", members
                ),
            ),
            (
                self._purpose(),
                sentences(f"Declare {article_for(kind)} named `{item.name}` in {place}.", members),
                prose,
            ),
            (
                f"Which Rust {kind} in {place} fits this documentation?",
                prose,
                sentences(f"It is declared as {declared}.", members),
            ),
        )
        return paragraphs(*parts)

    def _explain(self, item: Item, api: _Api, prose: str) -> None:
        if prose_problem(prose):
            return
        is_function = item.kind == "function"
        verb = "do" if is_function else "stand for"
        noun = api.noun
        lead = choose(
            f"explain {api.symbol}",
            f"What does the Rust {noun} `{api.symbol}` {verb}?",
            f"Explain `{api.symbol}` from the crate `{self.place.crate.name}`.",
            f"What should a caller know about the {noun} `{api.symbol}`?",
            f"Document `{api.symbol}`, {article_for(noun)} of the crate `{self.place.crate.name}`.",
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
            elif (code := parseable(code)) is None:
                problem = "a doc example that does not parse"
            else:
                crate = self.place.crate.name
                lead = choose(
                    f"use {api.symbol} {code}",
                    f"Show how to use the Rust {api.noun} `{api.symbol}`.",
                    f"How is the {api.noun} `{api.symbol}` of the crate `{crate}` used in Rust?",
                    f"Give a Rust example of the {api.noun} `{api.symbol}`.",
                )
                self._add(api, sentences(lead, purpose_of(prose)), code, "code_only", "use_api")
                continue
            self.drops.append(Drop(STAGE, problem, self.place.path, line, api.symbol))

    # -- surroundings ------------------------------------------------------------------------

    def _api(self, item: Item) -> _Api:
        return _Api(
            f"{self.place.module}::{item.symbol}",
            noun_of(item),
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
        names = [owner, *TYPE_NAME.findall(f"{item.signature} {header}")]
        names += [f"{of}::{name}" if of else name for of, name in MENTION.findall(prose)]
        names += called_by(item.body, owner)
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
    """The item as self-contained code: its attributes, and its `impl` or `trait` around it.

    Its own documentation is left out: it is the question. Comments inside stay.
    """
    indent = "    " if item.container else ""
    code = "\n".join(indent + line for line in (*item.attributes, moved_to(item, indent)))
    return wrap(item.container, code) if item.container else code
