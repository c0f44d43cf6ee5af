"""Every column of every table has a meaning, and docs/tables.md says the same."""

from __future__ import annotations

import re
from pathlib import Path

from vox_assets.contract.rows import DROP_MEANINGS, DROP_SCHEMA, MEANINGS, SCHEMA
from vox_assets.pipeline.resources.lake_io import ASSET_MEANINGS, ASSET_SCHEMAS, column_schema

LINE = re.compile(r"^\| `(\w+)` \| (\S+) \| (.+) \|$", re.MULTILINE)


def documented() -> dict[str, list[tuple[str, ...]]]:
    """Return the lines of every table of the document by its heading."""
    text = Path("docs/tables.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {section.split("\n", 1)[0].strip("`"): LINE.findall(section) for section in sections}


def test_every_column_of_a_table_has_a_meaning() -> None:
    for asset, schema in ASSET_SCHEMAS.items():
        assert list(ASSET_MEANINGS[asset]) == list(schema), asset
    assert list(DROP_MEANINGS) == list(DROP_SCHEMA)


def test_the_ui_and_the_document_give_the_same_types_and_meanings() -> None:
    tables = documented()
    assert set(tables) == {"Every table of rows", *ASSET_MEANINGS, "Dropped items"} - {
        "raw_rust_fns",
        "doc_qa_pairs",
        "synthetic_pairs",
    }
    assert tables.pop("Every table of rows") == lines("raw_rust_fns")
    assert tables.pop("Dropped items") == [
        (name, type_name(str(DROP_SCHEMA[name])), meaning)
        for name, meaning in DROP_MEANINGS.items()
    ]
    for asset, found in tables.items():
        own = lines(asset)
        if set(SCHEMA) <= set(ASSET_SCHEMAS.get(asset, ())):
            own = own[len(SCHEMA) :]
            assert not {name for name, *_ in own} & set(MEANINGS)
        assert found == own if asset in ASSET_SCHEMAS else without_types(found) == own, asset


def lines(asset: str) -> list[tuple[str, ...]]:
    """Return the documented lines of a table: without a schema, name and meaning only."""
    if asset not in ASSET_SCHEMAS:
        return list(ASSET_MEANINGS[asset].items())
    return [
        (column.name, type_name(column.type), column.description or "")
        for column in column_schema(asset, ASSET_SCHEMAS[asset]).columns
    ]


def without_types(found: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [(name, meaning) for name, _, meaning in found]


def type_name(dtype: str) -> str:
    return "List(Struct)" if dtype.startswith("List(Struct") else dtype
