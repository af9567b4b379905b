"""Speech from GPT-SoVITS servers: api.py (v1) and api_v2.py (v2)."""

from xiaozhi_persona.providers.tts.gpt_sovits.synthesizer import GptSovitsSynthesizer

__all__ = ["GptSovitsSynthesizer"]
