"""Finds secrets and personal data in rows, which must never leave the lake.

Token formats come from detect-secrets. Its entropy and keyword plugins are not used, because on
source code they match hashes and parameter names. A rule of our own replaces them: a random string
that is assigned to a name such as `secret` or `token`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache
from typing import Any

import polars as pl

from vox_assets.contract.rows import each_dialogue, reason_text

#: detect-secrets plugins that match a fixed format.
_PLUGINS = (
    "artifactory.ArtifactoryDetector",
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "jwt.JwtTokenDetector",
    "mailchimp.MailchimpDetector",
    "npm.NpmDetector",
    "openai.OpenAIDetector",
    "private_key.PrivateKeyDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
    "twilio.TwilioKeyDetector",
)

_ASSIGNED = re.compile(
    r"(?:secret|token|passw(?:or)?d|api[_-]?key|private[_-]?key|credential)\w*[\"']?"
    r"\s*(?::\s*&?(?:'static\s+)?str\s*)?(?:=>|[:=])\s*[\"']([^\"'\s]{16,})[\"']",
    re.IGNORECASE,
)
# Shannon bits per character: random base64 has over 4, words and placeholders below 3.5.
_RANDOM_BITS = 3.7
_EMAIL = re.compile(r"\b[\w.+-]+@([\w-]+(?:\.[\w-]+)*\.[a-z]{2,})\b", re.IGNORECASE)
# RFC 2606 names, and other names that documentation uses as examples.
_EXAMPLE_DOMAIN = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost)(?:\.(?:com|org|net|dev|io))?$|^users\.noreply\.",
    re.IGNORECASE,
)
_HOME = re.compile(r"(?:/home/|/Users/|[A-Z]:\\{1,2}Users\\{1,2})([A-Za-z][\w.-]*)")
_EXAMPLE_USERS = frozenset(
    "user users username you me name alice bob dev runner ubuntu root".split()
)


#: Kind of drop of a row with a secret.
HOLDS = "holds a secret"


def findings(text: str) -> list[str]:
    """Return the kinds of secret or personal data in a text, without the data itself."""
    kinds = [
        plugin.secret_type.lower() for plugin in _plugins() if any(plugin.analyze_string(text))
    ]
    if any(_is_random(match) for match in _ASSIGNED.findall(text)):
        kinds.append("random string named as a secret")
    if any(not _EXAMPLE_DOMAIN.search(domain) for domain in _EMAIL.findall(text)):
        kinds.append("e-mail address")
    if any(user.lower() not in _EXAMPLE_USERS for user in _HOME.findall(text)):
        kinds.append("home directory")
    return kinds


def refuse_secrets(scored: pl.DataFrame) -> pl.DataFrame:
    """Drop rows with a secret, whatever their score; the reason names only the kind of secret.

    Needs `messages`, `kept`, `costliest_feature` and the columns of the drop's reason.
    """
    reasons = []
    for dialogue in each_dialogue(scored):
        kinds = findings("\n".join(turn["content"] for turn in dialogue))
        reasons.append(", ".join(kinds) if kinds else None)
    secret = pl.Series("secret", reasons, dtype=pl.String)
    return scored.with_columns(
        (pl.col("kept") & secret.is_null()).alias("kept"),
        pl.when(secret.is_null()).then("drop_kind").otherwise(pl.lit(HOLDS)).alias("drop_kind"),
        pl.coalesce(secret, "drop_detail").alias("drop_detail"),
        pl.when(secret.is_null()).then("costliest_feature").alias("costliest_feature"),
    ).with_columns(reason_text(pl.col("drop_kind"), pl.col("drop_detail")).alias("drop_reason"))


def _is_random(text: str) -> bool:
    # Words joined by underscores vary as much as keys do, but hold no digits among letters.
    has_digits = any(character.isdigit() for character in text)
    has_letters = any(character.isalpha() for character in text)
    return has_digits and has_letters and _bits(text) >= _RANDOM_BITS


def _bits(text: str) -> float:
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


@cache
def _plugins() -> tuple[Any, ...]:
    from importlib import import_module

    plugins = []
    for name in _PLUGINS:
        module, plugin = name.split(".")
        plugins.append(getattr(import_module(f"detect_secrets.plugins.{module}"), plugin)())
    return tuple(plugins)
