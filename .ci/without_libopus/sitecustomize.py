"""Every Python imports this at its start: it finds no libopus in the system, as on a new machine."""

import ctypes.util

_find_library = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if name == "opus" else _find_library(name)
