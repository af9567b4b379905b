"""Sound: Opus packets, resampling, WAV files. Mono throughout."""
