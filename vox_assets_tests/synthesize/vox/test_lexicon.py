from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vox_assets.synthesize.vox import lexicon
from vox_assets.synthesize.vox.lexicon import LEXICON_DIR, RESERVED, ROLES, LexiconError

FIRST_FILE = sorted(LEXICON_DIR.glob("*.yaml"))[0]


def test_there_are_at_least_forty_domains_with_every_role() -> None:
    domains = lexicon.load()
    assert len(domains) >= 40
    for domain in domains:
        assert [one.role for one in domain.attributes] == list(ROLES)


def test_no_name_of_any_domain_is_a_reserved_word() -> None:
    for domain in lexicon.load():
        payloads = {part.name for state in domain.states for part in state.payload}
        names = {one.name for one in domain.attributes} | set(domain.thing) | payloads
        assert not names & RESERVED, domain.name


def _broken(tmp_path: Path, change: dict[str, object]) -> Path:
    name, entry = next(iter(yaml.safe_load(FIRST_FILE.read_text()).items()))
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({name: {**entry, **change}}))
    return tmp_path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"flag": {"name": "match", "holds": "on", "fails": "off"}}, "reserved word"),
        ({"thing": ["title", "titles"]}, "title"),
        (
            {"count": {"name": "pages", "words": "pages", "limit": 9, "examples": [1, 2, 3]}},
            "limit",
        ),
        ({"states": [["Lent(to whom)", "lent"]] * 5}, "states"),
        ({"states": [["Lent", "lent to {nobody}"]] * 5}, "does not carry"),
    ],
)
def test_a_domain_that_would_not_compile_is_refused_by_name(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    with pytest.raises(LexiconError, match=named) as refused:
        lexicon.load(_broken(tmp_path, change))
    assert "one.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_article_follows_the_sound() -> None:
    assert [lexicon.article(noun) for noun in ("order", "unit price", "ewe", "loan")] == [
        "an order",
        "a unit price",
        "a ewe",
        "a loan",
    ]


def test_a_plural_follows_the_ending() -> None:
    nouns = ("loan", "branch", "press", "family", "day", "species", "book title")
    assert [lexicon.plural(noun) for noun in nouns] == [
        "loans",
        "branches",
        "presses",
        "families",
        "days",
        "species",
        "book titles",
    ]


def test_a_place_is_named_with_either_article_and_on_a_sign() -> None:
    library = next(domain for domain in lexicon.load() if domain.name == "library")
    assert library.the_place == "the town library"
    assert library.sign == "Town library"
