"""Make the tiny SenseVoice model from nothing: speech, features, training, export.

    pip install . torch==2.13.0 "funasr[knf]" onnx onnxscript onnxruntime espeakng-loader opuslib-next av soxr
    python providers/asr/tiny/train.py --out DIR [--speech DIR]

The speech is eSpeak NG's, in many voices, speeds and pitches, sent through Opus as a device sends it. The
network is FunASR's own SenseVoiceSmall (`funasr/models/sense_voice/model.py`), only smaller. The result runs
by `funasr_onnx.SenseVoiceSmall(DIR, quantize=True)`, which needs no torch. One seed and one thread make it
repeatable. `--speech` writes a few recordings in a voice that was not trained on, for tests.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import random
import tempfile
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from funasr.models.sense_voice.model import SenseVoiceSmall
from onnxruntime.quantization import QuantType, quantize_dynamic

from xiaozhi_persona.providers.asr.tiny import sentences as lists
from xiaozhi_persona.providers.asr.tiny.speech import (
    HELD_OUT,
    NOTHING,
    RATE,
    Example,
    Floats,
    Recorder,
    Speaker,
    make_examples,
    mel,
    stack,
    varied,
    write_speech,
)

Tensor = Any

SEED = 7
TAGS = ["<|zh|>", "<|nospeech|>", "<|NEUTRAL|>", "<|HAPPY|>", "<|SAD|>", "<|ANGRY|>", "<|EMO_UNKNOWN|>"]
TAGS += ["<|Speech|>", "<|Event_UNK|>", "<|woitn|>", "<|withitn|>"]
FRONTEND = {"fs": RATE, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10}
FRONTEND.update(lfr_m=7, lfr_n=6, dither=0.0)
# Numbers SenseVoice's own embedding gives the language and the text style, as funasr_onnx sends them.
LANGUAGES, STYLES = (0, 3), {15: "<|woitn|>", 14: "<|withitn|>"}


def make_vocabulary(out: Path) -> Any:
    """A sentencepiece model of single letters in which every tag is one piece; number 0 is CTC's blank."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([lists.text_of(spoken) for spoken, _ in lists.SENTENCES]),
        model_writer=model,
        model_type="char",
        vocab_size=2000,
        hard_vocab_limit=False,
        character_coverage=1.0,
        user_defined_symbols=TAGS,
        add_dummy_prefix=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    (out / "chn_jpn_yue_eng_ko_spectok.bpe.model").write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def write_scale(path: Path, shift: Floats, scale: Floats) -> None:
    """The feature mean and spread, in Kaldi's text form that FunASR reads."""
    lines = ["<Nnet>"]
    for name, values in (("AddShift", shift), ("Rescale", scale)):
        numbers = " ".join(f"{value:.5f}" for value in values)
        lines += [f"<{name}> {len(values)} {len(values)}", f"<LearnRateCoef> 0 [ {numbers} ]"]
    path.write_text("\n".join([*lines, "</Nnet>"]) + "\n", encoding="utf-8")


def logits_of(model: Tensor, speech: Tensor, lengths: Tensor, language: Tensor, textnorm: Tensor) -> Any:
    """SenseVoice's forward pass: four questions before the speech, whose four answers are the tags."""
    event_and_emotion = model.embed(torch.tensor([[1, 2]])).repeat(speech.size(0), 1, 1)
    questions = [model.embed(language).unsqueeze(1), event_and_emotion, model.embed(textnorm).unsqueeze(1)]
    encoded, encoded_lengths = model.encoder(torch.cat([*questions, speech], dim=1), lengths + 4)
    return model.ctc.ctc_lo(encoded), encoded_lengths


def make_model(vocabulary: int) -> Any:
    """FunASR's network made small, with 0.7 million weights; `forward` is the exported one."""
    size = {"output_size": 128, "attention_heads": 4, "linear_units": 256, "num_blocks": 4, "tp_blocks": 0}
    encoder = {**size, "kernel_size": 11, "dropout_rate": 0.05, "attention_dropout_rate": 0.05}
    model: Any = SenseVoiceSmall(
        encoder="SenseVoiceEncoderSmall", encoder_conf=encoder, input_size=560, vocab_size=vocabulary
    )
    model.forward = types.MethodType(logits_of, model)
    return model


def train(
    model: Any, examples: list[Example], vocabulary: Any, shift: Floats, scale: Floats, steps: int
) -> None:
    """CTC on the text and cross-entropy on the four tags, as SenseVoice itself is trained."""
    numbers = np.random.default_rng(SEED)
    batch = 32
    pool: list[list[int]] = []
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps, pct_start=0.1)
    model.train()
    began, shown = time.monotonic(), np.zeros(2)
    for step in range(1, steps + 1):
        if not pool:  # batches of like length, in a random order
            order = sorted(
                numbers.permutation(len(examples))[: 16 * batch], key=lambda at: len(examples[at].features)
            )
            pool = [order[at : at + batch] for at in range(0, len(order), batch)]
            numbers.shuffle(pool)
        chosen = [examples[at] for at in pool.pop()]
        inputs = [torch.from_numpy((stack(varied(one, numbers)) + shift) * scale) for one in chosen]
        lengths = torch.tensor([len(one) for one in inputs])
        language = torch.from_numpy(numbers.choice(LANGUAGES, len(chosen)))
        style = torch.from_numpy(numbers.choice(list(STYLES), len(chosen), p=[0.8, 0.2]))
        tags = [[*one.tags, STYLES[int(kind)]] for one, kind in zip(chosen, style, strict=True)]
        texts = [vocabulary.encode(one.text) for one in chosen]
        speech = torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True)
        logits, _ = model(speech, lengths, language, style)
        wanted = torch.tensor([[vocabulary.piece_to_id(tag) for tag in row] for row in tags])
        tag_loss = torch.nn.functional.cross_entropy(logits[:, :4].flatten(0, 1), wanted.flatten())
        text_loss = torch.nn.functional.ctc_loss(
            logits[:, 4:].log_softmax(-1).transpose(0, 1),
            torch.tensor([piece for text in texts for piece in text]),
            lengths,
            torch.tensor([len(text) for text in texts]),
            reduction="sum",
            zero_infinity=True,
        )
        text_loss = text_loss / max(1, sum(map(len, texts)))
        loss: Any = text_loss + tag_loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        plan.step()
        shown += [text_loss.item(), tag_loss.item()]
        if step % 100 == 0:
            print(f"step {step}: text {shown[0] / 100:.4f} tags {shown[1] / 100:.4f}", end=" ")
            print(f"{time.monotonic() - began:.0f} s", flush=True)
            shown[:] = 0
    model.eval()


def gated(model: Any, vocabulary: Any) -> Any:
    """The model for export, in which an answer of "no speech" also blanks the text and the other tags."""
    names = [vocabulary.piece_to_id(tag) for tag in NOTHING]
    quiet_tags = torch.zeros(4, len(vocabulary))
    for place, name in enumerate(names):
        quiet_tags[place, name] = 1e4
    quiet_text = torch.zeros(1, len(vocabulary))
    quiet_text[0, 0] = 1e4
    chinese = vocabulary.piece_to_id("<|zh|>")

    def forward(self: Any, speech: Tensor, speech_lengths: Tensor, language: Tensor, textnorm: Tensor) -> Any:
        logits, lengths = logits_of(self, speech, speech_lengths, language, textnorm)
        quiet = (logits[:, 0, names[0]] > logits[:, 0, chinese]).float()[:, None, None]
        return logits + quiet * torch.cat([quiet_tags, quiet_text.expand(speech.size(1), -1)]), lengths

    model.forward = types.MethodType(forward, model)
    return model


def export(model: Any, out: Path) -> None:
    """Write model_quant.onnx: the weights of every matrix product in eight bits."""
    speech, lengths = torch.randn(2, 30, 560), torch.tensor([6, 30], dtype=torch.int32)
    language, style = torch.tensor([0, 0], dtype=torch.int32), torch.tensor([15, 15], dtype=torch.int32)
    batch, time_steps = torch.export.Dim("batch_size"), torch.export.Dim("feats_length")
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "model.onnx")
        torch.onnx.export(
            model,
            (speech, lengths, language, style),
            plain,
            input_names=["speech", "speech_lengths", "language", "textnorm"],
            output_names=["ctc_logits", "encoder_out_lens"],
            dynamic_shapes=({0: batch, 1: time_steps}, {0: batch}, {0: batch}, {0: batch}),
            external_data=False,
        )
        quantize_dynamic(
            plain,
            out / "model_quant.onnx",
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QUInt8,
        )


def measure(model: Any, speaker: Speaker, vocabulary: Any, shift: Floats, scale: Floats) -> None:
    """Print how the model does with voices that were not trained on, and with phrases it does not know."""
    recorder = Recorder(random.Random(SEED + 1))

    def heard(phrase: str, voice: str, speed: int, pitch: int) -> str:
        audio = recorder.record(speaker.say(phrase, voice, speed, pitch), 0.25, codec=1.0)
        features = torch.from_numpy((stack(mel(audio)) + shift) * scale)[None]
        with torch.no_grad():
            logits, _ = model(
                features, torch.tensor([features.shape[1]]), torch.tensor([0]), torch.tensor([15])
            )
        pieces = torch.unique_consecutive(logits[0, 4:].argmax(-1))
        return str(vocabulary.decode([piece for piece in pieces.tolist() if piece != 0]))

    known = [spoken for spoken, _ in lists.SENTENCES]
    right = [
        heard(spoken, "cmn-latn-pinyin" + voice, speed, pitch) == lists.text_of(spoken)
        for spoken in known
        for voice, speed, pitch in HELD_OUT
    ]
    other = [(phrase, "cmn-latn-pinyin") for phrase in lists.UNSEEN_CHINESE]
    other += [(phrase, "en-us") for phrase in lists.UNSEEN_ENGLISH]
    false = [heard(phrase, voice, 175, 50) != "" for phrase, voice in other]
    print(f"sentences right: {np.mean(right):.4f} of {len(right)}", end=", ")
    print(f"other phrases answered: {np.mean(false):.4f} of {len(false)}")


def main() -> None:
    """Make the model, and the recordings if they are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument(
        "--speech", type=Path, help="folder for recordings of a voice that was not trained on"
    )
    parser.add_argument("--renderings", type=int, default=64, help="renderings of each sentence")
    parser.add_argument("--others", type=int, default=3200, help="renderings of other phrases")
    parser.add_argument("--steps", type=int, default=6000)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # the exporter tells of every node
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    dice = random.Random(SEED)
    options.out.mkdir(parents=True, exist_ok=True)
    speaker = Speaker()
    if options.speech is not None:
        write_speech(speaker, options.speech)
    vocabulary = make_vocabulary(options.out)
    examples = make_examples(speaker, dice, options.renderings, options.others)
    frames = np.concatenate([one.features for one in examples])
    shift, scale = np.tile(-frames.mean(0), 7), np.tile(1 / frames.std(0), 7)
    print(
        f"{len(examples)} examples, {len(frames) / 100:.0f} s of audio, {len(vocabulary)} pieces", flush=True
    )
    write_scale(options.out / "am.mvn", shift, scale)
    config = {"model": "SenseVoiceSmall", "frontend_conf": FRONTEND}
    (options.out / "config.yaml").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    model = make_model(len(vocabulary))
    train(model, examples, vocabulary, shift, scale, options.steps)
    model = gated(model, vocabulary)
    measure(model, speaker, vocabulary, shift, scale)
    export(model, options.out)


if __name__ == "__main__":
    main()
