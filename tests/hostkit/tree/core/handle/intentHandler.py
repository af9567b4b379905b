"""Exit words, wake words, and providers that look for an intent before the model is asked."""

import asyncio
import json
import uuid

from core.handle.helloHandle import checkWakeupWords
from core.handle.sendAudioHandle import send_stt_message
from core.providers.tts.dto.dto import ContentType, SentenceType, TTSMessageDTO
from core.utils.dialogue import Message
from core.utils.util import remove_punctuation_and_length
from plugins_func.register import Action, ActionResponse


async def handle_user_intent(conn, text):
    if text.strip().startswith("{") and text.strip().endswith("}"):
        try:
            heard = json.loads(text)
            text = heard["content"] if isinstance(heard, dict) and "content" in heard else text
        except json.JSONDecodeError:
            pass
    bare = remove_punctuation_and_length(text)[1]
    if bare in conn.cmd_exit:
        await send_stt_message(conn, bare)
        await conn.close()
        return True
    if await checkWakeupWords(conn, bare):
        return True
    if conn.intent_type == "function_call" or not conn.intent:
        return False
    try:
        found = await conn.intent.detect_intent(conn, conn.dialogue.dialogue, text)
    except Exception as exc:
        conn.logger.bind(tag=__name__).error(f"intent: {exc}")
        return False
    if not found:
        return False
    conn.sentence_id = uuid.uuid4().hex
    return await process_intent_result(conn, found, text)


async def process_intent_result(conn, intent_result, original_text):
    try:
        call = json.loads(intent_result).get("function_call")
    except json.JSONDecodeError as exc:
        conn.logger.bind(tag=__name__).error(f"intent: {exc}")
        return False
    if not call or call["name"] == "continue_chat":
        return False
    arguments = call.get("arguments") or {}
    data = {
        "name": call["name"],
        "id": uuid.uuid4().hex,
        "arguments": json.dumps(arguments) if isinstance(arguments, dict) else arguments,
    }
    await send_stt_message(conn, original_text)
    conn.client_abort = False
    conn.executor.submit(_run, conn, data, original_text)
    return True


def _run(conn, data, original_text):
    conn.dialogue.put(Message(role="user", content=original_text))
    try:
        result = asyncio.run_coroutine_threadsafe(
            conn.func_handler.handle_llm_function_call(conn, data), conn.loop
        ).result(timeout=int(conn.config.get("tool_call_timeout", 30)))
    except Exception as exc:
        conn.logger.bind(tag=__name__).error(f"tool: {exc}")
        result = ActionResponse(Action.ERROR, "工具调用超时，请一会再试下哈", "工具调用超时，请一会再试下哈")  # noqa: RUF001
    text = result.response or result.result
    if result.action == Action.REQLLM:
        conn.dialogue.put(Message(role="tool", content=result.result))
        text = result.result
        try:
            answer = asyncio.run_coroutine_threadsafe(
                conn.intent.replyResult(text, original_text), conn.loop
            ).result()
            text = answer or text
        except Exception as exc:
            conn.logger.bind(tag=__name__).error(f"tool: {exc}")
    if text is not None:
        speak_txt(conn, text)


def speak_txt(conn, text):
    turn = conn.sentence_id
    if hasattr(conn.tts, "store_tts_text"):
        conn.tts.store_tts_text(turn, text)
    conn.tts.tts_text_queue.put(TTSMessageDTO(turn, SentenceType.FIRST, ContentType.ACTION))
    conn.tts.tts_one_sentence(conn, ContentType.TEXT, content_detail=text)
    conn.tts.tts_text_queue.put(TTSMessageDTO(turn, SentenceType.LAST, ContentType.ACTION))
    conn.dialogue.put(Message(role="assistant", content=text))
