"""FunASR's websocket server as the recognizer, in all its versions, and when it misbehaves."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fakes.funasr_server import FunasrServer, Kind
from fakes.parts import speech
from websockets.asyncio.server import ServerConnection, serve

from xiaozhi_persona.errors import PersonaError, ServiceTimeout, ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.asr import funasr_server
from xiaozhi_persona.providers.asr.funasr_server import FunasrServerRecognizer
from xiaozhi_persona.settings import AsrSettings
from xiaozhi_persona.spine import Transcript

Connecting = Callable[..., FunasrServerRecognizer]
KINDS: list[Kind] = ["cpp", "cpp_offline", "python", "python_2026_02", "python_2024_09", "python_2024"]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FunasrServer]:
    async with FunasrServer() as server:
        yield server


@pytest_asyncio.fixture
async def connecting() -> AsyncIterator[Connecting]:
    """Make recognizers; their connections are closed with the test."""
    made: list[FunasrServerRecognizer] = []

    def make(
        url: str, *hotwords: str, certificate: Path | None = None, **changes: Any
    ) -> FunasrServerRecognizer:
        settings = AsrSettings(engine="funasr_server", server_url=url).model_copy(update=changes)
        made.append(FunasrServerRecognizer(settings, hotwords, certificate))
        return made[-1]

    yield make
    for recognizer in made:
        await recognizer.aclose()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(funasr_server, "_PROBE_S", 0.2)
    monkeypatch.setattr(funasr_server, "_PROBE_MORE_S", 0.05)
    monkeypatch.setattr(funasr_server, "_MORE_S", 0.2)


# The result.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["offline", "online", "2pass"])
@pytest.mark.parametrize("parts", [["你好，小智。"], ["今天天气", "怎么样？"], ["打开", "play", "music"]])
async def test_every_version_gives_the_whole_text(
    server: FunasrServer, connecting: Connecting, kind: Kind, mode: str, parts: list[str]
) -> None:
    server.kind, server.parts = kind, parts
    recognizer = connecting(server.url, server_mode=mode)
    await recognizer.load()
    wanted = {"打开": "打开 play music"}.get(parts[0], "".join(parts))
    for _ in range(2):
        text = (await recognizer.transcribe(speech(1.0))).text
        assert text.replace(" ", "") == wanted.replace(" ", "")
        if kind != "cpp_offline":  # there the server joins them
            assert text == wanted
    assert all(utterance.opening["mode"] == mode for utterance in server.utterances)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["offline", "2pass"])
async def test_the_result_is_not_waited_for_after_it_has_come(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch, kind: Kind, mode: str
) -> None:
    monkeypatch.setattr(funasr_server, "_MORE_S", 5.0)
    server.kind = kind
    recognizer = connecting(server.url, server_mode=mode)
    await recognizer.load()
    began = time.monotonic()
    assert (await recognizer.transcribe(speech(1.0))).text
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("kind", KINDS)
async def test_quiet_after_the_last_pause_loses_nothing(
    server: FunasrServer, connecting: Connecting, kind: Kind
) -> None:
    server.kind = kind
    recognizer = connecting(server.url)
    for parts in (["一", "二"], ["一", "二", ""]):
        server.parts = parts
        assert (await recognizer.transcribe(speech(1.0))).text == "一二"


@pytest.mark.parametrize("is_slow_at_first", [False, True])
async def test_a_guess_that_nothing_replaces_ends_the_result(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch, is_slow_at_first: bool
) -> None:
    server.ends_with_guess, server.mutes = True, int(is_slow_at_first)
    monkeypatch.setattr(funasr_server, "_MORE_S", 60.0)
    assert (await connecting(server.url, server_mode="2pass").transcribe(speech(1.0))).text == "你好，小智。"


async def test_what_went_wrong_in_the_server_is_told_where_there_is_no_text(
    server: FunasrServer, connecting: Connecting
) -> None:
    server.kind, server.error = "python", "offline inference failed"
    recognizer = connecting(server.url)
    assert (await recognizer.transcribe(speech(1.0))).text == "你好，小智。"
    server.parts = []
    with pytest.raises(ServiceUnavailable, match="offline inference failed"):
        await recognizer.transcribe(speech(1.0))
    server.kind = "python_2026_02"
    with pytest.raises(ServiceUnavailable, match="没有结果"):
        await connecting(server.url).transcribe(speech(1.0))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "python_2024"])
async def test_a_slow_second_part_is_waited_for(
    server: FunasrServer, connecting: Connecting, kind: Kind
) -> None:
    server.kind, server.parts, server.wait_s = kind, ["一", "二"], 0.4  # longer than _MORE_S
    recognizer = connecting(server.url)
    await recognizer.load()
    assert (await recognizer.transcribe(speech(1.0))).text == "一二"


async def test_a_server_that_was_not_there_at_the_start_is_understood_later(
    server: FunasrServer, connecting: Connecting
) -> None:
    server.kind, server.parts = "python", ["一", "二"]
    assert (await connecting(server.url).transcribe(speech(1.0))).text == "一二"


@pytest.mark.parametrize("kind", ["cpp", "python"])
async def test_a_server_that_was_slow_at_first_loses_nothing(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    monkeypatch.setattr(funasr_server, "_PROBE_S", 0.0)
    monkeypatch.setattr(funasr_server, "_PROBE_MORE_S", 0.0)
    server.kind, server.parts = kind, ["一", "二"]
    recognizer = connecting(server.url, server_mode="2pass")
    for _ in range(2):
        assert (await recognizer.transcribe(speech(1.0))).text == "一二"


@pytest.mark.parametrize("kind", ["cpp", "cpp_offline", "python_2026_02"])
async def test_what_was_slow_at_first_is_understood_later(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    server.kind, server.mutes = kind, 1
    recognizer = connecting(server.url)
    await recognizer.transcribe(speech(1.0))
    monkeypatch.setattr(funasr_server, "_MORE_S", 60.0)
    assert (await recognizer.transcribe(speech(1.0))).text == "你好，小智。"


async def test_what_one_worker_has_learned_is_not_forgotten_by_another(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(funasr_server, "_MORE_S", 60.0)
    server.kind, server.mutes = "cpp_offline", 1
    recognizer = connecting(server.url, workers=2)
    both = await asyncio.gather(*(recognizer.transcribe(speech(1.0)) for _ in range(2)))
    assert [one.text for one in both] == ["你好，小智。"] * 2


async def test_a_deadline_shorter_than_the_patience_with_a_new_server_is_enough(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(funasr_server, "_PROBE_S", 5.0)
    server.kind = "python_2024"
    assert (await connecting(server.url, timeout_s=1.0).transcribe(speech(1.0))).text == "你好，小智。"


async def test_an_answer_of_megabytes_is_taken(server: FunasrServer, connecting: Connecting) -> None:
    server.parts = ["好" * 500_000]
    assert (await connecting(server.url).transcribe(speech(1.0))).text == server.parts[0]


async def test_tags_of_the_model_are_read(server: FunasrServer, connecting: Connecting) -> None:
    server.parts = ["<|zh|><|HAPPY|><|Speech|><|withitn|>你好。"]
    assert await connecting(server.url).transcribe(speech(1.0)) == Transcript(
        "你好。", "zh", "happy", "speech"
    )


@pytest.mark.parametrize("kind", ["cpp", "python"])
async def test_no_text_is_no_text(server: FunasrServer, connecting: Connecting, kind: Kind) -> None:
    server.kind, server.parts = kind, [""]
    assert await connecting(server.url).transcribe(speech(1.0)) == Transcript("")


async def test_what_is_no_answer_and_what_is_another_s_are_passed_over(
    server: FunasrServer, connecting: Connecting
) -> None:
    server.mode = "garbage"
    assert (await connecting(server.url).transcribe(speech(1.0))).text == "你好，小智。"


async def test_answers_without_a_name_are_ours(server: FunasrServer, connecting: Connecting) -> None:
    server.names_answers = False
    assert (await connecting(server.url).transcribe(speech(1.0))).text == "你好，小智。"


# What is sent.


async def test_the_sound_arrives_whole_and_in_frames(server: FunasrServer, connecting: Connecting) -> None:
    sound = speech(1.234)
    recognizer = connecting(server.url)
    for _ in range(2):
        await recognizer.transcribe(sound)
    first, utterance = server.utterances
    assert first.pcm.lstrip(b"\0") == utterance.pcm.lstrip(b"\0")
    assert utterance.pcm == sound.astype("<i2").tobytes()
    assert utterance.frames == 21
    opening = utterance.opening
    assert (opening["wav_format"], opening["audio_fs"], opening["chunk_size"]) == ("pcm", 16000, [5, 10, 5])


async def test_hot_words_and_figures_are_asked_for(server: FunasrServer, connecting: Connecting) -> None:
    await connecting(server.url, "小智", "咪咪", itn=False, language="zh").transcribe(speech(1.0))
    await connecting(server.url).transcribe(speech(1.0))
    with_words, without = (utterance.opening for utterance in server.utterances)
    assert json.loads(with_words["hotwords"]) == {"小智": 20, "咪咪": 20}
    assert (with_words["itn"], with_words["svs_itn"], with_words["svs_lang"]) == (False, False, "zh")
    assert without["itn"] is True and "hotwords" not in without


@pytest.mark.parametrize("kind", ["python", "python_2026_02", "python_2024_09", "python_2024"])
async def test_python_servers_get_hot_words_as_the_model_takes_them(
    server: FunasrServer, connecting: Connecting, kind: Kind
) -> None:
    server.kind = kind
    await connecting(server.url, "小智", "咪咪").transcribe(speech(1.0))
    opening = server.utterances[-1].opening
    assert opening["hotwords"] == opening["hotword"] == "小智 咪咪"


# Connections.


async def test_one_connection_serves_many_utterances(server: FunasrServer, connecting: Connecting) -> None:
    recognizer = connecting(server.url)
    await recognizer.load()
    for _ in range(5):
        await recognizer.transcribe(speech(0.5))
    assert server.connections == 1 and len({u.connection for u in server.utterances}) == 1


@pytest.mark.parametrize("how", ["while idle", "after each answer"])
async def test_a_connection_that_was_closed_is_made_anew(
    server: FunasrServer, connecting: Connecting, how: str
) -> None:
    server.mode = "close_after" if how == "after each answer" else "normal"
    recognizer = connecting(server.url)
    for _ in range(3):
        assert (await recognizer.transcribe(speech(0.5))).text == "你好，小智。"
        if how == "while idle":
            await server.drop_all()
    assert server.connections == 3


@pytest.mark.parametrize("kind", ["cpp", "cpp_offline", "python", "python_2026_02"])
@pytest.mark.parametrize("new_kind", KINDS)
@pytest.mark.parametrize("idle_s", [60.0, -1.0])
async def test_a_server_that_comes_back_as_another_version_is_understood(
    server: FunasrServer,
    connecting: Connecting,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    new_kind: Kind,
    idle_s: float,
) -> None:
    monkeypatch.setattr(funasr_server, "_IDLE_S", idle_s)
    server.kind, server.parts = kind, ["一", "二"]
    recognizer = connecting(server.url, timeout_s=2.0)
    await recognizer.transcribe(speech(1.0))
    await server.drop_all()
    server.kind = new_kind
    assert (await recognizer.transcribe(speech(1.0))).text == "一二"


async def test_a_server_that_has_changed_unseen_is_understood_the_second_time(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(funasr_server, "_MORE_S", 60.0)
    server.kind, server.wait_s = "python", 0.05
    recognizer = connecting(server.url, timeout_s=0.5, workers=2)
    await asyncio.gather(*(recognizer.transcribe(speech(1.0)) for _ in range(2)))
    server.kind = "cpp_offline"
    with pytest.raises(ServiceTimeout):
        await recognizer.transcribe(speech(1.0))
    assert (await recognizer.transcribe(speech(1.0))).text == "你好，小智。"


async def test_a_server_that_dies_when_it_is_first_asked_is_asked_again(
    connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(funasr_server, "_MORE_S", 60.0)

    async def die(connection: ServerConnection) -> None:
        await connection.recv()
        dying.close(close_connections=False)
        connection.transport.abort()

    dying = await serve(die, "127.0.0.1", 0)
    port = next(iter(dying.sockets)).getsockname()[1]
    recognizer = connecting(f"ws://127.0.0.1:{port}")
    with pytest.raises(ServiceUnavailable, match="连不上"):
        await recognizer.load()
    await dying.wait_closed()
    async with FunasrServer("cpp_offline", port=port):
        assert (await recognizer.transcribe(speech(1.0))).text == "你好，小智。"


async def test_closing_waits_for_all_hung_connections_at_once(
    server: FunasrServer, connecting: Connecting
) -> None:
    server.wait_s = 0.05
    recognizer = connecting(server.url, workers=4)
    await asyncio.gather(*(recognizer.transcribe(speech(0.5)) for _ in range(4)))
    server.freeze()
    began = time.monotonic()
    await recognizer.aclose()
    assert time.monotonic() - began < 3.0


async def test_a_connection_that_was_long_idle_is_not_trusted(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(funasr_server, "_IDLE_S", -1.0)
    recognizer = connecting(server.url)
    for _ in range(2):
        await recognizer.transcribe(speech(0.5))
    assert server.connections == 2


async def test_a_proxy_of_the_environment_is_not_used(
    server: FunasrServer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await connecting(server.url).transcribe(speech(0.5))).text == "你好，小智。"


# What goes wrong.


async def test_a_hang_up_on_a_kept_connection_is_tried_once_more(
    server: FunasrServer, connecting: Connecting
) -> None:
    recognizer = connecting(server.url)
    await recognizer.load()
    server.next_modes = ["close_midway"]
    assert (await recognizer.transcribe(speech(2.0))).text == "你好，小智。"


async def test_a_slow_server_within_the_deadline_is_waited_for(
    server: FunasrServer, connecting: Connecting
) -> None:
    server.wait_s = 0.5
    assert (await connecting(server.url).transcribe(speech(1.0))).text == "你好，小智。"


async def test_something_that_takes_connections_and_is_silent_is_given_up(connecting: Connecting) -> None:
    hold = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ServiceTimeout, match="没有应答"):
            await connecting(f"ws://127.0.0.1:{port}", connect_timeout_s=0.2).transcribe(speech(1.0))
    finally:
        hold.set()
        listener.close()
        await listener.wait_closed()
        await asyncio.sleep(0)


async def test_a_web_server_in_its_place_is_told(connecting: Connecting) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        with pytest.raises(ServiceUnavailable, match="404"):
            await connecting(f"ws://127.0.0.1:{port}").transcribe(speech(1.0))


def test_an_address_is_needed() -> None:
    with pytest.raises(SettingsError, match=r"asr\.server_url"):
        FunasrServerRecognizer(AsrSettings(engine="funasr_server"), (), None)


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, with its key beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    request = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    command = [openssl, *request.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest_asyncio.fixture
async def tls_server(certificate: Path) -> AsyncIterator[FunasrServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    async with FunasrServer(tls=context) as server:
        yield server


async def test_a_certificate_that_nobody_signed_is_refused_by_default(
    tls_server: FunasrServer, connecting: Connecting
) -> None:
    with pytest.raises(ServiceUnavailable, match=r"证书.*asr\.server_certificate"):
        await connecting(tls_server.url).load()


async def test_the_certificate_of_the_settings_is_trusted(
    tls_server: FunasrServer, connecting: Connecting, certificate: Path
) -> None:
    recognizer = connecting(tls_server.url, certificate=certificate)
    assert (await recognizer.transcribe(speech(0.5))).text == "你好，小智。"


async def test_checking_can_be_switched_off(tls_server: FunasrServer, connecting: Connecting) -> None:
    recognizer = connecting(tls_server.url, server_certificate="off")
    assert (await recognizer.transcribe(speech(0.5))).text == "你好，小智。"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "ca.pem").write_text(content)
    settings = AsrSettings(engine="funasr_server", server_url="wss://127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"ca\.pem.*asr\.server_certificate"):
        FunasrServerRecognizer(settings, (), tmp_path / "ca.pem")


async def test_tls_spoken_to_a_server_without_it_is_told(
    server: FunasrServer, connecting: Connecting
) -> None:
    with pytest.raises(PersonaError, match="连不上"):
        await connecting(server.url.replace("ws:", "wss:")).load()
