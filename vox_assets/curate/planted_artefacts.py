"""Plants artefacts in answers, to measure how many of them the detectors find.

The phrases are independent of the patterns of `artefacts`, and each kind has several forms.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from vox_assets.curate.features import PROSE


class Clean(NamedTuple):
    """A row to spoil: one question, its answer and the language of the answer."""

    question: str
    answer: str
    language: str


def _comment(text: str, language: str) -> str:
    return text if language in PROSE else f"// {text}"


def _insert_line(row: Clean, line: str, rng: random.Random) -> str:
    """Insert a comment, or a sentence after one of the paragraphs of prose."""
    if row.language in PROSE:
        parts = row.answer.split("\n\n")
        at = rng.randrange(len(parts))
        parts[at] += f" {line}" if parts[at][-1:] in ".!?:" else f"\n\n{line}"
        return "\n\n".join(parts)
    lines = row.answer.splitlines()
    lines.insert(rng.randrange(len(lines) + 1), f"    // {line}")
    return "\n".join(lines)


def _chatter(row: Clean, rng: random.Random) -> str:
    before = rng.choice(
        (
            "Sure! Here is the code you asked for:\n\n",
            "Certainly! Below is an explanation.\n\n",
            "Great question! ",
            "Of course, happy to help.\n\n",
            "Here's a possible solution:\n\n",
            "",
        )
    )
    after = rng.choice(
        (
            "\n\nI hope this helps!",
            "\n\nLet me know if you need anything else.",
            "\n\nFeel free to ask if something is unclear.",
            "\n\nAs an AI language model, I cannot run this myself.",
            "\n\nWould you like me to add tests?",
            "" if before else "\n\nIf you have any further questions, just ask.",
        )
    )
    return before + row.answer + after


def _template(row: Clean, rng: random.Random) -> str:
    token = rng.choice(
        (
            *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "[/INST]", "<end_of_turn>"),
            *("### Response:", "{{ answer }}", "{{user_name}}", "${TOPIC}", "[INSERT NAME HERE]"),
            *("<your text here>", "{% endif %}", "Assistant: here is what you want"),
        )
    )
    if token[0] in "<[#A" and rng.random() < 0.5:
        return f"{row.answer}\n{token}" if token[0] != "A" else f"{token}\n{row.answer}"
    return _insert_line(row, token, rng) if token[0] not in "#A" else f"{token}\n{row.answer}"


def _html(row: Clean, rng: random.Random) -> str:
    parts = row.answer.split(" ")
    at = rng.randrange(len(parts))
    form = rng.choice(
        (
            "<b>{}</b>",
            "<br>{}",
            '<div class="note">{}</div>',
            "&nbsp;{}",
            "<!-- {} -->",
            "{}<sup>1</sup>",
        )
    )
    parts[at] = form.format(parts[at].replace("`", ""))
    return " ".join(parts)


def _licence(row: Clean, rng: random.Random) -> str:
    header = rng.choice(
        (
            "Copyright (c) 2021 The Authors. All rights reserved.",
            "SPDX-License-Identifier: MIT",
            'Licensed under the Apache License, Version 2.0 (the "License");',
            "This file is licensed under the terms of the MIT license.",
            "© 2019 Some Company",
        )
    )
    return f"{_comment(header, row.language)}\n\n{row.answer}"


def _line_numbers(row: Clean, rng: random.Random) -> str:
    form = rng.choice(("{}: {}", "{} | {}", "{:>4}  {}", "{}\t{}"))
    first = rng.choice((1, 1, 17, 120))
    lines = row.answer.splitlines()
    return "\n".join(form.format(first + n, line) for n, line in enumerate(lines))


def _mojibake(row: Clean, rng: random.Random) -> str:
    word = rng.choice(
        ("donâ€™t", "cafÃ©", "â€œquotedâ€\x9d", "a â€” b", "naÃ¯ve", "10Â°", "\ufffd\ufffd")
    )
    return _insert_line(row, f"Note that {word} is kept.", rng)


def _invisible(row: Clean, rng: random.Random) -> str:
    sign = rng.choice("\u200b\u200e\u202e\u2066\ufeff\u00ad\u2060")
    at = rng.randrange(len(row.answer) + 1)
    return row.answer[:at] + sign + row.answer[at:]


def _echo(row: Clean, rng: random.Random) -> str:
    question = row.question
    if rng.random() < 0.5:
        sentences = [s for s in re.split(r"(?<=[.?!])\s+", question) if len(s.split()) > 4]
        asks = [s for s in sentences if s.rstrip().endswith("?")]
        question = rng.choice(asks) if asks else row.question
    # A question of several lines cannot be a line comment: it is put before the code as it is.
    text = question if "\n" in question else _comment(question, row.language)
    return f"{text}\n\n{row.answer}"


def _twice(row: Clean, rng: random.Random) -> str:
    return row.answer + rng.choice(("\n", "\n\n")) + row.answer


def _item_twice(row: Clean, rng: random.Random) -> str:
    """Repeat one sentence, list item or block."""
    if row.language in PROSE:
        parts = re.split(r"(?<=[.!?])\s+|\n+", row.answer)
        parts = [part for part in parts if len(part.split()) > 9]
        if not parts:
            return row.answer
        part = rng.choice(parts)
        # A row of a table or an item of a list has a line of its own.
        return f"{row.answer}{chr(10) if part[:1] in '|-*+' else ' '}{part}"
    blocks = [part for part in row.answer.split("\n\n") if len(part.splitlines()) > 3]
    return f"{row.answer}\n\n{rng.choice(blocks)}" if blocks else row.answer


def _reference(row: Clean, rng: random.Random) -> str:
    said = ("As I said in my previous answer, this matters.", "As mentioned above, order matters.")
    seen = (
        *("See Figure 3 for the whole picture.", "The diagram below shows the flow."),
        *("As shown in Table 2, the limits differ.", "The screenshot above illustrates this."),
    )
    return _insert_line(row, rng.choice(said + seen if row.language in PROSE else said), rng)


def _foreign(_row: Clean, rng: random.Random) -> str:
    return rng.choice(_FOREIGN)


_FOREIGN = (
    "Die Funktion liest den Wert aus der Tabelle und gibt ihn zurück, wenn er nicht leer ist.",
    "Cette fonction lit la valeur dans le fichier et la renvoie, sauf si elle est vide.",
    "Esta función lee el valor de la tabla y lo devuelve, pero solo cuando no está vacío.",
    "Deze functie leest de waarde uit het bestand en geeft het terug, maar niet als die leeg is.",
    "Questa funzione legge il valore dal file e lo restituisce, ma non quando è vuoto.",
    "\u8be5\u51fd\u6570\u4ece\u8868\u4e2d\u8bfb\u53d6\u503c\u5e76\u8fd4\u56de\u7ed9\u8c03\u7528\u8005",
    "Функция читает значение из таблицы и возвращает вызывающему, если там не пусто.",
)


def _default_body(row: Clean, rng: random.Random) -> str:
    """Replace the body of a function that takes parameters by a default value."""
    match = re.search(r"\bfn\s+\w+[^({]*\((?P<all>[^()]*\w\s*:\s*[^()]*)\)[^{;]*\{", row.answer)
    if match is None or re.match(r"\s*_", match["all"]):
        return row.answer
    depth, end = 1, match.end()
    while end < len(row.answer) and depth:
        depth += {"{": 1, "}": -1}.get(row.answer[end], 0)
        end += 1
    filler = rng.choice(_DEFAULTS[row.language])
    return f"{row.answer[: match.end()]}\n    {filler}\n{row.answer[end - 1 :]}"


_DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "rust": ("Default::default()", "None", "Ok(())", "0", "false", "Vec::new()", ""),
    "vox": ("return 0", 'return ""', "return []", "return false", ""),
}


def _declaration_dropped(row: Clean, rng: random.Random) -> str:
    """Drop a whole `let` statement whose variable is used later and declared nowhere else."""
    lets = [
        match
        for match in re.finditer(
            r"^[ \t]+let\s+(?:mut\s+)?([a-z]\w*)[^\n{]*(?:;|\)|\w|\")\n", row.answer, re.MULTILINE
        )
        if re.search(rf"\b{match[1]}\b", row.answer[match.end() :])
        and (row.language != "rust" or match[0].rstrip().endswith(";"))
        and len(re.findall(rf"\blet\s+(?:mut\s+)?{match[1]}\b", row.answer)) == 1
        # A parameter of this name would be used instead.
        and not re.search(rf"\b{match[1]}\s*:\s*[&\w\[(]", row.answer)
    ]
    if not lets:
        return row.answer
    match = rng.choice(lets)
    return row.answer[: match.start()] + row.answer[match.end() :]


_CALLED = re.compile(r"(?<![\w!])(?<!fn )([a-z]\w{2,})(?=\()")
_KEYWORDS = frozenset("match while return for loop move async await unsafe where".split())
#: Words of which no workspace makes a name.
_INVENTED = ("frobnify", "wibblate", "snorkelise", "quuxify", "blurgle")


def _call_renamed(row: Clean, rng: random.Random) -> str:
    """Rename one call of a function or method to a name that exists nowhere."""
    calls = [
        match
        for match in _CALLED.finditer(row.answer)
        if match[1] not in _KEYWORDS
        # Not in a literal or a comment.
        and '"' not in row.answer[row.answer.rfind("\n", 0, match.start()) + 1 : match.start()]
        and "//" not in row.answer[row.answer.rfind("\n", 0, match.start()) + 1 : match.start()]
    ]
    if not calls:
        return row.answer
    match = rng.choice(calls)
    name = f"{rng.choice(_INVENTED)}_{match[1]}"
    return row.answer[: match.start()] + name + row.answer[match.end() :]


UNKNOWN_NAME = "unknown name"

#: Kind of planted artefact -> description, and the function that plants it.
PLANTED: Mapping[str, tuple[str, Callable[[Clean, random.Random], str]]] = {
    "chatter": ("what an assistant says around an answer", _chatter),
    "template": ("tokens and variables of a template", _template),
    "html": ("tags and entities, in prose", _html),
    "licence": ("a licence or copyright header", _licence),
    "line numbers": ("a number before every line", _line_numbers),
    "mojibake": ("wrongly decoded characters in a comment or sentence", _mojibake),
    "invisible": ("a zero-width or bidirectional sign", _invisible),
    "echo": ("the question before the answer", _echo),
    "twice": ("the answer given twice", _twice),
    "item twice": ("a sentence or block given twice", _item_twice),
    "missing reference": ("a reference to a figure or turn that is not there", _reference),
    "foreign language": ("prose in another language", _foreign),
    "trivial body": ("the body of a function replaced by a default value", _default_body),
    "undeclared name": ("a `let` statement dropped", _declaration_dropped),
    UNKNOWN_NAME: ("a call renamed to a name that exists nowhere", _call_renamed),
}
_PROSE_ONLY = frozenset({"html", "foreign language"})
_CODE_ONLY = frozenset({"trivial body", "undeclared name", UNKNOWN_NAME})


def spoil(row: Clean, kind: str, rng: random.Random) -> str | None:
    """Return the answer with an artefact of a kind, or None where the kind does not apply."""
    if (row.language in PROSE and kind in _CODE_ONLY) or (
        row.language not in PROSE and kind in _PROSE_ONLY
    ):
        return None
    answer = PLANTED[kind][1](row, rng)
    return answer if answer != row.answer else None
