"""Voice activity detection and the end of speech."""
