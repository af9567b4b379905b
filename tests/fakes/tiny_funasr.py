"""Tiny models in FunASR's own layout, made with torch. One hears our recordings; the others have random weights, and
what they write means nothing, but it flows.

File names and keys: modelscope/FunASR, funasr/download/download_model_from_hub.py.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from xiaozhi_persona.providers.asr.onnx_models import TINY_MODEL

Config = dict[str, Any]

WORDS = [*"你好小智咪今天气怎么样我叫什名字一二三", "hello", "wor@@", "ld", "play", "music"]
FUNASR_EXPORTS_WITH = 512
"""The width and the number of words for which FunASR exports Paraformers with hot words."""

_FRONTEND = {"fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10}
_NO_DROPOUT = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0}


def make_sensevoice(folder: Path, full_size: bool = False) -> Path:
    """A SenseVoiceSmall that has the vocabulary of our tiny one; `full_size` for one as large as the real one."""
    sizes = {"output_size": 32, "attention_heads": 2, "linear_units": 64, "num_blocks": 2}
    if full_size:  # config.yaml of iic/SenseVoiceSmall
        sizes = {
            "output_size": 512,
            "attention_heads": 4,
            "linear_units": 2048,
            "num_blocks": 50,
            "tp_blocks": 20,
        }
    config = _sensevoice(sizes)
    return _write(folder, config, _with_vocabulary(folder), 560)


def make_hearing(folder: Path) -> Path:
    """The tiny model of providers/asr/tiny for AutoModel: the same weights, taken out of its ONNX file."""
    import torch

    sizes = {
        "output_size": 128,
        "attention_heads": 4,
        "linear_units": 256,
        "num_blocks": 4,
    }  # as train.py has them
    config = _sensevoice(sizes)
    _with_vocabulary(folder)
    shutil.copy(TINY_MODEL / "am.mvn", folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    torch.save(
        {"state_dict": {name: torch.from_numpy(value) for name, value in _tiny_weights()}},
        folder / "model.pt",
    )
    return folder


def _sensevoice(sizes: Config) -> Config:
    encoder = {"tp_blocks": 0, **sizes, "kernel_size": 11, "dropout_rate": 0.0, "attention_dropout_rate": 0.0}
    return {
        "model": "SenseVoiceSmall",
        "model_conf": {},
        "encoder": "SenseVoiceEncoderSmall",
        "encoder_conf": encoder,
        "frontend": "WavFrontend",
        "frontend_conf": {**_FRONTEND, "lfr_m": 7, "lfr_n": 6, "dither": 0.0},
        "tokenizer": "SentencepiecesTokenizer",
        "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
    }


def _with_vocabulary(folder: Path) -> dict[str, dict[str, str]]:
    folder.mkdir(parents=True)
    shutil.copy(TINY_MODEL / "chn_jpn_yue_eng_ko_spectok.bpe.model", folder / "bpe.model")
    return {"tokenizer_conf": {"bpemodel": str(folder / "bpe.model")}}


def _tiny_weights() -> Iterator[tuple[str, Any]]:
    """Give the weights by FunASR's names: the matrices, which were cut to eight bits, have lost theirs in the file."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(TINY_MODEL / "model_quant.onnx")).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    layers = ["encoders0.0", "encoders.0", "encoders.1", "encoders.2"]
    matrices = ["self_attn.linear_q_k_v", "self_attn.linear_out", "feed_forward.w_1", "feed_forward.w_2"]
    names = [f"encoder.{layer}.{matrix}.weight" for layer in layers for matrix in matrices] + [
        "ctc.ctc_lo.weight"
    ]
    found = [name.removesuffix("_quantized") for name in values if name.endswith("_quantized")]
    for name, short in zip(names, found, strict=True):
        whole = values[f"{short}_quantized"].astype("float32") - values[f"{short}_zero_point"]
        yield name, (whole * values[f"{short}_scale"]).T.copy()
    yield from (
        (name, value.copy())
        for name, value in values.items()
        if name.startswith(("encoder.", "ctc.", "embed."))
    )


def make_paraformer(folder: Path, contextual: bool = False) -> Path:
    """A Paraformer; `contextual` for one that takes hot words."""
    width = FUNASR_EXPORTS_WITH if contextual else 32
    block = {"attention_heads": 2, "linear_units": 64, "num_blocks": 2, "kernel_size": 11, "sanm_shfit": 0}
    config = {
        "model": "ContextualParaformer" if contextual else "Paraformer",
        "model_conf": {"ctc_weight": 0.0, "predictor_bias": 1, "sampling_ratio": 0.75},
        "encoder": "SANMEncoder",
        "encoder_conf": {
            **block,
            **_NO_DROPOUT,
            "output_size": width,
            "attention_dropout_rate": 0.0,
            "input_layer": "pe",
            "pos_enc_class": "SinusoidalPositionEncoder",
            "normalize_before": True,
            "selfattention_layer_type": "sanm",
        },
        "decoder": "ContextualParaformerDecoder" if contextual else "ParaformerSANMDecoder",
        "decoder_conf": {**block, **_NO_DROPOUT, "att_layer_num": 2, "self_attention_dropout_rate": 0.0},
        "predictor": "CifPredictorV2",
        "predictor_conf": {
            "idim": width,
            "threshold": 1.0,
            "l_order": 1,
            "r_order": 1,
            "tail_threshold": 0.45,
        },
        "frontend": "WavFrontend",
        "frontend_conf": {**_FRONTEND, "lfr_m": 7, "lfr_n": 6, "dither": 0.0},
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    }
    if contextual:
        config["model_conf"].update(inner_dim=width, bias_encoder_type="lstm", bias_encoder_dropout_rate=0.0)
    words = ["<blank>", "<s>", "</s>", *WORDS]
    if contextual:  # funasr-onnx knows the number 8403 for words that it does not know
        words += [letter for letter in map(chr, range(0x4E00, 0x9FFF)) if letter not in words]
        words = words[:8403]
    words.append("<unk>")
    folder.mkdir(parents=True)
    (folder / "tokens.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    return _write(folder, config, {"tokenizer_conf": {"token_list": str(folder / "tokens.json")}}, 560)


def make_vad(folder: Path) -> Path:
    """An FSMN VAD."""
    encoder = {
        "input_dim": 400,
        "input_affine_dim": 16,
        "fsmn_layers": 2,
        "linear_dim": 32,
        "proj_dim": 16,
        "lorder": 20,
        "rorder": 0,
        "lstride": 1,
        "rstride": 0,
        "output_affine_dim": 16,
        "output_dim": 248,
    }
    config = {
        "model": "FsmnVADStreaming",
        "model_conf": {"sample_rate": 16000, "max_end_silence_time": 800, "sil_pdf_ids": [0]},
        "encoder": "FSMN",
        "encoder_conf": encoder,
        "frontend": "WavFrontendOnline",
        "frontend_conf": {**_FRONTEND, "lfr_m": 5, "lfr_n": 1, "dither": 0.0},
    }
    folder.mkdir(parents=True)
    return _write(folder, config, {}, 400)


def make_punctuation(folder: Path) -> Path:
    """A CT-Transformer."""
    words = ["<blank>", "<s>", "</s>", *WORDS, "<unk>"]
    config = {
        "model": "CTTransformer",
        "model_conf": {
            "ignore_id": 0,
            "embed_unit": 32,
            "att_unit": 32,
            "dropout_rate": 0.0,
            "punc_list": ["<unk>", "_", "，", "。", "？", "、"],
            "punc_weight": [1.0] * 6,
            "sentence_end_id": 3,
        },
        "encoder": "SANMEncoder",
        "encoder_conf": {
            **_NO_DROPOUT,
            "input_size": 32,
            "output_size": 32,
            "attention_heads": 2,
            "linear_units": 64,
            "num_blocks": 2,
            "attention_dropout_rate": 0.0,
            "input_layer": "pe",
            "pos_enc_class": "SinusoidalPositionEncoder",
            "normalize_before": True,
            "kernel_size": 11,
            "sanm_shfit": 0,
            "selfattention_layer_type": "sanm",
            "padding_idx": 0,
        },
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>"},
    }
    folder.mkdir(parents=True)
    (folder / "tokens.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    return _write(folder, config, {"tokenizer_conf": {"token_list": str(folder / "tokens.json")}}, 0)


def export(folder: Path, target: Path, quantize: bool = False) -> Path:
    """Write a model as ONNX, as `AutoModel.export` does, with what funasr-onnx needs beside it."""
    import torch
    from funasr import AutoModel

    shutil.copytree(folder, target)
    old_exporter = torch.onnx.export
    if (
        "dynamo" in inspect.signature(old_exporter).parameters
    ):  # the default by now, which cannot follow Paraformer's loops
        old_exporter = functools.partial(old_exporter, dynamo=False)
    with _quiet(), mock.patch.object(torch.onnx, "export", old_exporter):
        AutoModel(model=str(target), device="cpu", ncpu=1, disable_update=True).export(
            type="onnx", quantize=quantize
        )
    (target / "model.pt").unlink()
    if (target / "bpe.model").exists():
        (target / "bpe.model").rename(target / "chn_jpn_yue_eng_ko_spectok.bpe.model")
    return target


def _write(folder: Path, config: Config, found: dict[str, dict[str, str]], features: int) -> Path:
    """Write config.yaml, am.mvn and model.pt; `found` is what FunASR finds in the folder by its name."""
    import torch
    from funasr import AutoModel

    if features:
        zeros, ones = " ".join(["0"] * features), " ".join(["1"] * features)
        size = f"{features} {features}"
        lines = ["<Nnet>", f"<AddShift> {size}", f"<LearnRateCoef> 0 [ {zeros} ]"]
        lines += [f"<Rescale> {size}", f"<LearnRateCoef> 0 [ {ones} ]", "</Nnet>", ""]
        (folder / "am.mvn").write_text("\n".join(lines))
    (folder / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    whole = copy.deepcopy(config)
    for section, values in found.items():
        whole[section].update(values)
    if features:
        whole["frontend_conf"]["cmvn_file"] = str(folder / "am.mvn")
    torch.manual_seed(3)
    with _quiet():
        model, _ = AutoModel.build_model(device="cpu", ncpu=1, **whole)
    weights = model.state_dict()
    for name, weight in weights.items():
        if name.endswith("output_layer.weight"):
            weight *= 30  # else they all write the same word
        elif name.endswith("output_layer.bias"):
            weight[[0, 1, 2, -1]] -= 1000.0  # else they write what stands for nothing
        elif name.endswith("cif_output.bias"):
            weight += 1.0  # else they hear next to no words
    torch.save({"state_dict": weights}, folder / "model.pt")
    return folder


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


MAKERS: dict[str, Callable[[Path], Path]] = {
    "sensevoice": make_sensevoice,
    "hearing": make_hearing,
    "paraformer": make_paraformer,
    "contextual": functools.partial(make_paraformer, contextual=True),
    "vad": make_vad,
    "punctuation": make_punctuation,
}

if __name__ == "__main__":
    for _name, _make in MAKERS.items():
        print(_make(Path(sys.argv[1]) / _name))
