"""config.yaml with data/.config.yaml over it: mappings merge, everything else is replaced."""

import os

import yaml
from core.utils.cache.manager import CacheType, cache_manager


def merge_configs(base, over):
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {
        key: merge_configs(base[key], over[key])
        if key in base and key in over
        else over.get(key, base.get(key))
        for key in [*base, *(key for key in over if key not in base)]
    }


def read_config(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


async def load_config():
    config = cache_manager.get(CacheType.CONFIG, "main_config")
    if config is None:
        own = read_config("data/.config.yaml")
        own.get("manager-api")  # what is there but empty ends the start
        config = merge_configs(read_config("config.yaml"), own)
        for kind in ("ASR", "TTS"):
            for section in config.get(kind, {}).values():
                if folder := section.get("output_dir"):
                    os.makedirs(folder, exist_ok=True)
        cache_manager.set(CacheType.CONFIG, "main_config", config)
    return config
