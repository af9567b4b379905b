"""The client: behaves as an ESP32 does, for people without one and for the tests."""
