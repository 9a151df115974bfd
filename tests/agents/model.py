"""A model on loopback that calls one tool with a command, and then says that it is done.

    model.py PORT_FILE LOG_FILE COMMAND

Speaks what Claude Code (Anthropic Messages) and Codex (OpenAI Responses) ask for, as streams. Every request body is added to the log
as one line, so that a test sees what the model was told.
"""

import http.server
import json
import sys

PORT_FILE, LOG_FILE, COMMAND = sys.argv[1:4]


def anthropic(body):
    """Events of the next answer: the tool call, unless its result is there already."""
    is_first = "tool_result" not in json.dumps(body["messages"])
    has_tool = any(tool.get("name") == "Bash" for tool in body.get("tools", []))
    yield "message_start", {"message": {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": [],
                            "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}}
    if is_first and has_tool:
        yield "content_block_start", {"index": 0, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}}
        arguments = json.dumps({"command": COMMAND, "description": "As the test says"})
        yield "content_block_delta", {"index": 0, "delta": {"type": "input_json_delta", "partial_json": arguments}}
    else:
        yield "content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}
        yield "content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "done"}}
    yield "content_block_stop", {"index": 0}
    stop = "tool_use" if is_first and has_tool else "end_turn"
    yield "message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 1}}
    yield "message_stop", {}


def openai(body):
    """Events of the next answer: the tool call, unless its output is there already."""
    is_first = "function_call_output" not in json.dumps(body["input"])
    if is_first:
        item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "exec_command",
                "arguments": json.dumps({"cmd": COMMAND})}
    else:
        item = {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "done"}]}
    usage = {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1, "output_tokens_details": None, "total_tokens": 2}
    yield "response.created", {"response": {"id": "resp_1"}}
    yield "response.output_item.done", {"item": item}
    yield "response.completed", {"response": {"id": "resp_1", "usage": usage}}


class Model(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            body = json.loads(text)
        except ValueError:
            body = {}
        with open(LOG_FILE, "a", encoding="utf-8") as log:
            log.write(json.dumps({"path": self.path, "body": body}) + "\n")
        if "/messages" in self.path and "count_tokens" not in self.path:
            events = anthropic(body)
        elif "/responses" in self.path:
            events = openai(body)
        else:
            return self.answer(200, "application/json", b"{}")
        events = list(events)
        if body.get("stream"):
            lines = [f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n" for name, data in events]
            return self.answer(200, "text/event-stream", "".join(lines).encode())
        message = dict(events[0][1]["message"], content=[{"type": "text", "text": "done"}], stop_reason="end_turn")
        return self.answer(200, "application/json", json.dumps(message).encode())

    def do_GET(self):
        self.answer(404, "application/json", b"{}")

    do_HEAD = do_GET

    def answer(self, code, kind, body):
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
with open(PORT_FILE, "w", encoding="utf-8") as file:
    file.write(f"{server.server_address[1]}\n")
server.serve_forever()
