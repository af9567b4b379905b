"""One device's connection: sets its parts up, takes what comes, and talks with the model."""

import asyncio
import copy
import json
import queue
import re
import threading
import time
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import websockets
from config.logger import create_connection_logger, setup_logging
from core.handle.textHandle import handleTextMessage
from core.hostkit_version import VERSION
from core.providers.asr.dto.dto import InterfaceType
from core.providers.tools.unified_tool_handler import UnifiedToolHandler
from core.providers.tts.default import DefaultTTS
from core.providers.tts.dto.dto import ContentType, SentenceType, TTSMessageDTO
from core.utils import textUtils
from core.utils.dialogue import Dialogue, Message
from core.utils.libopus import opuslib_next
from core.utils.modules_initialize import initialize_asr, initialize_tts
from core.utils.prompt_manager import PromptManager
from core.utils.util import extract_json_from_string, get_system_error_response
from plugins_func.loadplugins import auto_import_modules
from plugins_func.register import Action, ActionResponse

TAG = __name__

auto_import_modules("plugins_func.functions")

_MAX_DEPTH = 5
_HELD_BACK = 5
"""Characters of a direct answer that wait for more, since they may be the end of the JSON."""

DIRECT_ANSWER_TOOL = {
    "type": "function",
    "function": {
        "name": "direct_answer",
        "description": "answer without any other tool",
        "parameters": {
            "type": "object",
            "properties": {"response": {"type": "string", "description": "the whole answer"}},
            "required": ["response"],
        },
    },
}


class ConnectionHandler:
    def __init__(self, config, _vad, _asr, _llm, _memory, _intent, server=None):
        self.common_config = config
        self.config = copy.deepcopy(config)
        self.session_id = str(uuid.uuid4())
        self.logger = setup_logging()
        self.server = server
        self.read_config_from_api = False
        self.need_bind = False
        self.bind_completed_event = asyncio.Event()

        self.websocket = self.headers = self.device_id = self.client_ip = self.loop = None
        self.prompt = self.welcome_msg = self.features = self.func_handler = None
        self.audio_format, self.sample_rate = "opus", 24000
        self.max_output_size = self.chat_history_conf = 0
        self.report_tts_enable = self.report_asr_enable = False
        self.report_queue, self.report_thread = queue.Queue(), None
        self.stop_event = threading.Event()
        self.executor = ThreadPoolExecutor(max_workers=5, thread_name_prefix="hostkit-conn")
        self.hostkit_ready = threading.Event()
        self.hostkit_threads = []

        self.client_abort = self.client_is_speaking = self.client_aec = False
        self.client_listen_mode = "auto"
        self.close_after_chat = self.calling = False
        self.incoming_call = None

        self._vad, self._asr = _vad, _asr
        self.vad = self.asr = self.tts = self.voiceprint_provider = None
        self.llm, self.memory, self.intent = _llm, _memory, _intent
        self.intent_type = "nointent"
        self.load_function_plugin = False

        self.client_audio_buffer = bytearray()
        self.client_voice_window = deque(maxlen=5)
        self.client_have_voice = self.client_voice_stop = self.last_is_voice = False
        self.first_activity_time = self.last_activity_time = self.vad_last_voice_time = 0.0
        self.asr_audio, self.asr_audio_queue = [], queue.Queue()
        self.current_speaker = None
        self.introduced_speakers, self.system_introduced_speakers = set(), set()

        self.dialogue = Dialogue()
        self.sentence_id = None
        self.tts_MessageText = ""
        self.iot_descriptors = {}
        self.cmd_exit = self.config["exit_commands"]
        self.prompt_manager = PromptManager(self.config, self.logger)
        if VERSION < (0, 9, 3):
            self.llm_finish_task = True

    # The connection.

    async def handle_connection(self, ws):
        try:
            self.loop = asyncio.get_running_loop()
            self.websocket = ws
            self.headers = {name.lower(): value for name, value in ws.request.headers.raw_items()}
            self.device_id = self.headers.get("device-id")
            self.client_ip = ws.remote_address[0]
            self.first_activity_time = self.last_activity_time = time.time() * 1000
            self.welcome_msg = self.config["xiaozhi"]
            self.welcome_msg["session_id"] = self.session_id
            self.sample_rate = self.welcome_msg["audio_params"]["sample_rate"]
            self.bind_completed_event.set()
            self.executor.submit(self._initialize_components)
            async for message in ws:
                if isinstance(message, str):
                    await handleTextMessage(self, message)
                else:
                    self._take_sound(message)
        except websockets.exceptions.ConnectionClosed:
            pass
        except Exception as exc:
            self.logger.bind(tag=TAG).error(f"connection: {type(exc).__name__}: {exc}")
        finally:
            await self._save_and_close(ws)

    def _take_sound(self, packet):
        if self.vad is None or self.asr is None:
            return
        if VERSION >= (0, 9, 6):
            if not hasattr(self, "_connection_opus_decoder"):
                self._connection_opus_decoder = opuslib_next.Decoder(16000, 1)
            try:
                packet = self._connection_opus_decoder.decode(packet, 960)
            except opuslib_next.OpusError:
                return
        self.asr_audio_queue.put(packet)

    async def _save_and_close(self, ws):
        if self.memory:
            thread = threading.Thread(target=self._save_memory, name="hostkit-save", daemon=True)
            self.hostkit_threads.append(thread)
            thread.start()
        await self.close(ws)

    def _save_memory(self):
        try:
            asyncio.run(self.memory.save_memory(self.dialogue.dialogue, self.session_id))
        except Exception as exc:
            self.logger.bind(tag=TAG).error(f"memory not saved: {exc}")

    async def close(self, ws=None):
        try:
            if self.vad is not None and hasattr(self.vad, "release_conn_resources"):
                self.vad.release_conn_resources(self)
            if self.func_handler:
                await self.func_handler.cleanup()
            self.stop_event.set()
            self.clear_queues()
            socket = ws or self.websocket
            if socket is not None:
                await socket.close()
            if self.tts:
                await self.tts.close()
            if self.asr and VERSION >= (0, 9, 3):
                await self.asr.close()
            if self.executor:
                self.hostkit_threads += self.executor._threads
                self.executor.shutdown(wait=False)
                self.executor = None
        except Exception as exc:
            self.logger.bind(tag=TAG).error(f"close: {type(exc).__name__}: {exc}")
        finally:
            self.stop_event.set()

    def clear_queues(self):
        if not self.tts:
            return
        for waiting in (self.tts.tts_text_queue, self.tts.tts_audio_queue, self.report_queue):
            while True:
                try:
                    waiting.get_nowait()
                except queue.Empty:
                    break
        if getattr(self, "audio_rate_controller", None):
            self.audio_rate_controller.reset()

    def clearSpeakStatus(self):
        self.client_is_speaking = False

    def reset_audio_states(self):
        self.client_audio_buffer.clear()
        self.client_have_voice = self.client_voice_stop = self.last_is_voice = False
        self.client_voice_window.clear()
        self.vad_last_voice_time = 0.0
        self.asr_audio.clear()

    reset_vad_states = reset_audio_states

    # The parts. The first that raises ends it all.

    def _initialize_components(self):
        try:
            if self.tts is None:
                self.tts = self._initialize_tts()
            asyncio.run_coroutine_threadsafe(self.tts.open_audio_channels(self), self.loop)
            self.logger = create_connection_logger("")
            if self.config.get("prompt") is not None:
                self.change_system_prompt(self.prompt_manager.get_quick_prompt(self.config["prompt"]))
            self.vad = self.vad or self._vad
            self.asr = self.asr or self._initialize_asr()
            asyncio.run_coroutine_threadsafe(self.asr.open_audio_channels(self), self.loop)
            self._initialize_memory()
            self._initialize_intent()
            self._init_prompt_enhancement()
            if VERSION >= (0, 9, 4):
                self._inject_tool_call_fewshot()
        except Exception as exc:
            self.logger.bind(tag=TAG).error(f"setup ended early: {type(exc).__name__}: {exc}")
        finally:
            self.hostkit_ready.set()

    def _initialize_tts(self):
        return initialize_tts(self.config) or DefaultTTS(self.config, delete_audio_file=True)

    def _initialize_asr(self):
        if getattr(self._asr, "interface_type", None) == InterfaceType.LOCAL:
            return self._asr
        return initialize_asr(self.config)

    def _initialize_memory(self):
        if self.memory is None:
            return
        self.memory.init_memory(
            role_id=self.device_id,
            llm=self.llm,
            summary_memory=self.config.get("summaryMemory"),
            save_to_file=not self.read_config_from_api,
        )
        self.config["Memory"][self.config["selected_module"]["Memory"]][
            "type"
        ]  # a section without it ends setup

    def _initialize_intent(self):
        if self.intent is None:
            return
        self.intent_type = self.config["Intent"][self.config["selected_module"]["Intent"]]["type"]
        if self.intent_type == "nointent":
            return
        self.load_function_plugin = self.intent_type in ("function_call", "intent_llm")
        if self.intent_type == "intent_llm":
            self.intent.set_llm(self.llm)
        self.func_handler = UnifiedToolHandler(self)
        asyncio.run_coroutine_threadsafe(self.func_handler._initialize(), self.loop)

    def _init_prompt_enhancement(self):
        self.prompt_manager.update_context_info(self, self.client_ip)
        more = {"emoji_enabled": (self.features or {}).get("emoji", True)} if VERSION >= (0, 9, 4) else {}
        prompt = self.prompt_manager.build_enhanced_prompt(
            self.config["prompt"], self.device_id, self.client_ip, **more
        )
        if prompt:
            self.change_system_prompt(prompt)

    def _inject_tool_call_fewshot(self):
        if self.intent_type != "function_call" or not self.func_handler.get_functions():
            return
        call = _call("fewshot-1", "direct_answer", '{"response": "想听什么故事？"}', 0)  # noqa: RUF001
        for role, more in (
            ("user", {"content": "讲个故事"}),
            ("assistant", {"tool_calls": [call]}),
            ("tool", {"content": "已回答", "tool_call_id": "fewshot-1"}),
        ):
            self.dialogue.put(Message(role, is_temporary=True, **more))

    def change_system_prompt(self, prompt):
        self.prompt = prompt
        self.dialogue.update_system_message(prompt)

    # The conversation. Runs in a thread of the executor; nobody looks at what it raises.

    def chat(self, query, depth=0):
        if depth == 0:
            if VERSION < (0, 9, 3):
                self.llm_finish_task = False
            self.sentence_id = uuid.uuid4().hex
            self.dialogue.put(Message(role="user", content=query))
            self._to_tts(self.sentence_id, SentenceType.FIRST)
        turn = self.sentence_id
        functions = self._functions(depth)
        try:
            stream = self._ask(query, functions)
        except Exception as exc:
            self.logger.bind(tag=TAG).error(f"LLM 处理出错 {query}: {exc}")
            return None  # and the turn gets no LAST

        if VERSION < (0, 9, 3):
            self.client_abort = False
            answer = self._listen(stream, functions, turn)
        else:
            try:
                answer = self._listen(stream, functions, turn)
            except Exception as exc:
                self.logger.bind(tag=TAG).error(f"LLM stream processing error: {exc}")
                self._to_tts(turn, SentenceType.MIDDLE, get_system_error_response(self.config))
                if depth == 0:
                    self._to_tts(turn, SentenceType.LAST)
                return None
        if answer.calls and not self._use_tools(answer, turn, depth):
            return None
        self._remember(turn, "".join(answer.said))
        if depth == 0:
            self._to_tts(turn, SentenceType.LAST)
            if VERSION < (0, 9, 3):
                self.llm_finish_task = True
            elif VERSION < (0, 9, 4) and any(m.is_temporary for m in self.dialogue.dialogue):
                self.dialogue.dialogue = [m for m in self.dialogue.dialogue if not m.is_temporary]
        return True

    def _functions(self, depth):
        if depth >= _MAX_DEPTH:
            self.dialogue.put(Message(role="user", content="[系统提示] 不要再调用工具，直接回答。"))  # noqa: RUF001
            return None
        if self.intent_type != "function_call" or self.func_handler is None:
            return None
        functions = list(self.func_handler.get_functions())
        if VERSION >= (0, 9, 4) and depth == 0:
            functions.append(DIRECT_ANSWER_TOOL)
        if VERSION[:3] == (0, 9, 3) and depth == 0 and len(self.dialogue.dialogue) > 4:
            self.dialogue.put(
                Message(role="user", content="[重要提醒] 检查是否要用工具。", is_temporary=True)
            )
        return functions

    def _ask(self, query, functions):
        memory = None
        if self.memory is not None and (query or VERSION < (0, 9, 3)):
            memory = asyncio.run_coroutine_threadsafe(self.memory.query_memory(query), self.loop).result()
        dialogue = self.dialogue.get_llm_dialogue_with_memory(memory, self.config.get("voiceprint", {}))
        if functions is None:
            return self.llm.response(self.session_id, dialogue)
        return self.llm.response_with_functions(self.session_id, dialogue, functions=functions)

    def _listen(self, stream, functions, turn):
        answer = _Answer()
        faced = False
        for piece in stream:
            if self.client_abort:
                break
            content, fragments = (piece, None) if functions is None else piece
            if content:
                answer.raw += content
            if fragments:
                answer.merge(fragments)
                if VERSION >= (0, 9, 4):
                    self._speak_direct_answers(answer, turn)
            if functions is not None and answer.raw.startswith("<tool_call>"):
                answer.calls_as_text = True
            if content and content.strip() and not faced:
                faced = True
                if (self.features or {}).get("emoji", True):
                    asyncio.run_coroutine_threadsafe(textUtils.get_emotion(self, content), self.loop)
            if content and not answer.calls and not answer.calls_as_text:
                answer.said.append(content)
                self._to_tts(turn, SentenceType.MIDDLE, content)
        if answer.calls_as_text and not answer.calls:
            answer.read_call()
        return answer

    def _speak_direct_answers(self, answer, turn):
        for call in answer.calls:
            if call["name"] != "direct_answer":
                continue
            text = self._extract_direct_answer_response(call["arguments"])
            upto = len(text) - _HELD_BACK
            if upto > call["spoken"]:
                part = self._clean_response_garbage(text[call["spoken"] : upto])
                if part:
                    call["spoken"] = upto
                    self._to_tts(turn, SentenceType.MIDDLE, part)

    def _use_tools(self, answer, turn, depth):
        """Return False when the turn has ended with it."""
        calls = answer.calls
        if VERSION >= (0, 9, 4):
            for call in calls:
                if call["name"] == "direct_answer":
                    self._end_direct_answer(call, turn)
            calls = [call for call in calls if call["name"] != "direct_answer"]
            if not calls:
                if depth == 0:
                    self._to_tts(turn, SentenceType.LAST)
                return False
        streamed = "".join(answer.said)
        self._remember(turn, streamed)
        answer.said.clear()
        waiting = [
            (
                asyncio.run_coroutine_threadsafe(
                    self.func_handler.handle_llm_function_call(self, call), self.loop
                ),
                call,
            )
            for call in calls
        ]
        timeout_s = int(self.config.get("tool_call_timeout", 30)) if VERSION >= (0, 9, 3) else None
        results = []
        for future, call in waiting:
            try:
                results.append((future.result(timeout_s), call))
            except Exception as exc:
                self.logger.bind(tag=TAG).error(f"tool {call['name']}: {exc}")
                failed = "哎呀，网络遇到点问题，请稍后再试下！"  # noqa: RUF001
                results.append((ActionResponse(Action.ERROR, failed), call))
        self._handle_function_result(results, depth, streamed)
        return True

    def _end_direct_answer(self, call, turn):
        text = self._extract_direct_answer_response(call["arguments"])
        if not text:
            return
        rest = self._clean_response_garbage(text[call["spoken"] :])
        if rest:
            self._to_tts(turn, SentenceType.MIDDLE, rest)
        self._remember(turn, self._clean_response_garbage(text))

    def _handle_function_result(self, tool_results, depth, streamed_text=""):
        again, recorded = [], []
        for result, call in tool_results:
            name = result.action.name
            if name in ("RESPONSE", "NOTFOUND", "ERROR"):
                text = result.response or result.result
                if not (streamed_text and text in streamed_text and VERSION >= (0, 9, 4)):
                    self.tts.tts_one_sentence(self, ContentType.TEXT, content_detail=text)
                    if VERSION >= (0, 9, 3):
                        self.tts.store_tts_text(self.sentence_id, text)
                self.dialogue.put(Message(role="assistant", content=text))
            elif name == "REQLLM":
                again.append((result, call))
            elif name == "RECORD":
                recorded.append((result, call))
        if recorded:
            self._put_calls(recorded)
            said = [result.response or result.result for result, _ in recorded]
            self.dialogue.put(Message(role="assistant", content="，".join(filter(None, said))))  # noqa: RUF001
        if again:
            self._put_calls(again)
            self.chat(None, depth=depth + 1)

    def _put_calls(self, results):
        calls = [
            _call(call["id"], call["name"], call["arguments"] or "{}", number)
            for number, (_, call) in enumerate(results)
        ]
        self.dialogue.put(Message(role="assistant", tool_calls=calls))
        for result, call in results:
            if result.result:
                self.dialogue.put(Message(role="tool", content=result.result, tool_call_id=call["id"]))

    def _remember(self, turn, text):
        if not text:
            return
        if VERSION >= (0, 9, 3):
            self.tts.store_tts_text(turn, text)
        self.dialogue.put(Message(role="assistant", content=text))

    def _to_tts(self, turn, sentence_type, text=None):
        kind = ContentType.ACTION if text is None else ContentType.TEXT
        self.tts.tts_text_queue.put(TTSMessageDTO(turn, sentence_type, kind, content_detail=text))

    @staticmethod
    def _extract_direct_answer_response(arguments):
        """The answer in what has come of the JSON."""
        try:
            return json.loads(arguments)["response"]
        except (ValueError, KeyError, TypeError):
            pass
        begun = re.search(r'"response": ?"', arguments)
        if begun is None:
            return ""
        text = re.sub(r'"}?$', "", arguments[begun.end() :])
        return text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")

    @staticmethod
    def _clean_response_garbage(text):
        """Lines of closing marks only go, and closing marks and space at the very end."""
        kept = [line for line in text.split("\n") if not re.fullmatch("[\"')}）]{1,8}", line.strip())]  # noqa: RUF001
        return re.sub(r"[\"'}\]]+$", "", "\n".join(kept).rstrip()).rstrip()


class _Answer:
    """What the model has said so far."""

    def __init__(self):
        self.raw = ""
        self.said = []
        self.calls = []
        self.calls_as_text = False

    def merge(self, fragments):
        for fragment in fragments:
            at = (
                fragment.index
                if getattr(fragment, "index", None) is not None
                else max(len(self.calls) - 1, 0)
            )
            if at >= len(self.calls):
                self.calls.append({"id": "", "name": "", "arguments": "", "spoken": 0})
            call = self.calls[at]
            call["id"] = fragment.id or call["id"]
            call["name"] = fragment.function.name or call["name"]
            call["arguments"] += fragment.function.arguments or ""

    def read_call(self):
        found = extract_json_from_string(self.raw)
        try:
            content = json.loads(found or "")
            arguments = json.dumps(content["arguments"], ensure_ascii=False)
            self.calls.append(
                {"id": uuid.uuid4().hex, "name": content["name"], "arguments": arguments, "spoken": 0}
            )
        except (ValueError, KeyError):
            self.said.append(found or self.raw)


def _call(id, name, arguments, index):
    return {"id": id, "type": "function", "index": index, "function": {"name": name, "arguments": arguments}}
