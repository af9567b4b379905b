"""What writes our doors and settings into a checkout of xiaozhi-esp32-server, and takes them out again."""
