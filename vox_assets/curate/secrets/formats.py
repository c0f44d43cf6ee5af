"""Finds keys by the format that their vendor gave them: rules of gitleaks, and our own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from vox_assets.curate.secrets.import_gitleaks import RULES
from vox_assets.curate.secrets.patterns import compiled
from vox_assets.curate.secrets.values import bits, is_hex, is_patterned, is_placeholder, is_words

#: Formats that gitleaks does not know, or knows too narrowly: kind, keyword, pattern. Lengths are
#: lower bounds, because vendors lengthen their keys.
_OWN = (
    # Providers of models.
    ("openai key", "sk-", r"\bsk-(?:(?:proj|svcacct|admin|None)-[\w-]{20,}|[A-Za-z0-9]{32,64}\b)"),
    ("anthropic key", "sk-ant-", r"\bsk-ant-[a-z]{3,8}\d\d-[\w-]{20,}"),
    ("openrouter key", "sk-or-", r"\bsk-or-(?:v\d-)?[A-Za-z0-9]{32,}"),
    ("langfuse key", "sk-lf-", r"\bsk-lf-[0-9a-f-]{36}"),
    ("hugging face token", "hf_", r"\b(?:hf|api_org)_[A-Za-z0-9]{30,}"),
    ("groq key", "gsk_", r"\bgsk_[A-Za-z0-9]{32,}"),
    ("google api key", "aiza", r"\bAIza[\w-]{35}"),
    ("replicate token", "r8_", r"\br8_[A-Za-z0-9]{30,}"),
    ("xai key", "xai-", r"\bxai-[A-Za-z0-9]{40,}"),
    ("perplexity key", "pplx-", r"\bpplx-[A-Za-z0-9]{32,}"),
    ("nvidia key", "nvapi-", r"\bnvapi-[\w-]{40,}"),
    ("langsmith key", "lsv2_", r"\blsv2_(?:pt|sk)_[0-9a-f]{32}"),
    ("pinecone key", "pcsk_", r"\bpcsk_\w{40,}"),
    ("tavily key", "tvly-", r"\btvly-[\w-]{20,}"),
    ("jina key", "jina_", r"\bjina_[\w-]{40,}"),
    ("voyage key", "pa-", r"\bpa-[\w-]{43}(?:[^\w-]|$)"),
    ("cerebras key", "csk-", r"\bcsk-[a-z0-9]{40,}"),
    ("elevenlabs key", "sk_", r"\bsk_[0-9a-f]{48}\b"),
    ("fireworks key", "fw_", r"\bfw_[A-Za-z0-9]{22,}"),
    ("together key", "tgp_v1_", r"\btgp_v1_[\w-]{30,}"),
    ("e2b key", "e2b_", r"\be2b_[0-9a-f]{40}"),
    # Forges.
    ("github token", "gh", r"gh[pousr]_[0-9A-Za-z]{30,}"),
    ("github token", "github_pat_", r"github_pat_\w{40,}"),
    ("gitlab token", "gl", r"\bgl(?:pat|dt|rt|ptt|ft|soat|agent|cbt|oas|imt|ffct)-[\w-]{20,}"),
    ("bitbucket token", "at", r"\bAT(?:BB|CTT3|ATT3)[\w=-]{24,}"),
    # Clouds.
    ("aws access key", "a", r"(?:^|[^\w+/])((?:A3T[A-Z\d]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})\b"),
    ("azure account key", "accountkey", r"(?i)AccountKey\s*=\s*([A-Za-z0-9+/]{40,}={0,2})"),
    ("azure access key", "sharedaccesskey", r"(?i)SharedAccessKey\s*=\s*([\w+/]{40,}={0,2})"),
    ("azure access signature", "sig=", r"\bsig=([\w%+/-]{40,})"),
    ("azure client secret", "q~", r"[\w.~-]{3}\dQ~[\w.~-]{31,34}"),
    ("google oauth secret", "gocspx-", r"\bGOCSPX-[\w-]{20,}"),
    ("google oauth token", "ya29.", r"\bya29\.[\w-]{30,}"),
    ("google refresh token", "1//0", r"\b1//0[\w-]{40,}"),
    ("digitalocean token", "_v1_", r"\bdo[opr]_v1_[0-9a-f]{64}"),
    ("fly token", "fm2_", r"\bfm[12][ar]?_[A-Za-z0-9+/]{60,}"),
    ("fly token", "fo1_", r"\bfo1_[\w-]{43}"),
    ("vercel token", "vc", r"\bvc[pkiarc]_[A-Za-z0-9]{24,}"),
    ("supabase key", "sb", r"\bsb(?:p|_secret)_[\w-]{30,}"),
    ("netlify token", "nfp_", r"\bnfp_[A-Za-z0-9]{30,}"),
    ("tailscale key", "tskey-", r"\btskey-(?:[a-z]+-)?[A-Za-z0-9]{10,}-[A-Za-z0-9]{20,}"),
    ("doppler token", "dp.", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]+\.)?[A-Za-z0-9]{40,}"),
    ("vault token", "hv", r"\bhv[sbr]\.[\w-]{24,}"),
    ("new relic key", "nra", r"\bNRA[KL]-[A-Z0-9]{27}"),
    ("figma token", "figd_", r"\bfigd_[\w-]{38,}"),
    ("neon key", "napi_", r"\bnapi_[a-z0-9]{40,}"),
    ("render key", "rnd_", r"\brnd_[A-Za-z0-9]{24,}"),
    ("sentry token", "sntr", r"\bsntry[us]_[\w+/=-]{40,}"),
    # Registries of packages.
    ("npm token", "npm_", r"\bnpm_[A-Za-z0-9]{36}"),
    ("pypi token", "pypi-", r"\bpypi-[A-Za-z0-9][\w-]{60,}"),
    ("crates.io token", "cio", r"\bcio[A-Za-z0-9]{32}\b"),
    ("rubygems key", "rubygems_", r"\brubygems_[0-9a-f]{40,}"),
    ("nuget key", "oy2", r"\boy2[a-z0-9]{43}\b"),
    ("docker token", "dckr_", r"\bdckr_[po]at_[\w-]{24,}"),
    # Payment and messages.
    ("stripe access key", "k_", r"\b[rs]k_(?:live|test|prod)_[A-Za-z0-9]{10,}"),
    ("webhook signing secret", "whsec_", r"\bwhsec_[A-Za-z0-9+/=]{24,}"),
    ("square token", "sq0", r"\bsq0(?:atp|csp|idp)-[\w-]{22,}"),
    ("square token", "eaaa", r"\bEAAA[\w-]{56,}"),
    ("paypal token", "access_token$", r"access_token\$\w{4,12}\$[a-z0-9]{16}\$[0-9a-f]{32}"),
    ("slack token", "xox", r"\bxox[abeoprs](?:\.xox[bp])?-(?:\d+-)*[A-Za-z0-9-]{16,}"),
    ("slack token", "xapp-", r"\bxapp-\d-[A-Z0-9]+-\d+-[A-Za-z0-9]{16,}"),
    ("slack webhook", "hooks.slack", r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)"
        r"/T?[\w/]{20,}"),
    ("discord webhook", "/webhooks/", r"discord(?:app)?\.com/api(?:/v\d+)?/webhooks"
        r"/\d{15,20}/([\w-]{40,})"),
    ("discord bot token", ".", r"\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,45}\b"),
    ("teams webhook", "webhook.office", r"webhook\.office\.com/webhookb2/[^\s\"'<>]{40,}"),
    ("teams webhook", "outlook.office", r"outlook\.office\.com/webhook/[^\s\"'<>]{40,}"),
    ("telegram bot token", ":a", r"(?:\b|bot)(\d{8,11}:A[A-Za-z0-9_-]{34})(?:[^A-Za-z0-9_-]|$)"),
    ("twilio key", "sk", r"\bSK[0-9a-f]{32}\b"),
    ("twilio account", "ac", r"\bAC[0-9a-f]{32}\b"),
    ("sendgrid key", "sg.", r"\bSG\.[\w-]{16,32}\.[\w-]{16,64}"),
    ("mailgun key", "key-", r"\bkey-[0-9a-f]{32}\b"),
    ("mailchimp key", "-us", r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    ("linear key", "lin_", r"\blin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    ("notion token", "ntn_", r"\bntn_[A-Za-z0-9]{40,}"),
    ("notion token", "secret_", r"\bsecret_[A-Za-z0-9]{43}\b"),
    # Keys without a vendor.
    ("age key", "age-secret-key-1", r"(?i)AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}"),
    ("putty key", "private-lines:",
        r"Private-Lines: \d+(?:[\s#*]|\\n|//[/!]? )+([A-Za-z0-9+/]{24,})"),
    ("json web key", '"kty"', r'"d"\s*:\s*"([\w-]{40,})"'),
)  # fmt: skip

# What a vendor puts before the random part.
_PREFIX = re.compile(r"(?:[A-Za-z]{1,9}\d{0,2}[-_.:$/]){1,3}(?=[^-_.]{6})")
# A random part that is shorter says nothing.
_SHORTEST = 10


@dataclass(frozen=True)
class _Format:
    kind: str
    keywords: tuple[str, ...]
    pattern: Any
    entropy: float

    def occurs(self, text: str) -> bool:
        return any(
            bits(value) >= self.entropy and not _is_example(value)
            for match in self.pattern.finditer(text)
            for value in [next(filter(None, match.groups()), match.group())]
        )


def formats_in(text: str, lower: str) -> Iterator[str]:
    """Yield the kinds of keys in a text; `lower` is the text in small letters."""
    for rule in _formats():
        if any(keyword in lower for keyword in rule.keywords) and rule.occurs(text):
            yield rule.kind


def _is_example(value: str) -> bool:
    if is_placeholder(value):
        return True
    # Words and patterns are looked for behind the prefix.
    body = _PREFIX.sub("", value, count=1)
    if is_placeholder(body) or is_patterned(body) or len(body) < _SHORTEST:
        return True
    return not is_hex(body) and is_words(body)


@cache
def _formats() -> tuple[_Format, ...]:
    own = [_Format(kind, (keyword,), compiled(pattern), 0.0) for kind, keyword, pattern in _OWN]
    known = [
        _Format(
            rule["id"].replace("-", " "),
            tuple(rule["keywords"]),
            compiled(rule["regex"]),
            rule["entropy"],
        )
        for rule in json.loads(RULES.read_text())["rules"]
    ]
    return (*own, *known)
