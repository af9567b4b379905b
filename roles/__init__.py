"""Roles: who the device is."""
