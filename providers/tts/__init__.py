"""Speech synthesizers."""
