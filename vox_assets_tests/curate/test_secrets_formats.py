"""The rules of gitleaks are converted as their module says, and each compiles in RE2."""

from __future__ import annotations

import json

import re2

from vox_assets.curate.secrets.import_gitleaks import RULES, convert


def rule(name: str, regex: str, **more: object) -> dict[str, object]:
    return {"id": name, "regex": regex, "keywords": ["abc_"], **more}


def test_a_rule_of_a_format_is_kept_and_may_end_at_a_comma() -> None:
    narrow = r"""\b(abc_[a-z]{8})(?:[\x60'"\s;]|\\[nr]|$)"""
    (kept,) = convert({"rules": [rule("abc-token", narrow, entropy=2)]})
    assert kept["entropy"] == 2
    assert re2.search(kept["regex"], "f(abc_qwertzui, 1)")
    assert not re2.search(kept["regex"], "f(abc_qwertzuiopa, 1)")


def test_rules_of_paths_and_of_hashes_near_a_name_are_left_out() -> None:
    config = {
        "rules": [
            rule("on-a-path", "abc_[a-z]{8}", path="x"),
            rule("near-a-name", r"(?i)[\w.-]{0,50}?(?:abc)=([a-f0-9]{32})"),
            {"id": "a-file", "path": "x", "keywords": []},
            rule("jwt", "ey.*"),
        ]
    }
    assert convert(config) == []


def test_the_converted_rules_name_their_source_version_and_licence() -> None:
    content = json.loads(RULES.read_text())
    assert "gitleaks" in content["source"]
    assert content["version"].startswith("v8.")
    assert content["license"][0] == "MIT License"
    assert any("Copyright (c) 2019 Zachary Rice" in text for text in content["license"])
    for entry in content["rules"]:
        assert entry["keywords"]
        re2.compile(entry["regex"])
