"""Secrets and personal data: what must never leave the lake, and how it is recognised.

Token formats come from detect-secrets; its entropy and keyword plugins are left out, because on
source code they find hashes and parameter names. In their place stands one rule for a random
string that is assigned to a name which says it is a secret.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache
from typing import Any

import polars as pl

from vox_assets.contract.rows import each_dialogue, reason_text

#: detect-secrets plugins that recognise a format, not a likelihood.
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


#: How the reason of a row with a secret begins.
HOLDS = "holds a secret"


def findings(text: str) -> list[str]:
    """Kinds of secret or personal data in a text, without the data; empty when there is none."""
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
    """A row with a secret is not kept, whatever its score, and its reason names the kind only.

    Needs `messages`, `kept` and the columns of the drop's reason, and returns them changed.
    """
    reasons = []
    for dialogue in each_dialogue(scored):
        kinds = findings("\n".join(turn["content"] for turn in dialogue))
        reasons.append(", ".join(kinds) if kinds else None)
    found = pl.Series("secret", reasons, dtype=pl.String)
    return scored.with_columns(
        (pl.col("kept") & found.is_null()).alias("kept"),
        pl.when(found.is_null()).then("drop_kind").otherwise(pl.lit(HOLDS)).alias("drop_kind"),
        pl.coalesce(found, "drop_detail").alias("drop_detail"),
        pl.when(found.is_null()).then("costliest_feature").alias("costliest_feature"),
    ).with_columns(reason_text(pl.col("drop_kind"), pl.col("drop_detail")).alias("drop_reason"))


def _is_random(text: str) -> bool:
    # Words joined by underscores vary as much as keys do, but hold no digits among letters.
    mixed = any(sign.isdigit() for sign in text) and any(sign.isalpha() for sign in text)
    return mixed and _bits(text) >= _RANDOM_BITS


def _bits(text: str) -> float:
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


@cache
def _plugins() -> tuple[Any, ...]:
    from importlib import import_module

    found = []
    for name in _PLUGINS:
        module, plugin = name.split(".")
        found.append(getattr(import_module(f"detect_secrets.plugins.{module}"), plugin)())
    return tuple(found)
