"""A voice with feelings, ears and a memory for xiaozhi voice devices."""

import os

__version__ = "0.1.0"

# From 1.29 on, onnxruntime reports to Microsoft from the moment it is imported, with a device id kept in ~/.cache;
# its disable_telemetry_events() comes too late for both. Source: Privacy.md in its wheel.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
