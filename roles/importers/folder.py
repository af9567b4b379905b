"""A folder of recordings with nothing that describes it: SillyTavern-GPT-SoVITS's MyCharacters/<name>/, or anybody's."""

from __future__ import annotations

import re
from pathlib import Path

from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.clip_files import all_sounds, clips_of_pack
from xiaozhi_persona.roles.clip_texts import in_folder
from xiaozhi_persona.roles.importers.draft import Draft
from xiaozhi_persona.text.emotions import built_in_names

_WEIGHTS = ((".ckpt", "gpt_weights"), (".pth", "sovits_weights"))
_NUMBERS = re.compile(r"\d+")


def read_folder(folder: Path) -> Draft:
    """Read the recordings and the weights in a folder, which names the role."""
    draft = Draft(folder.absolute(), name=folder.absolute().name)
    draft.take(draft.name, "name", draft.name, tr("文件夹的名字"))
    add_voice(draft)
    return draft


def unused_sounds(folder: Path) -> str:
    """Say what to do with the recordings in a folder of which none could be used, "" where there are none."""
    if not (sounds := all_sounds(folder)):
        return ""
    return tr(
        "有 {count} 个音频，但看不出是哪种感情；放进 感情/ 这样的文件夹，或把文件名改成 感情_说的话.wav，或让 roles pick 来挑。",
        count=len(sounds),
    )


def add_voice(draft: Draft) -> None:
    """Take the recordings and the weights that lie in the draft's folder, where it has none."""
    if not draft.clips:
        draft.add_found(clips_of_pack(draft.base, built_in_names(), (draft.name,), is_foreign=True))
    for suffix, target in _WEIGHTS:
        files = [file for file in in_folder(draft.base) if file.suffix.lower() == suffix and file.is_file()]
        if target in draft.sheet or not files:
            continue
        newest = max(files, key=lambda file: [int(number) for number in _NUMBERS.findall(file.stem)[-2:]])
        draft.take_path(newest.name, target, newest.name)
        for file in files:
            if file != newest:
                draft.tell(file.name, "ignored", note=tr("有几个权重，取了 {name}", name=newest.name))
