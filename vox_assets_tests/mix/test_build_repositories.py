"""Two repositories, from their files to the ledger: copies share a side, and the cap holds."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vox_assets.contract.rows import drops_to_frame
from vox_assets.curate.audit import ledger_balances
from vox_assets.curate.dedup import deduplicate
from vox_assets.curate.ledger import build_ledger, fates_by_repository, story
from vox_assets.extract import Extraction, extract_rust_of, source_roots
from vox_assets.mix.build import Mix, build_mix
from vox_assets.mix.split import copied_files
from vox_assets.profiles import Profile, load
from vox_assets_tests.small_corpus import NOUNS, VERBS, count_words, rows_of

FILES, VENDORED, FUNCTIONS = 18, 6, 4


def _function(seed: str) -> str:
    rng = random.Random(seed)
    name = f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}_{rng.randrange(10**6)}"
    lines = [
        f"    let {rng.choice(NOUNS)}_{rng.randrange(99)} = {rng.choice(VERBS)}(total, "
        f"{rng.randrange(999)}) {rng.choice('+-*')} {rng.randrange(999)};"
        for _ in range(rng.randrange(4, 9))
    ]
    head = f"/// Folds the total in the manner of {seed}.\npub fn {name}(total: i64) -> i64 {{"
    return "\n".join([head, *lines, "    total", "}\n"])


def _write(root: Path, crate: str, functions: list[str]) -> None:
    path = root / "crates" / crate / "src/lib.rs"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(functions), encoding="utf-8")


def _policy(**mix: object) -> Profile:
    content = load("sample").model_dump()
    content["repositories"] = [{"name": "main", "root": "."}, {"name": "other", "root": "../other"}]
    content["mix"] |= {"language_caps": {}, "task_family_cap": 1.0, "eval_share": 0.4, **mix}
    return Profile.model_validate(content)


@dataclass
class Corpus:
    """The rows and drops of two workspaces before the mix."""

    extraction: Extraction
    dedup_drops: pl.DataFrame
    scored: pl.DataFrame

    def copies(self, policy: Profile) -> list[tuple[str, str]]:
        return copied_files(
            self.scored, pl.concat([self.extraction.drops, self.dedup_drops]), policy
        )

    def mix(self, policy: Profile, copies: list[tuple[str, str]]) -> Mix:
        return build_mix(self.scored, policy, count_words, copies=copies)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Build a corpus where `other` vendors crates of `main`, with one changed function each."""
    folder = tmp_path_factory.mktemp("repositories")
    for number in range(FILES):
        functions = [_function(f"main {number} {index}") for index in range(FUNCTIONS)]
        _write(folder / "main", f"m{number}", functions)
        if number < VENDORED:
            changed = [*functions[1:], _function(f"vendored {number}")]
            _write(folder / "other", f"vendored-{number}", changed)
    policy = _policy()
    extraction = extract_rust_of(source_roots(policy, folder / "main"), policy, lambda line: None)
    code = extraction.rows.filter(pl.col("response_mode") == "code_only")
    result = deduplicate(code, np.eye(len(code), dtype=np.float32), policy.dedup)
    scored = result.survivors.with_columns(
        pl.lit(8.0).alias("score"),
        pl.lit(True).alias("kept"),
        *(
            pl.lit(None, pl.String).alias(name)
            for name in ("drop_kind", "drop_detail", "drop_reason")
        ),
    )
    return Corpus(Extraction(code, extraction.files, extraction.drops), result.drops, scored)


def test_a_file_that_shares_most_rows_with_another_repository_is_a_copy(corpus: Corpus) -> None:
    copies = {tuple(sorted(pair)) for pair in corpus.copies(_policy())}
    assert copies == {
        (f"main/crates/m{number}/src/lib.rs", f"other/crates/vendored-{number}/src/lib.rs")
        for number in range(VENDORED)
    }


def test_one_shared_row_does_not_make_a_file_a_copy(corpus: Corpus) -> None:
    one_row_each = corpus.dedup_drops.unique("source_path", keep="first")
    assert copied_files(corpus.extraction.rows, one_row_each, _policy()) == []


def _separated(mix: Mix, copies: list[tuple[str, str]]) -> int:
    """Count the pairs of files with rows on both sides; dropped leaks count as held out."""
    sides = defaultdict(set)
    for path, split in mix.rows.select("source_path", "split").iter_rows():
        sides[path].add(split)
    for drop in mix.drops:
        if "a training row" in drop.reason:
            sides[drop.source_path].add("eval")
    return sum(len(sides[path] | sides[other]) > 1 for path, other in copies)


def test_a_changed_copy_stays_on_the_side_of_its_original(corpus: Corpus) -> None:
    policy = _policy()
    copies = corpus.copies(policy)
    assert _separated(corpus.mix(policy, []), copies) > 0, "without `copies`, some are separated"
    mix = corpus.mix(policy, copies)
    assert _separated(mix, copies) == 0
    assert not rows_of(mix, "eval").is_empty()


def test_a_repository_stays_under_its_cap_in_rows_and_in_drawn_tokens(corpus: Corpus) -> None:
    uncapped, capped = _policy(), _policy(repository_cap=0.6)
    copies = corpus.copies(uncapped)

    def share(mix: Mix, column: str) -> float:
        train = rows_of(mix, "train")
        of_main = train.filter(pl.col("source_path").str.starts_with("main/"))
        return float(of_main[column].sum() / train[column].sum())

    whole, cut = corpus.mix(uncapped, copies), corpus.mix(capped, copies)
    ones = pl.lit(1).alias("rows")
    assert share(Mix(whole.rows.with_columns(ones), []), "rows") > 0.7
    drawn = (pl.col("tokens") * pl.col("weight")).alias("drawn")
    cut_rows = Mix(cut.rows.with_columns(ones, drawn), [])
    assert share(cut_rows, "rows") <= 0.6
    assert share(cut_rows, "drawn") <= 0.601
    assert any("repository 'main' is at its cap of 60%" in drop.reason for drop in cut.drops)


def test_the_ledger_counts_the_fates_of_each_repository(corpus: Corpus) -> None:
    policy = _policy()
    mix = corpus.mix(policy, corpus.copies(policy))
    sources = {"raw_rust_fns": corpus.extraction.rows}
    dropped = drops_to_frame(mix.drops)
    ledger = build_ledger(sources, corpus.dedup_drops, corpus.scored, dropped, mix.rows)
    assert ledger_balances(ledger).passed
    fates = fates_by_repository(ledger, sources, policy)
    assert fates["rows"].sum() == corpus.extraction.rows.height
    by_name = dict(fates.group_by("repository").agg(pl.col("rows").sum()).iter_rows())
    assert by_name == {"main": FILES * FUNCTIONS, "other": VENDORED * FUNCTIONS}
    lost = dict(fates.filter(fate="dropped").select("repository", "rows").iter_rows())
    assert sum(lost.values()) >= VENDORED * (FUNCTIONS - 1)


def test_the_story_of_a_row_names_its_source_in_both_repositories(tmp_path: Path) -> None:
    for name in ("main", "other"):
        _write(tmp_path / name, "same", [_function("same")])
    policy = _policy()
    extraction = extract_rust_of(source_roots(policy, tmp_path / "main"), policy, lambda line: None)
    code = extraction.rows.filter(pl.col("response_mode") == "code_only")
    lines = story(
        code["pair_id"].item(), {"raw_rust_fns": code}, {"raw_rust_fns": extraction.drops}
    )
    assert "at main/crates/same/src/lib.rs:" in lines[0]
    assert "at other/crates/same/src/lib.rs:1 lost to it, an earlier repository has" in lines[1]
