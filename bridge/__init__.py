"""The bridge: serves xiaozhi devices over their own protocol."""
