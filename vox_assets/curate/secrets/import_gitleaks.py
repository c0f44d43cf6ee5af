"""Convert the rules of gitleaks to the file that `formats` reads.

Run it when gitleaks has a new release, and read the difference before you commit it:

    python -m vox_assets.curate.secrets.import_gitleaks CHECKOUT VERSION

The rules run in RE2, for which they are written, so that no pattern is translated. What is left
out: rules that look at a file's path, rules that accept any hash near the name of a product
(`assignments` judges such values), and the allow-lists, which contain keys (`examples` has a list).
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

RULES = Path(__file__).with_name("gitleaks.json")

# The beginning of a rule that looks for a product's name near a value of the form of a hash.
_NEAR_A_NAME = r"[\w.-]{0,50}?"
# What may follow a token. A comma, a bracket or an at sign may follow as well.
_NARROW_END = r"""(?:[\x60'"\s;]|\\[nr]|$)"""
_WIDE_END = r"(?:[^A-Za-z0-9_-]|$)"
_LEFT_OUT = {
    "curl-auth-header": "`credentials` reads headers, in curl and elsewhere",
    "curl-auth-user": "`credentials` reads it",
    "facebook-access-token": "matches numbers of printf formats",
    "flutterwave-public-key": "a public key",
    "generic-api-key": "`assignments` replaces it",
    "jwt": "`tokens` decodes the token",
    "jwt-base64": "`views` decodes base64",
    "private-key": "`tokens` reads the key",
    "sourcegraph-access-token": "matches every commit",
    "vault-service-token": "its old form matches method calls",
}


def convert(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Select the rules and return them in the order of the file."""
    return [
        {
            "id": rule["id"],
            "regex": rule["regex"].replace(_NARROW_END, _WIDE_END),
            "keywords": rule["keywords"],
            "entropy": rule.get("entropy", 0),
        }
        for rule in config["rules"]
        if "regex" in rule
        and "path" not in rule
        and rule["id"] not in _LEFT_OUT
        and not rule["regex"].removeprefix("(?i)").startswith(_NEAR_A_NAME)
    ]


def main(checkout: Path, version: str) -> None:
    """Write the rules with the version and the licence that they have in a checkout."""
    config = tomllib.loads((checkout / "config" / "gitleaks.toml").read_text())
    content = {
        "source": "https://github.com/gitleaks/gitleaks, config/gitleaks.toml",
        "version": version,
        "license": (checkout / "LICENSE").read_text().strip().split("\n"),
        "rules": convert(config),
    }
    RULES.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
