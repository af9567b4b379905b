"""Makes the parts of the host from the sections that are selected."""

from core.utils import asr, intent, llm, memory, tts, vad


def _selected(config, kind):
    name = config["selected_module"][kind]
    section = config[kind][name]
    return section.get("type", name), section


def _delete_audio(config):
    return str(config.get("delete_audio", True)).lower() in ("true", "1", "yes")


def initialize_tts(config):
    kind, section = _selected(config, "TTS")
    return tts.create_instance(kind, section, _delete_audio(config))


def initialize_asr(config):
    kind, section = _selected(config, "ASR")
    return asr.create_instance(kind, section, _delete_audio(config))


def initialize_modules(
    logger,
    config,
    init_vad=False,
    init_asr=False,
    init_llm=False,
    init_tts=False,
    init_memory=False,
    init_intent=False,
):
    modules = {}
    if init_tts:
        modules["tts"] = initialize_tts(config)
    if init_llm:
        modules["llm"] = llm.create_instance(*_selected(config, "LLM"))
    if init_intent:
        modules["intent"] = intent.create_instance(*_selected(config, "Intent"))
    if init_memory:
        modules["memory"] = memory.create_instance(*_selected(config, "Memory"), config.get("summaryMemory"))
    if init_vad:
        modules["vad"] = vad.create_instance(*_selected(config, "VAD"))
    if init_asr:
        modules["asr"] = initialize_asr(config)
    return modules
