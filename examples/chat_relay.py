#!/usr/bin/env python3
"""Writes the messages of a webhook to a chat, through an incoming webhook of the chat.

    WEBHOOK_SECRET=whsec_… CHAT_URL=https://chat.example/hooks/… python3 examples/chat_relay.py

It sends `{"text": …}`, which Slack, Mattermost, Rocket.Chat and others take, with a link to the page of
the request: that shows the present state, so it cannot be out of date as a button would be. LISTEN is the
address on which it receives (127.0.0.1:8090), BOTARMY_URL that of the server for the links.
"""
import json, os, urllib.request
from webhook_receiver import link_of, serve

class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None

OPENER = urllib.request.build_opener(NoRedirect)

def text_of(message):
    what = str(message.get("type", "message")).replace("_", " ").capitalize()
    return f"{what}: {link_of(message.get('data', {}))}"

def send(message):
    body = json.dumps({"text": text_of(message)}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["CHAT_URL"], body, headers, method="POST")
    with OPENER.open(request, timeout=8):
        pass

if __name__ == "__main__":
    if not os.environ.get("CHAT_URL", "").startswith(("https://", "http://")):
        raise SystemExit("CHAT_URL must be the address of an incoming webhook of the chat.")
    serve(send)
