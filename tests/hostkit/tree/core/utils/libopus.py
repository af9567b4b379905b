"""opuslib_next, with PyAV's libopus where the system has none: as the product finds it, so that the tree runs there too."""

from xiaozhi_persona.audio.opus import opus_library

opuslib_next = opus_library()
