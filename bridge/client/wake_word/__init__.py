"""The word that wakes a device that stands by: heard on this machine, nothing is sent before it."""
