"""Verifies a message with the library of Standard Webhooks, once with each of its secrets."""
import json, sys
from standardwebhooks import Webhook, WebhookVerificationError

case = json.load(open(sys.argv[1], encoding="utf-8"))
for secret in case["valid"]:
    message = Webhook(secret).verify(case["body"], case["headers"])
    assert message["type"] == "webhook_test", message
for secret, body in [(case["wrong"], case["body"]), (case["valid"][0], case["body"] + " ")]:
    try:
        Webhook(secret).verify(body, case["headers"])
    except WebhookVerificationError:
        continue
    raise SystemExit("a message was accepted that is not from the server")
print("verified:", len(case["valid"]))
