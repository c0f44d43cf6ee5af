from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import polars as pl
import pytest

from vox_assets.contract import rows
from vox_assets.profiles import Profile
from vox_assets.synthesize import Synthesis, synthesize
from vox_assets.synthesize.vox import coverage, lexicon, programs, reserved, templates
from vox_assets.synthesize.vox.programs import Gate
from vox_assets.vox_syntax import CONSTRUCTS


@pytest.fixture(scope="module")
def synthesis(
    rust_rows: pl.DataFrame,
    doc_rows: pl.DataFrame,
    profile: Profile,
    gate: Gate,
    read_source: Callable[[str], str],
) -> Synthesis:
    return synthesize(rust_rows, doc_rows, profile, check_vox=gate, read_source=read_source)


def test_the_profile_decides_the_number_of_rows(synthesis: Synthesis, profile: Profile) -> None:
    counts = dict(synthesis.rows.group_by("task_family").len().iter_rows())
    policy = profile.synthesis
    assert counts["dialogue"] == policy.dialogues
    assert counts["repair_syntax"] == policy.repairs
    assert synthesis.rows.height == policy.programs + policy.dialogues + policy.repairs


def test_the_frames_have_their_schemas_and_ids_are_unique(synthesis: Synthesis) -> None:
    assert dict(synthesis.rows.schema) == rows.SCHEMA
    assert dict(synthesis.drops.schema) == rows.DROP_SCHEMA
    assert dict(synthesis.coverage.schema) == coverage.SCHEMA
    assert synthesis.rows["pair_id"].is_unique().all()


def test_ids_are_computed_from_the_content(synthesis: Synthesis) -> None:
    for row in synthesis.rows.iter_rows(named=True):
        assert row["pair_id"] == rows.pair_id(row["lane"], row["messages"])
        assert row["response"] == row["messages"][-1]["content"]


def test_every_answer_is_code_alone_and_vox_passes_the_gate(
    synthesis: Synthesis, gate: Gate
) -> None:
    for row in synthesis.rows.iter_rows(named=True):
        for turn in row["messages"][1::2]:
            assert "```" not in turn["content"]
            if row["language"] == "vox":
                assert gate(turn["content"]) is None


def test_no_row_is_rendered_in_an_exam_domain_or_from_an_exam_variant(
    synthesis: Synthesis,
) -> None:
    rendered = {
        tuple(symbol.split("::")[:3])
        for symbol in synthesis.rows["source_symbol"]
        if symbol.count("::") >= 2
    }
    renamed = {
        symbol.rpartition("::as_")[2]
        for symbol in synthesis.rows["source_symbol"]
        if "::as_" in symbol
    }
    domains = {domain for _, _, domain in rendered} | renamed
    assert domains & {domain.name for domain in reserved.open_domains(lexicon.load())}
    assert renamed
    assert not domains & reserved.EXAM_DOMAINS
    assert not {
        (construct, name)
        for construct, name, _ in rendered
        if name in reserved.EXAM_VARIANTS.get(construct, ())
    }


def test_parents_are_live_rows(
    synthesis: Synthesis, rust_rows: pl.DataFrame, doc_rows: pl.DataFrame
) -> None:
    known = {*rust_rows["pair_id"], *doc_rows["pair_id"]}
    parents = set(synthesis.rows["parents"].explode().drop_nulls())
    assert parents
    assert parents <= known


_DIGEST = """
import hashlib, polars as pl, sys
from pathlib import Path
from vox_assets import profiles
from vox_assets.extract import source_reader
from vox_assets.profiles import Synthesis
from vox_assets.synthesize import synthesize
from vox_assets.vox_syntax import check
few = Synthesis(seed=3, programs=40, dialogues=6, repairs=6)
profile = profiles.load("sample").model_copy(update={"synthesis": few})
gate = lambda source: next(map(str, check(source)), None)
frames = [pl.read_parquet(path) for path in sys.argv[1:]]
read = source_reader(Path.cwd())
synthesis = synthesize(*frames, profile, check_vox=gate, read_source=read)
result = synthesis.rows.write_json() + synthesis.drops.write_json()
print(hashlib.sha256(result.encode()).hexdigest())
"""


def test_another_process_makes_the_same_rows_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, rust_rows: pl.DataFrame, doc_rows: pl.DataFrame
) -> None:
    """Python's hashes differ from process to process; the rows must not."""
    folder = tmp_path_factory.mktemp("rows")
    rust_rows.write_parquet(folder / "rust.parquet")
    doc_rows.write_parquet(folder / "docs.parquet")
    files = [str(folder / "rust.parquet"), str(folder / "docs.parquet")]
    command = [sys.executable, "-c", _DIGEST, *files]
    digests = {
        subprocess.run(
            command, check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_coverage_counts_live_and_synthetic_rows(synthesis: Synthesis) -> None:
    counts = {name: (live, new) for name, live, new in synthesis.coverage.iter_rows()}
    assert set(counts) == set(CONSTRUCTS)
    assert counts["table"][0] == 1
    assert counts["table"][1] > 0
    assert coverage.missing(synthesis.coverage) == []


def test_missing_lists_live_constructs_without_synthetic_rows() -> None:
    table = pl.DataFrame(
        {
            "construct": ["table", "actor", "form"],
            "live_count": [2, 1, 0],
            "synthetic_count": [0, 3, 0],
        }
    )
    assert coverage.missing(table) == ["table"]


def test_a_template_drifts_when_a_construct_that_it_requires_is_no_longer_live(
    doc_rows: pl.DataFrame, profile: Profile, gate: Gate
) -> None:
    variants = [
        variant for variant in templates.load() if variant.construct in ("actors", "tables")
    ]
    stream = programs.candidates(variants, lexicon.load()[:3], 1)
    written, _ = programs.take(stream, 20, programs.Pool(), 1, gate)
    frame = rows.to_frame(programs.pair(program, profile) for program in written)
    drifted = coverage.drifted(frame, coverage.table(doc_rows, frame))
    assert drifted == {"synthesize/templates/actors.vox.j2": ("actor",)}
