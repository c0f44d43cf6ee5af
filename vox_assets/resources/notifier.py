"""The way out for alerts: Apprise URLs, of which it knows a hundred kinds of service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notifier:
    """Sends one message to every URL. The URLs may hold tokens and are never shown."""

    urls: tuple[str, ...]

    def send(self, title: str, body: str) -> str:
        """Deliver; returns one line that says what became of it. Never raises."""
        if not self.urls:
            return "no alert sent: VOX_ALERT_URLS is not set"
        import apprise

        channel = apprise.Apprise()
        accepted = [channel.add(url) for url in self.urls]
        refused = [str(place) for place, good in enumerate(accepted, start=1) if not good]
        delivered = any(accepted) and bool(
            channel.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        )
        if refused:
            return f"alert refused: entry {', '.join(refused)} of VOX_ALERT_URLS is no Apprise URL"
        return "alert sent" if delivered else "alert not delivered: at least one channel is dead"
