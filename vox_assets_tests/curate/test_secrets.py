"""Secrets and personal data are recognised; ordinary code is not accused."""

from __future__ import annotations

import pytest

from vox_assets.curate.secrets import findings

# Put together here, so that no scanner takes this file for a leak.
PLANTED = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\n",
    "aws access key": 'let id = "AKIA' + 'Q3EGRTZX5N2MWLFY";',
    "github token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "stripe access key": 'key: "sk_live_' + '9aZ8yX7wV6uT5sR4qP3oN2mL"',
    "random string named as a secret": 'const API_TOKEN: &str = "q8Zr2vLk0' + '9sXw1TyBn4M";',
    "e-mail address": "contact jane.doe@" + "company.co",
    "home directory": "/home/" + "jdoe/project/src",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found_and_not_repeated(kind: str) -> None:
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
