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
        assert [attribute.role for attribute in domain.attributes] == list(ROLES)


def test_no_name_of_any_domain_is_a_reserved_word() -> None:
    for domain in lexicon.load():
        payloads = {part.name for state in domain.states for part in state.payload}
        names = {attribute.name for attribute in domain.attributes} | set(domain.thing) | payloads
        assert not names & RESERVED, domain.name


def _changed(tmp_path: Path, change: dict[str, object]) -> Path:
    name, entry = next(iter(yaml.safe_load(FIRST_FILE.read_text()).items()))
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({name: {**entry, **change}}))
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
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
def test_an_invalid_domain_is_refused_with_its_file_and_fault(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(LexiconError, match=message) as error:
        lexicon.load(_changed(tmp_path, change))
    assert "one.yaml" in str(error.value)
    assert "\n" not in str(error.value)


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


def test_the_place_of_a_domain_has_a_form_with_an_article_and_one_for_signs() -> None:
    library = next(domain for domain in lexicon.load() if domain.name == "library")
    assert library.the_place == "the town library"
    assert library.sign == "Town library"
