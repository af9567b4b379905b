"""Chat models: any OpenAI-compatible server, and an embedded one that needs no network."""
