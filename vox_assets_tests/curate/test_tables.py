"""Tables of other tools are read as they come, and what is wrong is named by line and column."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.curate.tables import TableError, read_table, write_with

ROWS = [
    {"prompt": "Why two queues?", "response": "One is for retries.", "tags": ["a"], "n": 1},
    {"prompt": "Wozu ein Tor?", "response": "Für späte Gäste: „drei“.", "tags": [], "n": None},
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def read(tmp_path: Path, name: str, content: bytes | str) -> list[dict]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    records = read_table(path).records
    return records.to_dicts() if isinstance(records, pl.DataFrame) else records


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.jsonl", LINES.encode()),
        ("mark.jsonl", b"\xef\xbb\xbf" + LINES.encode()),
        ("joined.jsonl", b"".join(b"\xef\xbb\xbf" + x for x in LINES.encode().splitlines(True))),
        ("windows.jsonl", LINES.replace("\n", "\r\n").encode()),
        ("blank.jsonl", ("\n  \n" + LINES.replace("\n", "\n\n\t\n")).encode()),
        ("no_last_newline.jsonl", LINES.rstrip().encode()),
        ("capitals.JSONL", LINES.encode()),
        ("lines.ndjson", LINES.encode()),
        ("lines.json", LINES.encode()),
        ("no_ending", LINES.encode()),
        ("array.json", json.dumps(ROWS, indent=1).encode()),
        ("array.jsonl", json.dumps(ROWS).encode()),
        ("indented.json", "\n".join(json.dumps(row, indent=2) for row in ROWS).encode()),
        ("packed.jsonl.gz", gzip.compress(LINES.encode())),
        ("packed_without_saying.jsonl", gzip.compress(LINES.encode())),
        ("two_members.jsonl.gz", b"".join(map(gzip.compress, LINES.encode().splitlines(True)))),
        ("wide.jsonl", LINES.encode("utf-16")),
    ],
)
def test_the_same_rows_are_read_from_every_form(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(tmp_path, name, content) == ROWS


def test_a_parquet_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "rows.bin"
    pl.DataFrame(ROWS).write_parquet(path)
    assert read(tmp_path, "again.jsonl", path.read_bytes()) == ROWS


@pytest.mark.parametrize(("name", "sign"), [("t.csv", ","), ("t.tsv", "\t"), ("t.CSV", ",")])
def test_cells_of_csv_may_hold_lines_and_quotes(tmp_path: Path, name: str, sign: str) -> None:
    text = f'prompt{sign}response\r\na{sign}"one\nand ""two"""\r\n\r\nb{sign}{"long " * 40_000}\r\n'
    rows = read(tmp_path, name, text)
    assert rows[0] == {"prompt": "a", "response": 'one\nand "two"'}
    assert len(rows[1]["response"]) == 200_000


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.ndjson", "t.jsonl.gz"])
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_rows(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(tmp_path, name, content) == []
    assert read(tmp_path, "array.json", "[ ]") == []
    assert read(tmp_path, "header.csv", "prompt,response\n") == []


@pytest.mark.parametrize(
    ("name", "content", "place", "fault"),
    [
        ("t.jsonl", b'{"a": 1}\n{"a": "b', ":2:7: ", "ends inside an object"),
        ("t.jsonl", b'{"a": 1}\n\n{"a" 2}\n', ":3:6: ", "is no JSON"),
        ("t.jsonl", b'{"a": 1} {"a": 2}\n', ":1:9: ", "expected the line to end"),
        ("t.jsonl", b'{"a": 1}\n[2]\n', ":2: ", "expected an object, is an array"),
        ("t.jsonl", b'{"a": 1}\n7\n', ":2: ", "expected an object, is a number"),
        ("t.jsonl", b'{"a": 1, "b": {"c": 1, "c": 2}}\n', ":1: ", 'the key "c" occurs twice'),
        ("t.jsonl", '{"a": "é"}\n'.encode("latin-1"), ":1:8: ", "byte 0xe9 is no UTF-8"),
        ("t.jsonl", b"[" * 200_000, ":1", ""),
        ("t.jsonl", b'{"a": ' + b"9" * 9_000 + b"}", ":1: ", ""),
        ("t.json", b'[{"a": 1}\n {"a": 2}]', ":2:2: ", "expected ',' or ']'"),
        ("t.json", b'[{"a": 1},\n 3]', ":2: ", "expected an object, is a number"),
        ("t.json", b'[{"a": 1}] x', ":1:12: ", "expected the end of the file"),
        ("t.json", b'[{"a": 1}', ":1:10: ", "expected ',' or ']'"),
        ("t.csv", b'a,b\n1,2\n"x\ny",3,4\n', ":3: ", "expected 2 cells as in the header, is 3"),
        ("t.csv", b'a,b\n"x,y\n', ":2: ", "is no CSV"),
        ("t.csv", b"a,a\n1,2\n", ":1: ", "column 'a' occurs twice"),
        ("t.parquet", b"no table", ": ", "cannot be read as parquet"),
        ("t.jsonl.zst", b"\x28\xb5\x2f\xfd rest", ": ", "is zstd: expected"),
        ("t.jsonl.gz", gzip.compress(LINES.encode())[:-9], ": ", "cannot be read"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(
    tmp_path: Path, name: str, content: bytes, place: str, fault: str
) -> None:
    with pytest.raises(TableError) as refused:
        read(tmp_path, name, content)
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / name}{place}")
    assert fault in message
    assert "\n" not in message


def test_what_json_cannot_hold_is_repaired_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": NaN, "b": [1e999, "x\\ud83d"], "c": "\\ud83d\\ude00 \\u0000"}\n')
    table = read_table(path)
    assert table.records == [{"a": None, "b": [None, "x\ufffd"], "c": "\U0001f600 \0"}]
    assert sorted(table.repairs.values()) == [1, 1, 1]


def test_rows_are_written_as_they_were_given(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [
        {"note": "text", "pair_id": 7, "size": 1},
        {"note": {"a": [1, None]}, "late": 12345678901234567890123},
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_with(read_table(source), [1, 0], {"pair_id": ["x", 7], "size": [2, 3]}, out)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"pair_id": "x", **rows[1], "size": 2},
        {"pair_id": 7, "note": "text", "size": 3},
    ]


def test_parquet_refuses_a_column_of_two_types_and_names_the_row(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    source.write_text('{"note": "text"}\n\n{"note": {"a": 1}}\n')
    with pytest.raises(TableError, match=r"in.jsonl:3: column 'note' is an object, and text"):
        write_with(read_table(source), [0, 1], {}, out)
    assert not out.exists()


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["t.jsonl", "t.json", "t.csv", "t.parquet"]))
def test_any_bytes_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(content)
    try:
        read_table(path)
    except TableError as error:
        assert "\n" not in str(error)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=6,
            ),
            max_size=4,
        ),
        max_size=6,
    )
)
def test_what_is_written_is_what_was_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict]
) -> None:
    folder = tmp_path_factory.mktemp("same")
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = read_table(folder / "in.jsonl")
    write_with(table, range(len(table)), {}, folder / "out.jsonl")
    assert read_table(folder / "out.jsonl").records == table.records == rows
