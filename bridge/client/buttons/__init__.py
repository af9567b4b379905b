"""Buttons that somebody talks with: on pins, on what is plugged in; that of the terminal is with the command `talk`."""
