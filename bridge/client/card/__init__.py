"""A sound card as the client's microphone and loudspeaker."""
