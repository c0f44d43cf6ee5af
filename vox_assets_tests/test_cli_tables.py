"""`vox-assets dedup` and `score` take the tables that other tools write, and lose no row."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from vox_assets.cli import main
from vox_assets.compute.models import LocalModel

ASK = "Why does the loader keep two queues, one of them for pages that failed before?"
REPLY = (
    "The loader keeps the pages that failed in a queue of their own, so that a slow host delays no "
    "other page. It takes one of them after every eighth page that went well."
)
OTHER = {
    "prompt": "What does the tracer write at the end of a run?",
    "response": "It writes one line per span, with the start, the end and the span that it is in.",
}
KEY = "AKIA" + "Q3EGR7ZT5N2WXY4K"


pytestmark = pytest.mark.usefixtures("own_data_dir")


@pytest.fixture
def scoring(tmp_path: Path, base_model: LocalModel, model_dir: Path) -> None:
    # The model that the session has already dequantised.
    shutil.copytree(model_dir, tmp_path / "data" / "cache")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def put(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_dedup_reads_its_own_output_again(tmp_path: Path) -> None:
    source = put(tmp_path / "in.jsonl", {"prompt": ASK, "response": REPLY}, OTHER)
    for name in ("a.jsonl", "b.parquet", "c.jsonl", "d.ndjson"):
        assert main(["dedup", str(source), str(tmp_path / name)]) == 0
        source = tmp_path / name
    assert lines(source) == lines(tmp_path / "a.jsonl")


def test_dedup_keeps_what_rows_hold_besides(tmp_path: Path) -> None:
    rows: list[dict] = [
        {"pair_id": 7, "prompt": ASK, "response": REPLY, "meta": {"k": 1}, "embedding": [0.5]},
        {"pair_id": 8, **OTHER, "meta": "text", "cluster_id": "mine"},
    ]
    source, out = put(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    assert main(["dedup", str(source), str(out)]) == 0
    for row, written in zip(rows, lines(out), strict=True):
        own = {"cluster_id": str(row["pair_id"]), "cluster_size": 1}
        assert written == {**row, **own}


def test_a_dialogue_of_sharegpt_and_an_instruction_are_copies(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": ASK}, {"from": "gpt", "value": REPLY}]
    rows = [{"conversations": turns}, {"instruction": ASK, "input": "", "output": REPLY + "\n"}]
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert main(["dedup", str(source), str(tmp_path / "out.jsonl")]) == 0
    assert len(lines(tmp_path / "out.jsonl")) == 1


@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "in.csv", "in.parquet"])
@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_a_table_without_rows_gives_one(tmp_path: Path, name: str, out: str) -> None:
    source = tmp_path / name
    source.write_text("")
    if name == "in.parquet":
        pl.DataFrame(schema={"prompt": pl.String, "response": pl.String}).write_parquet(source)
    assert main(["dedup", str(source), str(tmp_path / out)]) == 0
    if out == "out.parquet":
        assert pl.read_parquet(tmp_path / out).height == 0
    else:
        assert lines(tmp_path / out) == []


def test_rows_that_cannot_be_compared_stay_and_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = {"prompt": ASK, "response": None}
    rows: list[dict] = [{"prompt": ASK, "response": REPLY}, silent, silent]
    source, out = put(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    assert main(["dedup", str(source), str(out)]) == 0
    assert len(lines(out)) == 3
    assert "2 rows were not compared and stay: response is null (2)" in capsys.readouterr().err


def test_a_conflict_names_both_rows_in_the_log_and_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict] = [
        {"pair_id": n, "prompt": "Which port?", "response": f"Port 70{n}0."} for n in (1, 2)
    ]
    source, out = put(tmp_path / "in.jsonl", *rows, {"pair_id": 3, **OTHER}), tmp_path / "out.jsonl"
    assert main(["dedup", str(source), str(out)]) == 0
    assert [row["conflicts_with"] for row in lines(out)] == ["2", "1", None]
    stderr = capsys.readouterr().err
    assert f"{source}:1" in stderr
    assert f"{source}:2 answer" in stderr or f"{source}:2 and" in stderr


def test_rows_of_one_id_and_rows_with_secrets_are_reported_and_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {"pair_id": "x", "prompt": ASK, "response": f'let key = "{KEY}"; // {REPLY}'}
    source = put(tmp_path / "in.jsonl", first, {"pair_id": "x", **OTHER})
    assert main(["dedup", str(source), str(tmp_path / "out.jsonl")]) == 0
    assert [row["pair_id"] for row in lines(tmp_path / "out.jsonl")] == ["x", "x"]
    stderr = capsys.readouterr().err
    assert "pair_id 'x' names different rows" in stderr
    assert "1 rows hold a secret and are refused by score: aws access key" in stderr
    assert KEY not in stderr


@pytest.mark.parametrize("by", ["answer", "prompt", "both"])
def test_the_choice_of_what_duplicates_share_is_the_users(tmp_path: Path, by: str) -> None:
    rows = [
        {"prompt": ASK, "response": REPLY},
        {"prompt": OTHER["prompt"], "response": REPLY},
        {"prompt": ASK.lower(), "response": OTHER["response"]},
        {"prompt": ASK, "response": REPLY.upper()},
    ]
    source, out = put(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    assert main(["dedup", str(source), str(out), "--by", by]) == 0
    assert len(lines(out)) == {"answer": 2, "prompt": 2, "both": 3}[by]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["dedup", "in.jsonl", "out.csv"], "out.csv: expected a name that ends in .jsonl or"),
        (["dedup", "in.jsonl", "out.jsonl", "--dropped", "./out.jsonl"], "are one file"),
        (["dedup", ".", "out.jsonl"], ".: is a folder: expected a table"),
        (["dedup", "bad.jsonl", "out.jsonl"], "bad.jsonl:2:1: is no JSON"),
        (["score", "in.jsonl", "out.jsonl"], "column 'lane' is missing"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    fault: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("in.jsonl"), OTHER)
    Path("bad.jsonl").write_text("{}\nx\n")
    assert main(arguments) == 1
    stderr = capsys.readouterr().err.strip().splitlines()
    assert len(stderr) == 1
    assert fault in stderr[0]
    assert not list(tmp_path.glob("out*"))


@pytest.mark.usefixtures("scoring")
def test_score_judges_what_it_can_and_says_why_not_for_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = {"lane": "vox_docs_qa", "language": "markdown"}
    rows: list[dict] = [
        {"prompt": ASK, "response": REPLY, **base, "embedding": [1], "source_date": "soon"},
        {"prompt": ASK, "response": f"{REPLY} The key is {KEY}.", **base, "score": 10.0},
        {"prompt": ASK, "response": None, **base},
        {"prompt": "为什么?", "response": "因为旧的版本可能已经失效。", **base},
        {"prompt": ASK, "response": REPLY, **base, "embedding": [1], "source_date": "soon"},
        {"pair_id": 1, **OTHER, **base},
        {"pair_id": 1, "prompt": ASK, "response": REPLY, **base},
    ]
    source, out = put(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    assert main(["score", str(source), str(out)]) == 0
    scored = lines(out)
    assert [row["prompt"] for row in scored] == [rows[n]["prompt"] for n in (0, 1, 2, 3, 5, 6)]
    assert scored[0]["score"] is not None
    assert scored[1]["kept"] is False
    assert scored[1]["drop_reason"].startswith("holds a secret")
    for row, reason in ((scored[2], "response is null"), (scored[3], "Latin")):
        assert row["score"] is None
        assert row["kept"] is False
        assert row["drop_kind"] == "not scored"
        assert reason in row["drop_reason"]
    stderr = capsys.readouterr().err
    assert "1 rows repeat an earlier row and were left out" in stderr
    assert "2 rows were not scored and are not kept" in stderr
    again = tmp_path / "again.parquet"
    assert main(["score", str(out), str(again)]) == 0
    assert pl.read_parquet(again)["kept"].to_list() == [row["kept"] for row in scored]


@pytest.mark.usefixtures("scoring")
def test_score_takes_a_table_of_which_nothing_can_be_scored(tmp_path: Path) -> None:
    base = {"lane": "vox_docs_qa", "language": "markdown"}
    turns = [{"role": "user", "content": ASK}]
    source = put(tmp_path / "in.jsonl", {"messages": turns, **base})
    assert main(["score", str(source), str(tmp_path / "out.jsonl")]) == 0
    assert lines(tmp_path / "out.jsonl")[0]["drop_detail"] == "the dialogue ends with a question"
    (tmp_path / "none.jsonl").write_text("")
    assert main(["score", str(tmp_path / "none.jsonl"), str(tmp_path / "none_out.jsonl")]) == 0
