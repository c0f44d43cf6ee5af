"""Ask questions of an OpenAI-compatible endpoint, within a budget and with retries."""
