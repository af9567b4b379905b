"""A cache for the process."""

import enum
import threading


class CacheType(enum.Enum):
    LOCATION = "location"
    WEATHER = "weather"
    LUNAR = "lunar"
    INTENT = "intent"
    IP_INFO = "ip_info"
    CONFIG = "config"
    DEVICE_PROMPT = "device_prompt"
    AUDIO_DATA = "audio_data"


class CacheManager:
    def __init__(self):
        self._values = {}
        self._lock = threading.RLock()

    def get(self, cache_type, key, namespace=""):
        with self._lock:
            return self._values.get((cache_type, namespace, key))

    def set(self, cache_type, key, value, ttl=None, namespace=""):
        with self._lock:
            self._values[cache_type, namespace, key] = value

    def delete(self, cache_type, key, namespace=""):
        with self._lock:
            return self._values.pop((cache_type, namespace, key), None) is not None


cache_manager = CacheManager()
