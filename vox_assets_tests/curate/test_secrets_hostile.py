"""Any text is read to its end, in time linear in its length, and no finding repeats it."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.curate.secrets import findings
from vox_assets_tests.curate.secret_cases.measured_secrets import SECRETS

#: Beginnings of what the rules look for. Repeated, each makes a rule begin at every place.
UNITS = (
    "token:", '"token": "', "key = (", "password=Zk9x!", 'token="[a-a-', 'password="testtest',
    "sk-", "sk-proj-a", "ghp_", "xoxb-1-", "eyJ.", "1234567890:A", "sig=a", "AKIA",
    "-----BEGIN PRIVATE KEY-----", "hooks.slack.com/services/T", "a://b:c@", "a@b.", "a [at] ",
    "4111 1111 ", "+49 ", "DE89 ", "1 ", "123-45-6789", '" + "', '["a","b",', 'concat!("a",',
    "QUJD", "6768", "0x67, ", "%67", "\\x67", "curl -u a:", "login ", "cookie=a=", "basic QUJD",
    "authorization: ", "/home/", "<", "[", "{", "-", "_", " ", "\n", "a", "\u00e9", "\ud800", "\0",
)  # fmt: skip
#: Characters of the long text, and of one that is a tenth of it.
LONG, SHORT = 200_000, 20_000
#: A quadratic rule needs a hundred times as long for the long text. Ten is linear, and what is
#: added to the time of the short text covers a busy machine.
SLACK_SECONDS = 1.0
LINEAR = 20


def seconds(text: str) -> float:
    start = time.process_time()
    findings(text)
    return time.process_time() - start


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
def test_the_time_is_linear_in_the_length(unit: str) -> None:
    short = seconds((unit * SHORT)[:SHORT])
    assert seconds((unit * LONG)[:LONG]) < LINEAR * short + SLACK_SECONDS


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert all(kind.isprintable() for kind in findings(text))


@given(
    st.lists(
        st.sampled_from([*UNITS, "Zk9x2vLk09sXw1", " ", '"', "'", "=", ",", "\n"]), max_size=40
    )
)
@settings(max_examples=200)
def test_any_sequence_of_fragments_is_read(parts: list[str]) -> None:
    assert findings("".join(parts)) == findings("".join(parts))


_LINES = st.text(string.ascii_letters + " .(){}\n", max_size=200)


@given(st.sampled_from(sorted(SECRETS)), _LINES, _LINES)
@settings(max_examples=200)
def test_a_secret_is_found_wherever_it_stands(name: str, before: str, after: str) -> None:
    alone = findings(SECRETS[name])
    assert set(alone) <= set(findings(f"{before}\n\n{SECRETS[name]}\n\n{after}"))


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_in_a_comment_and_in_a_string(name: str) -> None:
    text = SECRETS[name]
    comment = "\n".join(f"    // {line}" for line in text.split("\n"))
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert findings(f"fn f() {{\n{comment}\n}}")
    assert findings(f'let text = "{escaped}";')


@pytest.mark.parametrize("name", SECRETS)
def test_a_finding_never_shows_a_part_of_the_text(name: str) -> None:
    shown = " ".join(findings(SECRETS[name])).split()
    words = {word.strip(".,:;()\"'").lower() for word in SECRETS[name].split()}
    # A kind is made of words such as `token`; a value has digits.
    assert not any(word in words and any(c.isdigit() for c in word) for word in shown)
