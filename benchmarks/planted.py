"""Dedup of planted copies against its peers: `python benchmarks/planted.py`.

A made-up table holds families of a row and a copy, of twenty kinds of copies, and hard negatives:
pairs that look alike and state different things. Each tool says which rows it would remove. Recall
is the share of a kind's families of which a tool removes a row; a lost row is a single row, a row
of a hard negative, or the last row of a family. The table is the same on every run.

The peers read prompt and answer as one text and use the thresholds of their documentation. Those
that are not installed (`pip install vox-assets[bench]`) are left out with a line.
"""

from __future__ import annotations

import random
import sys
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dedup
import polars as pl

from vox_assets.cli import main as vox_assets
from vox_assets.compute.models import LocalModel
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.settings import load_settings

SEED = 20261127
#: Families of each kind, pairs of each hard negative, and rows that resemble no other.
FAMILIES, PAIRS, SINGLES = 20, 20, 200

PARTS = (
    "scheduler parser lexer cache daemon planner linker loader router broker indexer sampler "
    "watcher printer resolver compiler packer mixer reader writer tracer balancer crawler merger"
).split()
THINGS = (
    "job token page file packet symbol record frame bucket lease ticket chunk label query session "
    "branch cursor digest window segment mailbox pointer column bundle"
).split()
TRAITS = (
    "depth age size weight owner priority origin checksum deadline colour shape position name rank "
    "length cost distance version order phase"
).split()
ACTS = (
    "sorts keeps drops moves copies marks hides counts splits joins wraps folds stores checks "
    "sends holds delays repeats skips renames"
).split()
REASONS = (
    "a long chain behind it would finish last",
    "the disk is slower than the network",
    "two readers may open it at once",
    "nobody asks for it again",
    "the log must stay short enough to read",
    "an old client still sends the former name",
    "memory is returned in whole blocks only",
    "the clock of a guest may run backwards",
    "a crash would leave half of it behind",
    "the user has already seen the first part",
    "every retry costs another round trip",
    "its neighbours depend on the result",
)
PLACES = (
    "on the first pass",
    "while the queue is full",
    "after a restart",
    "in the nightly run",
    "behind the proxy",
    "under heavy load",
    "on a cold start",
    "during a backup",
)
STATEMENTS = (
    "let {a} = {b}.{t}();",
    "if {a} > {b} {{ return {b}; }}",
    "for {a} in {b}.iter() {{ {a}.{t}({n}); }}",
    "{a}.push({b} + {n});",
    "while {a} < {b} {{ {a} += {n}; }}",
    "let {a} = match {b} {{ {n} => {t}, _ => {b} }};",
    "assert!({a}.{t}() == {n});",
    "{a}.{t}(&{b}, {n})?;",
)


@dataclass(frozen=True)
class Row:
    prompt: str
    answer: str
    language: str = "markdown"


@dataclass(frozen=True)
class Planted:
    """The table; `families` and `kept` hold positions, by kind."""

    rows: list[Row]
    families: dict[str, list[tuple[int, int]]]
    kept: dict[str, list[int]]


def prose(rng: random.Random) -> Row:
    part, thing, other = rng.choice(PARTS), *rng.sample(THINGS, 2)
    traits = rng.sample(TRAITS, 3)
    number = rng.randrange(3, 900)
    sentences = [
        f"The {part} {rng.choice(ACTS)} each {thing} by its {traits[0]} {rng.choice(PLACES)}.",
        f"It {rng.choice(ACTS)} the {other} next, because {rng.choice(REASONS)}.",
        f"At most {number} of them wait {rng.choice(PLACES)}; the {traits[1]} decides which go on.",
        f"When the {traits[2]} is unknown, the {part} {rng.choice(ACTS)} the {thing}, "
        f"since {rng.choice(REASONS)}.",
    ]
    rng.shuffle(sentences)
    prompt = f"How does the {part} treat a {thing} whose {traits[0]} differs from the {other}?"
    return Row(prompt, " ".join(sentences))


def code(rng: random.Random) -> Row:
    act, thing, trait = rng.choice(ACTS), rng.choice(THINGS), rng.choice(TRAITS)
    name = f"{act}_{thing}_{rng.randrange(1000)}"
    names = [f"{word}_{rng.choice('abcdefgh')}" for word in rng.sample(THINGS, 5)]
    lines = [
        "    "
        + rng.choice(STATEMENTS).format(
            a=rng.choice(names), b=rng.choice(names), t=rng.choice(TRAITS), n=rng.randrange(2, 99)
        )
        for _ in range(rng.randrange(6, 10))
    ]
    head = f"fn {name}({names[0]}: &mut Vec<u64>, {names[1]}: u64) -> Option<u64> {{"
    body = "\n".join([head, *lines, f"    Some({names[2]})", "}"])
    return Row(f"Write `{name}`, which {act} a {thing} by its {trait}.", body, "rust")


def _answer(row: Row, answer: str) -> Row:
    return Row(row.prompt, answer, row.language)


def _renamed(row: Row, rng: random.Random) -> Row:
    text, prompt = row.answer, row.prompt
    for number, word in enumerate(sorted({w for w in _words(text) if "_" in w})):
        new = f"{rng.choice('klmnopq')}{number}_{rng.choice(TRAITS)}"
        text, prompt = text.replace(word, new), prompt.replace(word, new)
    return Row(prompt, text, row.language)


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


def _one_word(row: Row, rng: random.Random) -> Row:
    words = row.answer.split(" ")
    places = [
        n for n, word in enumerate(words) if word in ("each", "next,", "them", "waits", "the")
    ]
    words[rng.choice(places)] = "thus"
    return _answer(row, " ".join(words))


def _emphasised(row: Row) -> Row:
    words = row.answer.split(" ")
    return _answer(row, " ".join(["**" + " ".join(words[:5]) + "**", *words[5:]]))


def _invisible(row: Row, rng: random.Random, sign: str) -> Row:
    places = rng.sample(range(3, len(row.answer) - 3), 6)
    text = "".join(sign + c if n in places else c for n, c in enumerate(row.answer))
    return _answer(row, text)


CHINESE = (
    "{0}在每次启动时先读取{1}的摘要,再决定是否重新计算,因为旧的版本可能已经失效。",
    "如果{1}的数量超过上限,{0}会把最早的一批移到磁盘上,并在日志里写下一行说明。",
    "只有当{0}收到确认之后,{1}才会从队列中删除,否则下一次构建仍然会看到它。",
)
CHINESE_NAMES = "调度器 解析器 缓存 守护进程 路由器 索引器 加载器 打印机 编译器 混合器".split()
CHINESE_THINGS = "任务 页面 文件 数据包 符号 记录 会话 标签 查询 分支".split()


def _chinese(rng: random.Random) -> Row:
    who, what = rng.choice(CHINESE_NAMES), rng.choice(CHINESE_THINGS)
    parts = [line.format(who, what) for line in rng.sample(CHINESE, 3)]
    number = rng.randrange(100, 999)
    return Row(f"{who}如何处理{what}{number}?", "".join(parts) + f"编号是{number}。")


#: Kind of copy -> the original's maker and the copy's.
COPIES: dict[str, tuple[Callable[..., Row], Callable[[Row, random.Random], Row]]] = {
    "equal": (prose, lambda row, rng: row),
    "white space": (prose, lambda row, rng: _answer(row, row.answer.replace(" ", "  "))),
    "line breaks": (prose, lambda row, rng: _answer(row, row.answer.replace(". ", ".\r\n\r\n"))),
    "capitals": (prose, lambda row, rng: _answer(row, row.answer.upper())),
    "no punctuation": (
        prose,
        lambda row, rng: _answer(row, "".join(c for c in row.answer if c not in ".,;")),
    ),
    "decomposed accents": (
        lambda rng: _accented(prose(rng)),
        lambda row, rng: _answer(row, unicodedata.normalize("NFD", row.answer)),
    ),
    "zero-width spaces": (prose, partial(_invisible, sign="\u200b")),
    "soft hyphens": (prose, partial(_invisible, sign="\u00ad")),
    "preamble": (
        prose,
        lambda row, rng: _answer(row, f"Sure! Here is what you asked for:\n\n{row.answer}"),
    ),
    "closing words": (prose, lambda row, rng: _answer(row, f"{row.answer}\n\nI hope this helps!")),
    "whole fence": (code, lambda row, rng: _answer(row, f"```rust\n{row.answer}\n```")),
    "quoted lines": (
        code,
        lambda row, rng: _answer(row, "\n".join(f"> {s}" for s in row.answer.split("\n"))),
    ),
    "emphasis": (prose, lambda row, rng: _emphasised(row)),
    "polite prompt": (prose, lambda row, rng: Row(f"Please tell me: {row.prompt}", row.answer)),
    "cut off": (prose, lambda row, rng: _answer(row, row.answer[: len(row.answer) * 2 // 3])),
    "one word": (prose, _one_word),
    "new names": (code, _renamed),
    "reformatted code": (
        code,
        lambda row, rng: _answer(row, row.answer.replace("    ", "\t").replace(" {", "\n{")),
    ),
    "comment added": (
        code,
        lambda row, rng: _answer(row, row.answer.replace("{", "{ // as message above", 1)),
    ),
    "Chinese, one word": (
        _chinese,
        lambda row, rng: _answer(row, row.answer.replace("会", "将会", 1).replace("先", "首先", 1)),
    ),
}


def _accented(row: Row) -> Row:
    return _answer(row, row.answer.replace("e", "é").replace("u", "ü"))


def _hard(kind: str, rng: random.Random) -> tuple[Row, Row]:
    """Two rows that look alike and must both stay."""
    row = prose(rng)
    if kind == "another number":
        number = next(word for word in _words(row.answer) if word.isdigit())
        return row, _answer(row, row.answer.replace(number, str(int(number) + 7)))
    if kind == "a negation":
        return row, _answer(row, row.answer.replace("decides which", "never decides which"))
    if kind == "another name":
        first, second = rng.sample(range(1000), 2)
        text = f"{row.answer} The option is `keep_{first}`."
        return (
            Row(f"Which option says so, keep_{first}?", text),
            Row(f"Which option says so, keep_{second}?", text.replace(str(first), str(second))),
        )
    if kind == "one label":
        calm, hot = prose(rng).answer[:60], prose(rng).answer[:60]
        ask = "Classify the report as calm or urgent, with one word. Report: "
        label = rng.choice(("calm", "urgent"))
        return Row(ask + calm, label), Row(ask + hot, label)
    if kind == "one answer, two questions":
        other = prose(rng)
        return row, Row(other.prompt, row.answer)
    if kind == "two short answers":
        part = rng.choice(PARTS)
        ask = f"On which port does the {part} {rng.randrange(1000)} listen?"
        return Row(ask, f"On port {rng.randrange(2000, 4000)}."), Row(ask, "On none.")
    if kind == "opposite":
        text = row.answer + " The check is enabled by default."
        return _answer(row, text), _answer(row, text.replace("enabled", "disabled"))
    if kind == "another constant":
        program = code(rng)
        number = next(word for word in _words(program.answer.split("\n", 1)[1]) if word.isdigit())
        changed = program.answer.replace(number, str(int(number) + 100))
        return program, _answer(program, changed)
    if kind == "one beginning":
        begin = " ".join(prose(rng).answer for _ in range(4))
        return _answer(row, begin + " " + prose(rng).answer * 2), Row(
            row.prompt, begin + " " + prose(rng).answer * 2
        )
    assert kind == "another unit", kind
    return (
        _answer(row, f"{row.answer} The limit is 30 ms."),
        _answer(row, f"{row.answer} The limit is 30 s."),
    )


HARD = (
    "another number",
    "a negation",
    "another name",
    "one label",
    "one answer, two questions",
    "two short answers",
    "opposite",
    "another constant",
    "one beginning",
    "another unit",
)


def plant() -> Planted:
    """Make the table, in a random order that is the same on every run."""
    rng = random.Random(SEED)
    made: list[tuple[str, int, Row]] = []
    for kind, (make, copy) in COPIES.items():
        for number in range(FAMILIES):
            row = make(rng)
            made += [(kind, number, row), (kind, number, copy(row, rng))]
    for kind in HARD:
        for _ in range(PAIRS):
            made += [(f"not: {kind}", -1, row) for row in _hard(kind, rng)]
    made += [("not: single", -1, rng.choice((prose, code))(rng)) for _ in range(SINGLES)]
    rng.shuffle(made)
    members: dict[tuple[str, int], list[int]] = {}
    kept: dict[str, list[int]] = {}
    for position, (kind, number, _) in enumerate(made):
        if number < 0:
            kept.setdefault(kind.removeprefix("not: "), []).append(position)
        else:
            members.setdefault((kind, number), []).append(position)
    families: dict[str, list[tuple[int, int]]] = {kind: [] for kind in COPIES}
    for (kind, _), (first, second) in members.items():
        families[kind].append((first, second))
    return Planted([row for _, _, row in made], families, kept)


# The tools ------------------------------------------------------------------------------------


def ours(planted: Planted) -> set[int]:
    """`vox-assets dedup` as a user calls it."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.parquet", Path(folder) / "out.parquet"
        pl.DataFrame(
            {
                "position": range(len(planted.rows)),
                "prompt": [row.prompt for row in planted.rows],
                "response": [row.answer for row in planted.rows],
                "language": [row.language for row in planted.rows],
            }
        ).write_parquet(source)
        if vox_assets(["dedup", str(source), str(out)]):
            raise RuntimeError("vox-assets dedup failed")
        return set(range(len(planted.rows))) - set(pl.read_parquet(out)["position"])


def datatrove(texts: list[str]) -> set[int]:
    """The signatures of datatrove with its defaults, and the clusters that its last step makes."""
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Blanks(WordTokenizer):
        """Its text is without punctuation by then: blanks cut it into words as spaCy does."""

        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

        def sent_tokenize(self, text: str) -> list[str]:
            return [text]

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            return [(0, len(text))]

    with tempfile.TemporaryDirectory() as folder:
        # Its default hash refuses text with the pinned release of xxhash.
        config = MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))
        step = MinhashDedupSignature(folder, config=config, language=Blanks())
        parent = list(range(len(texts)))

        def root(row: int) -> int:
            while parent[row] != row:
                parent[row] = parent[parent[row]]
                row = parent[row]
            return row

        buckets: dict[tuple[int, tuple[int, ...]], int] = {}
        for position, text in enumerate(texts):
            shingles = step.get_shingles(text)
            if not shingles.size:
                continue
            for bucket, hashes in enumerate(step.get_signature(shingles)):
                first = buckets.setdefault((bucket, tuple(hashes)), position)
                parent[root(position)] = root(first)
        return {row for row in range(len(texts)) if root(row) != row}


def report(encoder: LocalModel) -> list[str]:
    """Lines of a table: recall per kind of copy, and lost rows per kind, of each tool."""
    planted = plant()
    texts = [f"{row.prompt}\n{row.answer}" for row in planted.rows]
    tools: dict[str, Callable[[], set[int]]] = {
        "vox-assets": partial(ours, planted),
        "semhash": lambda: dedup.semhash(texts, dedup.static_encoder(encoder)),
        # Stricter than its default, which takes most of the single rows here.
        "semhash .99": lambda: dedup.semhash(texts, dedup.static_encoder(encoder), 0.99),
        "datatrove": partial(datatrove, texts),
        "datasketch": partial(dedup.datasketch, texts),
    }
    removed: dict[str, set[int]] = {}
    lines = []
    for name, run in tools.items():
        try:
            removed[name] = run()
        except ImportError as error:
            lines.append(f"{name}: left out: {error}: expected pip install 'vox-assets[bench]'")
    copies = sum(map(len, planted.families.values()))
    lines.append(
        f"planted copies: {len(planted.rows):,} rows, {copies} copies of {len(planted.families)} "
        f"kinds, {sum(map(len, planted.kept.values()))} rows that must stay"
    )
    lines.append(_line("recall of", list(removed)))
    found = dict.fromkeys(removed, 0)
    lost = dict.fromkeys(removed, 0)
    for kind, families in planted.families.items():
        cells = []
        for name, gone in removed.items():
            hits = sum(bool(gone.intersection(family)) for family in families)
            found[name] += hits
            lost[name] += sum(gone.issuperset(family) for family in families)
            cells.append(f"{hits / len(families):.2f}")
        lines.append(_line(f"  {kind}", cells))
    lines.append(_line("  all copies", [f"{hits / copies:.3f}" for hits in found.values()]))
    lines.append(_line("lost of", list(removed)))
    for kind, positions in planted.kept.items():
        cells = []
        for name, gone in removed.items():
            losses = len(gone.intersection(positions))
            lost[name] += losses
            cells.append(f"{losses}/{len(positions)}")
        lines.append(_line(f"  {kind}", cells))
    lines.append(_line("  all rows", [str(count) for count in lost.values()]))
    return lines


def _line(label: str, cells: list[Any]) -> str:
    return f"{label:<30}" + "".join(f"{cell:>12}" for cell in cells)


def main() -> int:
    """Print the table."""
    print("\n".join(report(Models(load_settings()).embedder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
