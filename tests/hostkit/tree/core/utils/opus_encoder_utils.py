"""PCM to Opus packets of one length. No resampling; the rest of a frame waits for more."""

from core.utils.libopus import opuslib_next


class OpusEncoderUtils:
    def __init__(self, sample_rate, channels, frame_size_ms):
        self.sample_rate, self.channels, self.frame_size_ms = sample_rate, channels, frame_size_ms
        self.frame_size = sample_rate * frame_size_ms // 1000
        self.total_frame_size = self.frame_size * channels
        self.bitrate, self.complexity = 24000, 10
        self.buffer = b""
        try:
            self.encoder = opuslib_next.Encoder(sample_rate, channels, opuslib_next.APPLICATION_AUDIO)
        except Exception as exc:
            raise RuntimeError(f"no Opus encoder for {sample_rate} Hz") from exc
        self.encoder.bitrate, self.encoder.complexity = self.bitrate, self.complexity
        self.encoder.signal = opuslib_next.SIGNAL_VOICE

    def reset_state(self):
        self.encoder.reset_state()
        self.buffer = b""

    def encode_pcm_to_opus_stream(self, pcm_data, end_of_stream, callback):
        if len(pcm_data) % 2:
            raise ValueError("buffer size must be a multiple of element size")
        size = self.total_frame_size * 2
        pcm = self.buffer + bytes(pcm_data)
        if end_of_stream and len(pcm) % size:
            pcm += bytes(-len(pcm) % size)
        whole = len(pcm) // size * size
        self.buffer = pcm[whole:]
        for at in range(0, whole, size):
            packet = self._encode(pcm[at : at + size])
            if packet:
                callback(packet)

    def _encode(self, frame):
        return self.encoder.encode(frame, self.frame_size) if self.encoder else None

    def close(self):
        self.encoder = None
