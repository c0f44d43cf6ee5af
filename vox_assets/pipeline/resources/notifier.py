"""Sends alerts through Apprise, which supports about a hundred services."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

Tone = Literal["failure", "warning", "success"]


class DeliveryError(RuntimeError):
    """A message that its channel did not take; names the channel by its place, never by its URL."""


@dataclass(frozen=True)
class Notifier:
    """Sends messages to channels. Their URLs may hold tokens and are never shown."""

    urls: tuple[str, ...]

    def send(self, channel: int, title: str, body: str, tone: Tone) -> None:
        """Deliver to the channel at place `channel`, counted from 1. Raises DeliveryError."""
        import apprise

        # It writes URLs to its log.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        service = apprise.Apprise()
        if not service.add(self.urls[channel - 1]):
            raise DeliveryError(
                f"entry {channel} of VOX_ALERT_URLS is refused: expected an Apprise URL"
            )
        delivered = service.notify(
            title=title,
            body=body,
            notify_type=apprise.NotifyType(tone),
            body_format=apprise.NotifyFormat.TEXT,
        )
        if not delivered:
            raise DeliveryError(
                f"entry {channel} of VOX_ALERT_URLS is dead: the message was not delivered, "
                f"and is tried again at the next tick"
            )
