#!/usr/bin/env python3
"""Turns the messages of a webhook into mails with a link to the page of the request.

    WEBHOOK_SECRET=whsec_… MAIL_TO=ada@example.org SMTP=mail.example:25 python3 examples/mail_relay.py

LISTEN is the address on which it receives (127.0.0.1:8090), BOTARMY_URL that of the server for the links,
MAIL_FROM the sender. With SMTP_USER and SMTP_PASSWORD it signs in, after STARTTLS. Messages are repeated
by the server until the mail was accepted.
"""
import os, smtplib, ssl
from email.message import EmailMessage
from webhook_receiver import link_of, serve

def mail_of(message):
    data, mail = message.get("data", {}), EmailMessage()
    what = str(message.get("type", "message")).replace("_", " ").capitalize()
    mail["Subject"] = f"BotArmy: {what}"
    mail["From"] = os.environ.get("MAIL_FROM", "botarmy@localhost")
    mail["To"] = os.environ["MAIL_TO"]
    if data.get("entry_id"):
        mail["Message-ID"] = f"<{data['entry_id']}@botarmy>"
    lines = [f"{what}, at {message.get('timestamp')}.", "", link_of(data)]
    mail.set_content("\n".join(lines) + "\n")
    return mail

def send(message):
    host, _, port = os.environ.get("SMTP", "127.0.0.1:25").rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=8) as smtp:
        user = os.environ.get("SMTP_USER")
        if user:
            smtp.starttls(context=ssl.create_default_context())
            smtp.login(user, os.environ["SMTP_PASSWORD"])
        smtp.send_message(mail_of(message))

if __name__ == "__main__":
    if not os.environ.get("MAIL_TO"):
        raise SystemExit("MAIL_TO must be the address to which mails are sent.")
    serve(send)
