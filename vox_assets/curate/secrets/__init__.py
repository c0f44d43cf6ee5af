"""Finds secrets and personal data in rows, which must never leave the lake.

`findings` is the one definition of what a secret is; docs/curation.md describes it. Modules:
`formats` (keys with a format of their own), `tokens` (private keys, signed tokens, addresses with
credentials), `assignments` (values with the name of a secret), `credentials` (headers, commands and
calls), `personal` (personal data), `views`
(encodings and joined literals), `values` (the judgement of one value) and `examples` (what
documentation publishes).
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from vox_assets.contract.rows import each_dialogue, reason_text
from vox_assets.curate.secrets.assignments import assignments_in
from vox_assets.curate.secrets.credentials import credentials_in
from vox_assets.curate.secrets.formats import formats_in
from vox_assets.curate.secrets.personal import personal_data_in
from vox_assets.curate.secrets.tokens import tokens_in
from vox_assets.curate.secrets.views import decoded, joined, unescaped

#: Kind of drop of a row with a secret.
HOLDS = "holds a secret"


def findings(text: str) -> list[str]:
    """Return the kinds of secret or personal data in a text, without the data itself."""
    # A lone surrogate has no UTF-8 form, which RE2 reads.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return list(dict.fromkeys(_kinds(text)))


def _kinds(text: str) -> Iterator[str]:
    for plain in filter(None, (text, unescaped(text))):
        yield from _keys(plain)
        yield from personal_data_in(plain)
        if literals := joined(plain):
            yield from _keys(literals)
    for view in decoded(text):
        yield from _keys(view)


def _keys(text: str) -> Iterator[str]:
    lower = text.lower()
    yield from formats_in(text, lower)
    yield from tokens_in(text)
    yield from assignments_in(text, lower)
    yield from credentials_in(text, lower)


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
