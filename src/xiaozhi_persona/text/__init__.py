"""Text: emotion names, the markup of replies, cutting into sentences. No I/O."""
