"""Sends alerts through Apprise, which supports about a hundred services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vox_assets.settings import alert_service

Tone = Literal["failure", "warning", "success"]


class DeliveryError(RuntimeError):
    """Raised when a channel does not accept a message. Names the channel by number, not by URL."""


@dataclass(frozen=True)
class Notifier:
    """Sends messages to channels. URLs may contain tokens, so no message or log shows them."""

    urls: tuple[str, ...]

    def send(self, channel: int, title: str, body: str, tone: Tone) -> None:
        """Send a message to channel number `channel`, counted from 1. Raises DeliveryError."""
        import apprise

        service = alert_service(self.urls[channel - 1])
        if service is None:
            raise DeliveryError(
                f"entry {channel} of VOX_ALERT_URLS is refused: expected an Apprise URL"
            )
        channels = apprise.Apprise(service)
        accepted = channels.notify(
            title=title,
            body=body,
            notify_type=apprise.NotifyType(tone),
            body_format=apprise.NotifyFormat.TEXT,
        )
        if not accepted:
            raise DeliveryError(f"entry {channel} of VOX_ALERT_URLS did not accept the message")
