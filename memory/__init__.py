"""Memory: what was said, kept for each owner."""
