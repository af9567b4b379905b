"""How much each device was told today."""

from collections import Counter

_told = Counter()


def add_device_output(device_id, amount):
    _told[device_id] += amount


def check_device_output_limit(device_id, max_output_size):
    return _told[device_id] >= max_output_size
