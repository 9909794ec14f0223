#!/usr/bin/env python3
"""Verifies an exported log with Python's standard library alone, as docs/log.md describes it.

    python3 examples/verify_log.py FILE [SEQ:HASH]
"""
import hashlib, json, sys
from decimal import Decimal

FIELDS = ["id", "project_id", "task_id", "hitl_request_id", "event_type", "event_source",
          "event_data", "event_metadata", "created_at", "seq", "hash"]
FORM_2 = b"botarmy.canonical/2\n"
INEXACT = 2 ** 53

class Bad(Exception): """The log is not valid."""

def members(pairs):
    if len(dict(pairs)) < len(pairs):
        raise Bad("a key occurs twice")
    return dict(pairs)

def decimal(text):
    number = float(text)
    if Decimal(text) != Decimal(repr(number)):
        raise Bad(f"the number {text} cannot be stored exactly")
    return number

def integer(text):
    number = int(text)
    if text == "-0" or -2 ** 63 <= number < 2 ** 64:
        return -0.0 if text == "-0" else number
    raise Bad(f"the integer {text} has more than 64 bits")

def read(line):
    return json.loads(line, object_pairs_hook=members, parse_float=decimal, parse_int=integer)

def double(number):
    """The text of a double in RFC 8785, which is that of ECMAScript."""
    if number == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    point = len(digits) + exponent  # digits before the decimal point
    if 0 < point <= 21:
        whole, rest = text[:point].ljust(point, "0"), text[point:]
        text = whole + ("." + rest if rest else "")
    elif -6 < point <= 0:
        text = "0." + "0" * -point + text
    else:
        text = text[0] + ("." + text[1:] if text[1:] else "") + f"e{point - 1:+d}"
    return "-" * sign + text

def canonical(value, form):
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        pairs = (canonical(key, form) + ":" + canonical(value[key], form) for key in keys)
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, form) for item in value) + "]"
    if isinstance(value, float) or form == 1 and type(value) is int:
        return double(float(value))
    return json.dumps(value, ensure_ascii=False)

def is_large(value):
    """Whether the value contains a number of 2^53 or more, where the two forms differ."""
    if isinstance(value, dict):
        return any(map(is_large, value.values()))
    if isinstance(value, list):
        return any(map(is_large, value))
    return type(value) in (int, float) and abs(value) >= INEXACT

def hashes(sealed):
    """The hashes that an entry may have: of the present form, and of earlier versions."""
    large = is_large(sealed)
    text = canonical(sealed, 2).encode()
    yield hashlib.sha256(FORM_2 + text if large else text).hexdigest()
    if large:
        yield hashlib.sha256(canonical(sealed, 1).encode()).hexdigest()

def verify(lines, expected=None):
    """Returns the head of the log."""
    seq, previous, log, end = 0, "0" * 64, None, None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if end:
            raise Bad(f"line {number}: there is something after the last line")
        entry = read(line)
        if list(entry) == ["head"]:
            end = entry["head"]
            continue
        seq += 1
        if sorted(entry) != sorted(FIELDS):
            raise Bad(f"entry {seq}: its fields are {sorted(entry)}")
        log = log or (entry["project_id"],)
        found = entry.pop("hash").lower()
        if entry["seq"] != seq or (entry["project_id"],) != log:
            raise Bad(f"entry {seq}: another entry stands in its place")
        if found not in hashes({**entry, "previous": previous}):
            raise Bad(f"entry {seq}: its hash is not that of its fields and the hash before")
        previous = found
        if expected and expected[0] == seq and expected[1] != previous:
            raise Bad(f"entry {seq}: its hash is not the expected one")
    if end is None or sorted(end) != ["hash", "seq"]:
        raise Bad("the last line, which states the head, is missing")
    if (end["seq"], end["hash"].lower()) != (seq, previous):
        raise Bad(f"the log has {seq} entries, and its last line states {end['seq']}")
    if expected and expected[0] > seq:
        raise Bad(f"the log ends before {expected[0]}")
    return seq, previous

if __name__ == "__main__":
    noted = None
    if len(sys.argv) > 2:
        position, _, digits = sys.argv[2].partition(":")
        noted = (int(position), digits.lower())
    try:
        with open(sys.argv[1], encoding="utf-8-sig", newline="\n") as file:
            print("valid, head %d:%s" % verify(file, noted))
    except (Bad, ValueError, KeyError) as error:
        sys.exit(f"not valid: {error}")
