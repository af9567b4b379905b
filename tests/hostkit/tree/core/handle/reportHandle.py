"""Reports for the console; nothing without one. They are kept here, so that tests see them."""

reports = []


def enqueue_tts_report(conn, text, opus_data):
    reports.append(("tts", conn.device_id, text, list(opus_data)))


def enqueue_asr_report(conn, text, opus_data):
    reports.append(("asr", conn.device_id, text, list(opus_data)))


def enqueue_tool_report(conn, tool_name, tool_input, tool_result=None, report_tool_call=True):
    reports.append(("tool", conn.device_id, tool_name, tool_result))
