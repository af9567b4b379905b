"""A tiny SenseVoice recognizer of our own: its sentences, the scripts that make it, and the model."""
