#!/usr/bin/env python3
"""Turns the messages of a webhook into mails: for requests that wait for people, one to each who is asked.

    WEBHOOK_SECRET=whsec_… MAIL_TO=ada=ada@example.org,ops@example.org SMTP=mail.example:25 \\
        python3 examples/mail_relay.py

MAIL_TO has addresses, each after the name of its person in BotArmy, if it has one. With BOTARMY_KEY, a key
that may manage access, such a person gets a link with which to answer, where the policy of the request has
`links = true`; all others get the page of the console. People whom the policy does not ask get nothing.
Create the webhook with the events hitl_request_created, hitl_reminded and hitl_escalated.

LISTEN is the address on which it receives (127.0.0.1:8090), BOTARMY_URL the address of the server for the
people, BOTARMY_SERVER that for this program if it is another, MAIL_FROM the sender. With SMTP_USER and
SMTP_PASSWORD it signs in, after STARTTLS. Messages are repeated by the server until all mails were accepted.
"""
import json, os, smtplib, ssl, sys, urllib.error, urllib.request
from email.message import EmailMessage
from webhook_receiver import link_of, serve

ASKS = {"hitl_request_created", "hitl_reminded", "hitl_escalated"}
SENT = {}  # addresses that have a mail about an entry, while others do not

class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # another server must not get the key

OPENER = urllib.request.build_opener(NoRedirect)

def recipients():
    """Returns pairs of an address and the name of its person, which may be empty."""
    parts = [part.strip().rpartition("=") for part in os.environ.get("MAIL_TO", "").split(",")]
    return [(address, person) for person, _, address in parts if address]

def answer_link(request_id, person):
    """Makes a link with which a person answers a request. Returns it with the time at which it ends, or the
    code of the refusal."""
    base = os.environ.get("BOTARMY_SERVER") or os.environ.get("BOTARMY_URL", "http://127.0.0.1:8080")
    url = f"{base.rstrip('/')}/api/v1/hitl/{request_id}/links"
    body = json.dumps({"person": person, "actions": ["approve", "reject"]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['BOTARMY_KEY']}"}
    try:
        with OPENER.open(urllib.request.Request(url, body, headers, method="POST"), timeout=8) as made:
            link = json.load(made)
            return link["url"], link["expires_at"], None
    except urllib.error.HTTPError as refused:
        if refused.code not in (403, 409, 422):
            raise
        return None, None, json.load(refused).get("type", "").rpartition(":")[2]

def mail_of(message, number, address, person):
    """Returns the mail to an address, the one with this number, or None if its person is not asked."""
    data, mail = message.get("data", {}), EmailMessage()
    what = str(message.get("type", "message")).replace("_", " ").capitalize()
    mail["Subject"] = f"BotArmy: {what}"
    mail["From"] = os.environ.get("MAIL_FROM", "botarmy@localhost")
    mail["To"] = address
    if data.get("entry_id"):
        mail["Message-ID"] = f"<{data['entry_id']}.{number}@botarmy>"
    lines = [f"{what}, at {message.get('timestamp')}.", "", link_of(data)]
    if message.get("type") in ASKS and data.get("request_id") and person and os.environ.get("BOTARMY_KEY"):
        link, until, refusal = answer_link(data["request_id"], person)
        if refusal in ("not_eligible", "not_pending"):
            return None
        if refusal:
            print(f"{person} gets the page, as the link was refused: {refusal}", file=sys.stderr, flush=True)
        if link:
            lines[2:] = [link, "", f"The link answers in the name of {person}, once, until {until}."
                                   " Anyone who has it can use it: do not pass it on."]
    mail.set_content("\n".join(lines) + "\n")
    return mail

def send(message):
    host, _, port = os.environ.get("SMTP", "127.0.0.1:25").rpartition(":")
    entry = message.get("data", {}).get("entry_id")
    sent = SENT.setdefault(entry, set()) if entry else set()
    while len(SENT) > 1000:
        del SENT[next(iter(SENT))]
    with smtplib.SMTP(host, int(port), timeout=8) as smtp:
        user = os.environ.get("SMTP_USER")
        if user:
            smtp.starttls(context=ssl.create_default_context())
            smtp.login(user, os.environ["SMTP_PASSWORD"])
        for number, (address, person) in enumerate(recipients()):
            mail = None if address in sent else mail_of(message, number, address, person)
            if mail:
                smtp.send_message(mail)
            sent.add(address)
    SENT.pop(entry, None)

if __name__ == "__main__":
    if not recipients():
        raise SystemExit("MAIL_TO must be the address to which mails are sent.")
    serve(send)
