"""Tests that the page of results says what the stored figures say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import results


def test_the_page_is_rendered_from_the_stored_figures() -> None:
    text, pictures = results.blocks()
    page = results.PAGE.read_text(encoding="utf-8")
    assert results.fill(page, text) == page, "run make results"
    assert all((results.STORED / name).exists() for name in pictures)


def test_stored_figures_contain_no_texts_of_rows_or_answers() -> None:
    texts = {"messages", "prompt", "response", "text", "answer", "got", "expected"}

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    for path in results.STORED.glob("*.json"):
        assert not keys(json.loads(path.read_text(encoding="utf-8"))) & texts, path.name


def test_a_block_without_figures_says_so_and_one_with_figures_replaces_it() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\nold\n<!-- end -->\n"
    filled = results.fill(page, {"x": "new"})
    assert filled == (
        "a\n<!-- x -->\nnew\n<!-- end -->\nb\n<!-- y -->\nNot measured yet.\n<!-- end -->\n"
    )
    assert results.fill(filled, {"x": "new"}) == filled


def test_a_data_directory_without_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no evaluated adapter and no arm"):
        results.store(tmp_path)
