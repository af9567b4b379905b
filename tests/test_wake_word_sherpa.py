"""The wake word by sherpa-onnx: a tiny model of our own that knows no speech shows how the engine is fed and asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xiaozhi_persona.bridge.client.wake_word.spotter import open_spotter
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.spine import Samples

onnx = pytest.importorskip("onnx")
pytest.importorskip("sherpa_onnx")
pytest.importorskip("pypinyin")

TOKENS = ["<blk>", "<unk>", "n", "ǐ", "h", "ǎo", "x", "iǎo", "zh", "ì"]
WORD = [2, 3, 4, 5, 6, 7, 8, 9]
"""The tokens of 你好小智."""
BLANK = 0


def write_onnx(
    file: Path,
    nodes: list[Any],
    inputs: dict[str, tuple[int, list[Any]]],
    outputs: dict[str, list[Any]],
    **more: Any,
) -> None:
    info, real = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "tiny",
        [info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [info(name, real, shape) for name, shape in outputs.items()],
        [onnx.numpy_helper.from_array(array, name) for name, array in more.pop("constants", {}).items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.helper.set_model_props(model, {key: str(value) for key, value in more.items()})
    onnx.save(model, str(file))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that takes any loud sound for its word: each token follows on the one before, and silence is blank."""
    node, real, whole, size = (
        onnx.helper.make_node,
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
        len(TOKENS),
    )
    (tmp_path / "tokens.txt").write_text(
        "".join(f"{token} {number}\n" for number, token in enumerate(TOKENS)), encoding="utf-8"
    )
    loud = np.zeros((1, size), np.float32)
    loud[0, BLANK] = -5.0  # on the mean of the logarithmic spectrum, which is far below zero in silence
    write_onnx(
        tmp_path / "encoder.onnx",
        [
            node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=1),
            node("MatMul", ["mean", "loud"], ["encoder_out"]),
            node("Identity", ["h"], ["next_h"]),
            node("Identity", ["c"], ["next_c"]),
        ],
        {"x": (real, ["N", 9, 80]), "h": (real, [1, "N", 4]), "c": (real, [1, "N", 4])},
        {"encoder_out": ["N", 1, size], "next_h": [1, "N", 4], "next_c": [1, "N", 4]},
        constants={"loud": loud},
        model_type="lstm",
        num_encoder_layers=1,
        T=9,
        decode_chunk_len=4,
        rnn_hidden_size=4,
        d_model=4,
    )
    follows = np.zeros((size, size), np.float32)
    for before, after in zip([BLANK, *WORD], [*WORD, BLANK], strict=True):
        follows[before, after] = 20.0
    write_onnx(
        tmp_path / "decoder.onnx",
        [
            node("Gather", ["y", "last"], ["before"], axis=1),
            node("Gather", ["follows", "before"], ["decoder_out"], axis=0),
        ],
        {"y": (whole, ["N", 2])},
        {"decoder_out": ["N", size]},
        constants={"follows": follows, "last": np.array(1, np.int64)},
        context_size=2,
        vocab_size=size,
    )
    write_onnx(
        tmp_path / "joiner.onnx",
        [node("Add", ["encoder_out", "decoder_out"], ["logit"])],
        {"encoder_out": (real, ["N", size]), "decoder_out": (real, ["N", size])},
        {"logit": ["N", size]},
        joiner_dim=size,
    )
    return tmp_path


def found(word: str, folder: Path, *sounds: Samples) -> list[int]:
    """How often the word is found in each sound."""
    spotter = open_spotter(word, folder)
    return [sum(spotter.feed(sound[at : at + 1280]) for at in range(0, len(sound), 1280)) for sound in sounds]


def noise(seconds: float) -> Samples:
    return np.random.default_rng(1).normal(scale=4000, size=round(seconds * 16000)).astype(np.int16)


def quiet(seconds: float) -> Samples:
    return np.zeros(round(seconds * 16000), np.int16)


def test_a_chinese_word_is_found_by_its_sounds(folder: Path):
    assert open_spotter("你好小智", folder).word == "你好小智"
    before, said, after = found("你好小智", folder, quiet(2.0), noise(0.5), quiet(1.0))
    assert before == 0
    assert said + after == 1


def test_a_line_of_keywords_txt_goes_first(folder: Path):
    (folder / "keywords.txt").write_text("x iǎo #0.1 @别的\nn ǐ h ǎo x iǎo zh ì @小 爱\n", encoding="utf-8")
    assert sum(found("小爱", folder, noise(0.5), quiet(1.0))) == 1


def test_a_word_of_which_the_model_has_no_sounds_is_told(folder: Path):
    with pytest.raises(SettingsError, match=r"keywords\.txt"):
        open_spotter("天猫精灵", folder)
    with pytest.raises(SettingsError, match=r"keywords\.txt"):
        open_spotter("okay_nabu", folder)


@pytest.mark.parametrize("missing", ["tokens.txt", "encoder.onnx", "decoder.onnx", "joiner.onnx"])
def test_a_folder_in_which_something_is_missing_or_broken_is_told(folder: Path, missing: str):
    (folder / missing).write_bytes(b"\xff\xfe\x00 no model")
    with pytest.raises(SettingsError, match="kws"):
        open_spotter("你好小智", folder)
    (folder / missing).unlink()
    with pytest.raises(SettingsError, match="kws"):
        open_spotter("你好小智", folder)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(SettingsError, match="kws"):
        open_spotter("你好小智", tmp_path / "nothing")
