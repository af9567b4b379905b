"""Engines by kind: recognizers, voice activity detection, chat models, synthesizers, and the speech pipeline."""
