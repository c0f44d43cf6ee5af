"""Questions to an OpenAI-compatible endpoint, within a budget and with retries."""
