"""Sends alerts through Apprise, which supports about a hundred services."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

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

        # Apprise logs URLs.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        service = apprise.Apprise()
        if not service.add(self.urls[channel - 1]):
            raise DeliveryError(
                f"entry {channel} of VOX_ALERT_URLS is refused: expected an Apprise URL"
            )
        accepted = service.notify(
            title=title,
            body=body,
            notify_type=apprise.NotifyType(tone),
            body_format=apprise.NotifyFormat.TEXT,
        )
        if not accepted:
            raise DeliveryError(
                f"entry {channel} of VOX_ALERT_URLS did not accept the message; "
                f"the next tick tries again"
            )
