"""A voice with feelings, ears and a memory for xiaozhi voice devices."""

__version__ = "0.1.0"
