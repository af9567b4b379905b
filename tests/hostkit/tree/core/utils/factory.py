"""Providers are found by file, looked for below the working directory."""

import importlib
import os


def make(path, class_name, *args, **kwargs):
    if not os.path.exists(path):
        raise ValueError(f"no such provider: {path}")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    return getattr(module, class_name)(*args, **kwargs)
