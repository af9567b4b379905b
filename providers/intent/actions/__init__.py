"""What an intent does: one table for the bridge and the host."""
