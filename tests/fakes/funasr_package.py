"""Stands for the packages torch and funasr, as far as our engine uses them: `AutoModel` hears what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from xiaozhi_persona.spine import Samples


def funasr_package(
    load: Callable[[], None], hear: Callable[[Samples], str]
) -> Iterator[tuple[str, ModuleType]]:
    """Yield the modules with their names, for sys.modules; `load` is called where a model is read."""

    class AutoModel:
        def __init__(self, model: str, **options: Any) -> None:
            if not (Path(model) / "model.pt").is_file():
                raise FileNotFoundError(model)
            load()
            self.model = SimpleNamespace(parameters=lambda: iter(()))
            self.kwargs: dict[str, Any] = dict(options)

        def generate(self, input: Any, **options: Any) -> list[dict[str, Any]]:
            text = hear((input * 32768).astype("int16"))
            return [{"key": "sound", "text": f"<|zh|><|NEUTRAL|><|Speech|><|withitn|>{text}"}]

    names = {"name_maps_ms": {"paraformer-zh": "iic/Paraformer"}, "name_maps_hf": {}}
    no = SimpleNamespace(is_available=lambda: False)
    for name, content in {
        "torch": {"cuda": no, "backends": SimpleNamespace(mps=no), "set_num_threads": lambda count: None},
        "funasr": {"AutoModel": AutoModel},
        "funasr.download": {},
        "funasr.download.name_maps_from_hub": names,
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        yield name, module
