"""The test alert reaches every channel, and a channel that does not accept it is named."""

from __future__ import annotations

import pytest

from vox_assets.cli import main
from vox_assets_tests.receiver import receiving


def test_the_test_alert_reaches_every_channel(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiving() as first, receiving() as second:
        monkeypatch.setenv("VOX_ALERT_URLS", f"{first.url} {second.url}")
        assert main(["alert", "--test"]) == 0
        assert [mail["title"] for mail in first.mails] == ["vox-assets: test"]
        assert "test of channel 2" in second.bodies()
    assert capsys.readouterr().out.splitlines() == [
        "channel 1 accepted the test alert",
        "channel 2 accepted the test alert",
    ]


def test_a_channel_that_does_not_accept_the_test_alert_is_named_and_the_others_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiving() as first, receiving() as second:
        first.alive = False
        monkeypatch.setenv("VOX_ALERT_URLS", f"{first.url} {second.url}")
        assert main(["alert", "--test"]) == 1
        assert len(second.mails) == 1
    printed = capsys.readouterr()
    assert printed.err == "vox-assets: entry 1 of VOX_ALERT_URLS did not accept the message\n"
    assert printed.out == "channel 2 accepted the test alert\n"


def test_without_channels_the_test_alert_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VOX_ALERT_URLS", raising=False)
    assert main(["alert", "--test"]) == 1
    assert capsys.readouterr().err.startswith("vox-assets: VOX_ALERT_URLS: is not set")


def test_no_alert_is_sent_without_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("VOX_ALERT_URLS", receiver.url)
        with pytest.raises(SystemExit):
            main(["alert"])
        assert receiver.mails == []
