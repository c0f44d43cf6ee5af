"""The commands work on real files, and report bad input in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from vox_assets.cli import main
from vox_assets.compute.models import LocalModel
from vox_assets.contract.rows import SCHEMA, to_frame, turns
from vox_assets.curate.scoring import CALIBRATION_FILE, Calibration
from vox_assets.curate.tables import read_table, write_table
from vox_assets.settings import SettingsError, load_settings
from vox_assets.store.cache import BlobCache
from vox_assets.store.lake import Lake
from vox_assets_tests.small_corpus import make_pair
from vox_assets_tests.vox_syntax.vox_on_disk import install

SAMPLE = Path("data/sample_workspace")

GOOD = "fn add(a: int, b: int) to int {\n    return a + b\n}\n"


pytestmark = pytest.mark.usefixtures("own_data_dir")


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@pytest.mark.parametrize("kind", ["rust", "docs"])
def test_extract_writes_rows_of_the_schema(tmp_path: Path, kind: str, ending: str) -> None:
    out = tmp_path / f"rows{ending}"
    assert main(["extract", kind, str(SAMPLE), str(out)]) == 0
    rows = read_table(out)
    assert rows.columns == list(SCHEMA)
    assert len(rows) > 100


PLUGIN = """//! A plugin that counts the ticks of a clock.

/// Returns the number of whole minutes in `ticks`, where one tick lasts a second.
pub fn minutes(ticks: u64) -> u64 {
    let seconds_per_minute = 60;
    ticks / seconds_per_minute
}
"""


@pytest.fixture
def plugin_tree(tmp_path: Path) -> Path:
    """Write a tree whose only crate is tooling in the profile `vox`, and code in `sample`."""
    crate = tmp_path / "tree" / "crates" / "vox-plugin-clock"
    (crate / "src").mkdir(parents=True)
    (crate / "Cargo.toml").write_text('[package]\nname = "vox-plugin-clock"\nversion = "0.1.0"\n')
    (crate / "src" / "lib.rs").write_text(PLUGIN)
    return tmp_path / "tree"


def lanes_of(table: Path) -> set[str]:
    return set(pl.read_parquet(table)["lane"]) - {"vox_docs_qa"}


def test_extract_takes_the_profile_of_the_tree_that_it_reads(
    tmp_path: Path, plugin_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.parquet"
    assert main(["extract", "rust", str(plugin_tree), str(out)]) == 0
    assert lanes_of(out) == {"vox_tooling"}
    assert "read with the profile vox" in capsys.readouterr().err
    assert main(["extract", "rust", str(SAMPLE), str(out)]) == 0
    assert "read with the profile sample" in capsys.readouterr().err


def test_extract_ignores_the_tree_that_is_configured_for_builds(
    tmp_path: Path, plugin_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.parquet"
    for configured in (SAMPLE.resolve(), tmp_path / "removed"):
        monkeypatch.setenv("VOX_SOURCE_DIR", str(configured))
        assert main(["extract", "rust", str(plugin_tree), str(out)]) == 0
        assert lanes_of(out) == {"vox_tooling"}


def test_extract_takes_the_named_profile_before_the_variable(
    tmp_path: Path, plugin_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.parquet"
    arguments = ["extract", "rust", str(plugin_tree), str(out)]
    monkeypatch.setenv("VOX_PROFILE", "sample")
    assert main(arguments) == 0
    assert lanes_of(out) == {"vox_codegen"}
    assert main([*arguments, "--profile", "vox"]) == 0
    assert lanes_of(out) == {"vox_tooling"}


def test_extract_recognises_the_bundled_workspace_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = SAMPLE.resolve()
    monkeypatch.chdir(tmp_path)
    assert main(["extract", "docs", str(source), "rows.parquet"]) == 0
    assert "read with the profile sample" in capsys.readouterr().err


def test_check_vox_prints_file_line_and_column_of_a_fault_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.vox", tmp_path / "bad.vox"
    good.write_text(GOOD)
    bad.write_text("fn f() to int {\n    return !x\n}\n")
    assert main(["check-vox", str(good)]) == 0
    assert main(["check-vox", str(good), str(bad)]) == 1
    assert f"{bad}:2:12" in capsys.readouterr().out


def test_check_vox_uses_the_configured_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOX_FRONTEND", str(install(tmp_path)))
    files = [tmp_path / "good.vox", tmp_path / "screen.vox.ui", tmp_path / "bad.vox"]
    for path, source in zip(files, ["good", "state n: int = 0", "refuse"], strict=True):
        path.write_text(source)
    assert main(["check-vox", *map(str, files[:2])]) == 0
    assert main(["check-vox", *map(str, files)]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{files[2]}:2:5: Undefined variable: fish\n"
    assert "does not know UI modules: the built-in grammar" in printed.err
    assert printed.err.endswith(
        "2 of 3 files are valid, checked with vox 9.8.7+build.65 (abcdef0)\n"
    )


def test_check_vox_reports_a_missing_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOX_FRONTEND", str(tmp_path / "vox"))
    assert main(["check-vox", str(tmp_path / "good.vox")]) == 1
    assert capsys.readouterr().err.startswith("vox-assets: VOX_FRONTEND: ")


def test_check_vox_reports_unreadable_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    latin = tmp_path / "latin.vox"
    latin.write_bytes(b"// caf\xe9\n")
    assert main(["check-vox", str(latin), str(tmp_path / "absent.vox")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [str(latin), str(tmp_path / "absent.vox")]


def test_dedup_accepts_any_table_with_prompt_and_response(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    answer = "A table keeps rows of one type, and an index finds them by a field."
    rows = [{"prompt": f"q{i}", "response": answer, "note": i} for i in range(3)]
    rows.append({"prompt": "q9", "response": "Something else entirely, about actors.", "note": 9})
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dropped = tmp_path / "dropped.jsonl"
    arguments = ["dedup", str(source), str(out), "--dropped", str(dropped), "--by", "answer"]
    assert main(arguments) == 0
    kept = pl.read_parquet(out)
    evidence = [json.loads(line) for line in dropped.read_text().splitlines()]
    assert [row["reason"] for row in evidence] == ["exact duplicate"] * 2
    assert {row["lost_to"] for row in evidence} < set(kept["pair_id"])
    assert all(row["winner_response"] == row["response"] == answer for row in evidence)
    assert sorted(kept["cluster_size"]) == [1, 3]
    assert "note" in kept.columns


def test_score_writes_score_features_and_reason(
    tmp_path: Path, base_model: LocalModel, model_dir: Path
) -> None:
    # Copy the model that the session has already dequantised.
    shutil.copytree(model_dir, tmp_path / "data" / "cache")
    source, out = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    prompt = "Write a Vox function `add(a: int, b: int) to int` that returns the sum of a and b."
    write_table(
        pl.DataFrame(
            {
                "prompt": [prompt, "Do something like the previous example."],
                "response": [GOOD, "fn f() {"],
                "lane": ["vox_codegen"] * 2,
                "language": ["vox"] * 2,
            }
        ),
        source,
    )
    assert main(["score", str(source), str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows[0]["score"] > rows[1]["score"]
    assert rows[1]["kept"] is False
    assert rows[1]["drop_reason"].startswith("artefact: syntax error")
    assert rows[1]["parses"] == 0


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["extract", "rust", "SOURCE", "rows.csv"], "ends in .jsonl or .parquet"),
        (["extract", "rust", "nowhere", "rows.jsonl"], "crates"),
        (["extract", "docs", "nowhere", "rows.jsonl"], "docs"),
        (["extract", "docs", "nowhere", "rows.jsonl"], "SOURCE: "),
        (
            ["extract", "rust", "SOURCE", "rows.jsonl", "--profile", "sampel"],
            "--profile: ",
        ),
        (["dedup", "absent.jsonl", "out.jsonl"], "no such file"),
        (["dedup", "broken.parquet", "out.jsonl"], "cannot be read as parquet"),
        (["dedup", "columns.jsonl", "out.jsonl"], "column 'response' is missing"),
        (["score", "columns.jsonl", "out.jsonl"], "column 'response' is missing"),
        (["explain", "0" * 32], "not built yet"),
        (["verify", "../../etc"], "no such adapter"),
        (["promote", "abc"], "unknown"),
        (["cache", "--prune", "plenty"], "'plenty' is not a size: expected bytes"),
    ],
)
def test_bad_input_is_reported_in_one_line_and_leaves_no_output(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    fault: str,
) -> None:
    source = SAMPLE.resolve()
    monkeypatch.setenv("VOX_SOURCE_DIR", str(source))
    monkeypatch.setenv("VOX_PROFILE", "sample")
    monkeypatch.chdir(tmp_path)
    Path("broken.parquet").write_text("not parquet")
    Path("columns.jsonl").write_text('{"prompt": "x"}\n')
    assert main([str(source) if a == "SOURCE" else a for a in arguments]) == 1
    message = capsys.readouterr().err.strip()
    assert fault in message
    assert len(message.splitlines()) == 1
    assert not list(tmp_path.glob("out*")) + list(tmp_path.glob("rows*"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["dedup", "in.jsonl", "out.jsonl"], "data/cache"),
        (["dedup", "in.jsonl", "in.jsonl/out.jsonl"], "in.jsonl"),
        (["extract", "rust", "tree", "in.jsonl/out.jsonl"], "in.jsonl"),
        (["explain", "0" * 32], "data/lake"),
        (["verify", "abc"], "data/adapters"),
    ],
)
def test_a_place_that_cannot_be_written_is_reported_in_one_line(
    tmp_path: Path, arguments: list[str], named: str
) -> None:
    # Data below a file can be neither read nor written, by any user.
    row = {"prompt": "q", "response": GOOD, "lane": "vox_codegen", "language": "vox"}
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "tree" / "crates").mkdir(parents=True)
    if named.startswith("data/"):
        (tmp_path / "data").mkdir()
        (tmp_path / named).write_text("a file")
    done = run_outside_checkout(tmp_path, *arguments)
    assert done.returncode == 1
    assert named in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("vox-assets: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_explain_takes_the_first_digits_of_an_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = to_frame([make_pair(index, 0) for index in range(40)])
    Lake(str(tmp_path / "data" / "lake")).write("raw_rust_fns", rows)
    ids = sorted(rows["pair_id"])
    assert main(["explain", ids[0][:8]]) == 0
    short = capsys.readouterr().out
    assert main(["explain", ids[0]]) == 0
    assert capsys.readouterr().out == short
    # Forty ids have sixteen first digits at most, so two of them share one.
    shared = next(a[0] for a, b in pairwise(ids) if a[0] == b[0])
    assert main(["explain", shared]) == 1
    message = capsys.readouterr().err
    assert "rows start with it: expected more characters of one of" in message
    assert len(message.splitlines()) == 1
    assert main(["explain", ""]) == 1
    assert "the id of the row is empty" in capsys.readouterr().err


def test_explain_reports_a_damaged_table_in_one_line(tmp_path: Path) -> None:
    log = tmp_path / "data" / "lake" / "raw_rust_fns" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("junk")
    done = run_outside_checkout(tmp_path, "explain", "0" * 32)
    assert done.returncode == 1
    assert done.stderr.startswith("vox-assets: raw_rust_fns at ")
    assert len(done.stderr.splitlines()) == 1


def test_cache_shows_each_cache_and_prunes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOX_CACHE_LIMIT", "2GB")
    folder = tmp_path / "data" / "cache"
    assert main(["cache"]) == 0
    assert f"{folder} has no caches yet" in capsys.readouterr().out
    assert not folder.exists()

    vectors = BlobCache(folder / "vectors.sqlite")
    vectors.put({str(number): bytes(1500) for number in range(1000)})
    (folder / "endpoint.sqlite").write_text("no database at all")
    superseded = folder / "smollm2-135m-instruct-0000"
    superseded.mkdir()
    (superseded / "model.safetensors").write_bytes(bytes(3_000_000))
    assert main(["cache"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    table = {line.split()[0]: line.split() for line in lines}
    assert header.split() == ["cache", "entries", "size", "limit", "used", "(UTC)"]
    assert table["vectors"][1] == "1,000"
    assert table["vectors"][4:6] == ["2,000.0", "MB"]
    assert table["endpoint"][1] == "0"
    assert table["superseded"][1:4] == ["1", "3.0", "MB"]
    assert table["damaged"][1] == "1"

    assert main(["cache", "--json"]) == 0
    content = {item["name"]: item for item in json.loads(capsys.readouterr().out)}
    assert content["vectors"]["entries"] == 1000
    assert content["vectors"]["limit"] == 2_000_000_000
    assert content["superseded"]["bytes"] == 3_000_000

    assert main(["cache", "--prune", "1MB"]) == 0
    remaining = capsys.readouterr().out
    assert "superseded" not in remaining
    assert "damaged" not in remaining
    assert (folder / "vectors.sqlite").stat().st_size <= 1_000_000
    assert 100 < vectors.contents().entries < 1000
    assert not superseded.exists()


def test_the_help_lists_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vox_assets.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    commands = (
        "init doctor extract check-vox dedup score explain adapters promote verify ask status "
        "alert cache build"
    )
    for command in commands.split():
        assert command in done.stdout


def run_outside_checkout(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder outside the checkout, without any setting of the project."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOX_")}
    return subprocess.run(
        [sys.executable, "-m", "vox_assets.cli", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_the_version_option_prints_the_version_of_the_package(tmp_path: Path) -> None:
    done = run_outside_checkout(tmp_path, "--version")
    assert done.returncode == 0
    assert done.stdout == f"vox-assets {version('vox-assets')}\n"


def test_dedup_runs_outside_the_checkout(tmp_path: Path) -> None:
    rows = [{"pair_id": name, "prompt": name, "response": "fn f() {}"} for name in "ab"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run_outside_checkout(tmp_path, "dedup", "in.jsonl", "out.jsonl", "--by", "answer")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1


def test_a_command_that_reads_only_the_lake_needs_no_source_tree(tmp_path: Path) -> None:
    done = run_outside_checkout(tmp_path, "explain", "0" * 32)
    assert done.returncode == 1
    assert "VOX_SOURCE_DIR" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configured_source_tree_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"VOX_SOURCE_DIR: .*nowhere is not a directory"):
        load_settings({"VOX_SOURCE_DIR": str(tmp_path / "nowhere")})


def test_score_runs_outside_the_checkout(
    tmp_path: Path, base_model: LocalModel, model_dir: Path
) -> None:
    # Copy the model that the session has already dequantised.
    shutil.copytree(model_dir, tmp_path / "data" / "cache")
    rows = [
        {"prompt": prompt, "response": answer, "lane": "vox_codegen", "language": language}
        for prompt, answer, language in (
            ("Write `add(a: int, b: int) to int`.", GOOD, "vox"),
            ("Write `add(a: int, b: int) to int`.", GOOD, "vox"),
            ("Write `add(a, b)`.", "def add(a, b):\n    return a + b", "python"),
        )
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run_outside_checkout(tmp_path, "score", "in.jsonl", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
    assert "python: no fitted weights: scored with the weights of rust" in done.stderr
    assert "1 rows repeat an earlier row and were left out" in done.stderr


def test_calibrate_writes_the_weights_to_the_given_file_and_not_into_the_package(
    tmp_path: Path, tiny_base: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOX_BASE_MODEL", str(tiny_base.path))
    before = CALIBRATION_FILE.read_bytes()
    table, out = tmp_path / "rows.parquet", tmp_path / "weights.json"
    pairs = [
        make_pair(
            index,
            0,
            messages=turns(
                f"Write `part_{index}`, which adds {index}.",
                f"fn part_{index}(a: int) to int {{\n    let b = a + {index}\n    return b * 2\n}}",
            ),
        )
        for index in range(160)
    ]
    write_table(to_frame(pairs), table)
    assert main(["calibrate", "7", str(table), "--out", str(out)]) == 0
    fitted = Calibration.load(out)
    assert fitted.version == "7"
    assert list(fitted.forms) == ["vox"]
    assert CALIBRATION_FILE.read_bytes() == before


def test_calibrate_refuses_too_few_rows_and_writes_no_file(
    tmp_path: Path,
    tiny_base: LocalModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VOX_BASE_MODEL", str(tiny_base.path))
    table, out = tmp_path / "rows.parquet", tmp_path / "weights.json"
    write_table(to_frame([make_pair(index, 0) for index in range(9)]), table)
    assert main(["calibrate", "7", str(table), "--out", str(out)]) == 1
    assert "too few rows to fit on: expected at least 60" in capsys.readouterr().err
    assert not out.exists()


def test_calibrate_needs_an_output_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["calibrate", "7", str(tmp_path / "rows.parquet")])
    assert exit_info.value.code == 2
    assert "--out" in capsys.readouterr().err
    assert main(["calibrate", "7", "rows.parquet", "--out", str(tmp_path)]) == 1
    assert "expected a name that ends in .json" in capsys.readouterr().err
