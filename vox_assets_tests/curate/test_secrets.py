"""Secrets and personal data are found; ordinary code is not reported."""

from __future__ import annotations

import random
import re
from pathlib import Path

import polars as pl
import pytest

from vox_assets.curate.secrets import findings, refuse_secrets
from vox_assets.exam.task import to_frame
from vox_assets.extract import extract_rust
from vox_assets.mix.build import build_mix
from vox_assets.profiles import load
from vox_assets.publish.export import export
from vox_assets.publish.trainers import TrainingChoice
from vox_assets.training.plan.ranks import choose_rank

# Split, so that no secret scanner reports this file.
PLANTED = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\n",
    "aws access key": 'let id = "AKIA' + 'Q3EGRTZX5N2MWLFY";',
    "github token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "json web token": 'let t = "eyJhbGciOiJIUzI1NiIs' + "InR5cCI6IkpXVCJ9.eyJzdWIiOiI4ODIwNDQxNyIs"
    "Im5hbWUiOiJEb3JhIFJvZSJ9.dozjgNryP4J3" + 'jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";',
    "stripe access key": 'key: "sk_live_' + '9aZ8yX7wV6uT5sR4qP3oN2mL"',
    "random string named as a secret": 'const API_TOKEN: &str = "q8Zr2vLk0' + '9sXw1TyBn4M";',
    "e-mail address": "contact jane.doe@" + "company.co",
    "home directory": "/home/" + "jdoe/project/src",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_secret_is_found_and_not_repeated_in_the_finding(kind: str) -> None:
    found = findings(f"fn setup() {{\n    {PLANTED[kind]}\n}}")
    assert kind in found
    assert PLANTED[kind] not in " ".join(found)


@pytest.mark.parametrize(
    "text",
    [
        'assert_eq!(digest, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");',
        'let token = "placeholder_token_for_docs";',
        "fn next_token(&mut self) -> Option<Token> { self.tokens.pop() }",
        'let password = std::env::var("SERVICE_PASSWORD")?;',
        "Write to someone@example.org or user@mail.example.com.",
        "The file lies in /home/user/notes.",
        'const KEY: &str = "registry/settings/theme";',
    ],
)
def test_ordinary_text_is_clean(text: str) -> None:
    assert findings(text) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("postgres://app:" + "hT5x9Lw2" + "@db.fjord.no/x", "password in an address"),
        ('.basic_auth("ci", Some("' + "hT5x9Lw2" + '"))', "password in a call"),
        ("curl -u ci:" + "hT5x9Lw2 https://fjord.no", "password in a command"),
        ("X-Session-Auth: Bearer " + "hT5x9Lw2Kq8Zr2vLk09sXw", "credential in a header"),
        ("password: " + "hT5x9Lw2", "value named as a password"),
    ],
)
def test_a_finding_names_where_the_value_stands(text: str, kind: str) -> None:
    assert kind in findings(text)


@pytest.mark.parametrize(
    ("harmless", "secret"),
    [
        # A form of a key that is filled in, cut or spelled, against the key.
        ("ghp_" + "x" * 36, "ghp_" + "k3Jq8Zr2vLk09sXw1TyBn4MhT5x9Lw2Ab7Cd"),
        ("sk-ant-api03-your-key-of-the-console", "sk-ant-api03-" + "k3Jq8Zr2vLk09sXw1TyBn4M"),
        # A digest, against a key of the same form by its name.
        ("token_digest = " + "9f86d0818b4c7d65" * 2 + "a",
         "api_token = " + "9f86d0818b4c7d65a22feaa0c55ad015"),
        # A regular expression, against what it matches.
        ('token = "[A-Za-z0-9]{20,40}"', 'token = "k3Jq8Zr2vLk09sXw1TyBn4M"'),
        # A weak password on this machine, against any password elsewhere.
        ("mysql://root:root@localhost/x", "mysql://root:" + "tulip@10.2.0.7/x"),
        # A call that reads the value, against the value.
        ('token = env::var("TOKEN_K3JQ8ZR2VLK09SXW")', 'env::set_var("TOKEN", "k3Jq8Zr2vLk09sXw")'),
        # The same without a scheme.
        ("root:root@tcp(localhost:3306)/x", "svc:" + "hT5x9Lw2Kq@tcp(10.0.0.1:3306)/x"),
        # A card of the documentation, against one with a correct check digit.
        ("4242 4242 4242 4242", "4929 1738 4650 " + "2735"),
    ],
)  # fmt: skip
def test_a_harmless_neighbour_of_a_secret_passes(harmless: str, secret: str) -> None:
    assert findings(harmless) == []
    assert findings(secret) != []


WORDS = "amber basin cedar delta ember fjord grove heron inlet jetty knoll ledge".split()


def function(number: int, planted: str) -> str:
    """Write a distinct, documented function that contains the line `planted`."""
    words = random.Random(number).sample(WORDS, 6)
    body = "\n".join(
        f"    let {word}_{number} = {word}_of(input, {number}).max({index});"
        for index, word in enumerate(words)
    )
    return (
        f"/// Folds the {words[0]} of every {words[1]} into one {words[2]}, number {number}.\n"
        f"pub fn fold_{words[0]}_{number}(input: &[u32]) -> u32 {{\n"
        f"    {planted}\n{body}\n    {words[-1]}_{number}\n}}\n"
    )


def test_a_secret_in_a_source_file_reaches_neither_the_mix_nor_an_export(
    tmp_path: Path,
) -> None:
    """Run every step that moves a row, from Rust files to exported files."""
    profile = load("sample")
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    harmless = f'let expected = "{digest}";'
    source = tmp_path / "tree" / "crates" / "vault" / "src"
    source.mkdir(parents=True)
    for number in range(24):
        (source / f"part_{number}.rs").write_text(function(number, harmless))
    for number, (_, secret) in enumerate(PLANTED.items(), start=24):
        line = f'let held = r##"{secret}"##;'
        (source / f"part_{number}.rs").write_text(function(number, line))

    rows = extract_rust(tmp_path / "tree", profile, commit=None).rows
    # Search for the longest word of each secret, because some files escape quotes.
    needles = {kind: max(re.split(r'["\s]', text), key=len) for kind, text in PLANTED.items()}
    assert all(needle in texts_of(rows) for needle in needles.values())
    scored = refuse_secrets(
        rows.with_columns(
            score=pl.lit(9.0),
            kept=pl.lit(True),
            **{
                name: pl.lit(None, pl.String)
                for name in ("drop_kind", "drop_detail", "drop_reason", "costliest_feature")
            },
            tokens=pl.lit(90),
            embedding=pl.lit(None, pl.List(pl.Float32)),
        )
    )
    mix = build_mix(scored, profile, lambda messages: 90)
    trained = mix.rows.filter(split="train").height
    rank = choose_rank(trained, 90 * trained, profile.ranks)
    choice = TrainingChoice("a base", profile.mix.context, rank)
    export(
        scored.lazy(),
        mix.rows,
        to_frame([]),
        tmp_path / "out",
        name="vault",
        license_id="mit",
        choice=choice,
    )

    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    texts = [texts_of(mix.rows)] + [
        texts_of(pl.read_parquet(path)) if path.suffix == ".parquet" else path.read_text()
        for path in files
    ]
    assert sum(digest in text for text in texts) >= 3
    assert [kind for kind, needle in needles.items() if any(needle in text for text in texts)] == []
    reasons = set(scored.filter(~pl.col("kept"))["drop_reason"])
    assert all(any(kind in reason for reason in reasons) for kind in PLANTED)


def texts_of(rows: pl.DataFrame) -> str:
    return "\n".join(str(value) for row in rows.rows() for value in row)
