"""A tiny SenseVoice recognizer of our own: the sentences it knows, the script that makes it, and the model."""
