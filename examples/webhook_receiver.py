"""Receives webhooks of BotArmy with Python's standard library alone, as docs/webhooks.md describes it.

`mail_relay.py` and `chat_relay.py` use it. A message is verified (`v1`), refused if it is old, and
passed on once: `webhook-id` is remembered for as long as its timestamp is accepted.
"""
import base64, hashlib, hmac, json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WINDOW_S = 300       # tolerated distance between the timestamp and the clock
MAX_BODY = 64 * 1024

class Refused(Exception): """The message is not from the server, or is too old."""

def key_of(secret):
    if not secret.startswith("whsec_"):
        raise SystemExit("The secret must begin with whsec_; it is in the response that created the webhook.")
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)

def verify(key, headers, body, now):
    """Returns the id of a message that is signed and new; `headers` has a method `get`."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not timestamp.isascii() or not timestamp.isdigit():
        raise Refused("the headers of a webhook are missing")
    if abs(now - int(timestamp)) > WINDOW_S:
        raise Refused("the timestamp is too far away from the clock")
    content = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
    for one in headers.get("webhook-signature", "").split(" "):
        version, _, signature = one.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode(), expected):
            return message_id
    raise Refused("no signature is valid")

class Seen:
    """Ids of messages that were passed on, for as long as their timestamps are accepted."""
    def __init__(self):
        self.until, self.lock = {}, threading.Lock()

    def pass_on_once(self, message_id, pass_on):
        """Calls `pass_on` unless it has succeeded for this message before."""
        with self.lock:  # one message after the other: the server sends them so too
            now = time.monotonic()
            self.until = {one: end for one, end in self.until.items() if end > now}
            if message_id not in self.until:
                pass_on()
                self.until[message_id] = now + 2 * WINDOW_S

def link_of(data):
    """The page of the console about a message, if there is one; BOTARMY_URL is the address of the server."""
    base = os.environ.get("BOTARMY_URL", "http://127.0.0.1:8080").rstrip("/")
    if data.get("request_id"):
        return f"{base}/console/requests/{data['request_id']}"
    if data.get("project_id"):
        return f"{base}/console/projects/{data['project_id']}"
    return f"{base}/console"

def serve(pass_on):
    """Receives messages until it is interrupted, and calls `pass_on` with each. If that fails, the answer
    is 503, and the server sends the message again."""
    key, seen = key_of(os.environ.get("WEBHOOK_SECRET", "")), Seen()

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self):
            try:
                length = int(self.headers.get("content-length", "-1"))
                if not 0 <= length <= MAX_BODY:
                    return self.answer(413)
                body = self.rfile.read(length)
                message_id = verify(key, self.headers, body, time.time())
                message = json.loads(body)
                seen.pass_on_once(message_id, lambda: pass_on(message))
                self.answer(204)
            except Refused as refused:
                print(f"Refused a message: {refused}", file=sys.stderr, flush=True)
                self.answer(401)
            except Exception as error:
                print(f"A message was not passed on: {error}", file=sys.stderr, flush=True)
                self.answer(503)

        def answer(self, status):
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    host, _, port = os.environ.get("LISTEN", "127.0.0.1:8090").rpartition(":")
    with ThreadingHTTPServer((host, int(port)), Handler) as server:
        print(f"Receiving on {host}:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
