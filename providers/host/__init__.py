"""Our doors inside xiaozhi-esp32-server: the classes that it takes for its own, and how they come there."""
