import json

from core.hostkit_version import VERSION


async def handleAbortMessage(conn):
    """Forget what is queued and tell the device. The turn's id, the model and the synthesis are left alone."""
    conn.logger.bind(tag=__name__).info("Abort message received")
    if VERSION >= (0, 9, 3):
        conn.close_after_chat = False
    conn.client_abort = True
    conn.clear_queues()
    await conn.websocket.send(json.dumps({"type": "tts", "state": "stop", "session_id": conn.session_id}))
    conn.clearSpeakStatus()
