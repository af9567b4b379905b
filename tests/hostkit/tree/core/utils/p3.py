"""The host's .p3 files: packets with a header of type, reserved byte and length."""

import io
import struct


def decode_opus_from_bytes_stream(data, callback):
    file = io.BytesIO(data)
    while len(header := file.read(4)) == 4:
        callback(file.read(struct.unpack(">BBH", header)[2]))


def decode_opus_from_file_stream(path, callback):
    with open(path, "rb") as file:
        decode_opus_from_bytes_stream(file.read(), callback)
