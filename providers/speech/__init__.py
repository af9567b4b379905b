"""The speech pipeline: from the text of a reply to Opus packets."""
