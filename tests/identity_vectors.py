#!/usr/bin/env python3
"""Writes what the rules of identity, as a program (vectors/reference_identity.py), make of random events.

    python3 tests/identity_vectors.py reading 600 > tests/vectors/identity-reading.jsonl

`reading`: events, each with the ids that it has, the strongest first, and with its claims (weaker id, owner, rank).
"""
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "vectors"))
import reference_identity as rules  # noqa: E402

UUIDS = [f"{n * 8}-{n * 4}-4{n * 3}-8{n * 3}-{n * 12}" for n in "1aB3"]
VALUES = ["u1", "U1", " u1 ", '"u1"', ' " u1 " ', "u2", 7, 0, -1, -5, 1.5, 1e30, 12345678901234567890123, True, False, None, "",
          "  ", '""', "null", "NULL", "undefined", "Anonymous", "anon-1", "Anon-1", "-", "0-0", "00", "[object Object]", "{{id}}",
          "${id}", "<% id %>", "{id}", "é" * 127, "é" * 128, "x" * 255, "x" * 256, "\u00a0u1\u2003", "a\tb", "\u001cu1\u001f", [], ["u1"],
          {"id": "u1"}, "u@", "@u", "a@b@c", "test", "test-7", "UNKNOWN", "İ", "ΑΣ", "00000000-0000-0000-0000-000000000000",
          "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", "1111111-11111-4111-8111-111111111111", *UUIDS, UUIDS[0].upper(), UUIDS[2].lower()]
ADDRESSES = ["ada@acme.com", "ADA@acme.com", " ada@acme.com ", '"ada@acme.com"', "ada+news@acme.com", "bob@acme.com", "info@acme.com",
             "Info@acme.com", "support+eu@acme.com", "no-reply@acme.com", "test@test.com", "a da@acme.com", "ada@", "a@b@c", "ÉVE@acme.com",
             "ada@acme", "x" * 250 + "@a.b", "x" * 251 + "@a.b", "x" * 252 + "@a.b", ["ada@acme.com"], 7, None, "", "null"]
TYPES = ["identify", "track", "page", "screen", "group", "alias"]


def pick(*lists):
    return random.choice(random.choice(lists))


def traits(*lists):
    if random.random() < 0.06:
        return random.choice([None, 5, "x", [], ["email"]])
    found = {"plan": "pro"} if random.random() < 0.2 else {}
    if random.random() < 0.6:
        found["email"] = pick(*lists)
    for key in ("profile_id", "ko_profile_id"):
        if random.random() < 0.3:
            found[key] = pick(UUIDS, VALUES)
    return found


def event():
    made = {"type": random.choice(TYPES)}
    if random.random() < 0.6:
        made["userId"] = pick(VALUES, VALUES, ADDRESSES)
    if random.random() < 0.6:
        made["anonymousId"] = made["userId"] if "userId" in made and random.random() < 0.1 else pick(UUIDS, VALUES, VALUES, ADDRESSES)
    for key, share in (("traits", 0.5), ("properties", 0.5), ("context", 0.4)):
        if random.random() < share:
            made[key] = traits(ADDRESSES, ADDRESSES, VALUES)
    if isinstance(made.get("context"), dict):
        made["context"]["traits"] = traits(ADDRESSES)
    if random.random() < (0.9 if made["type"] == "alias" else 0.1):
        made["previousId"] = pick(VALUES, ADDRESSES)
    if random.random() < 0.2:
        made["groupId"] = pick(VALUES)
    return made


def reading(count):
    for _ in range(count):
        made = event()
        ids, claims = rules.read(made, set())
        print(json.dumps({"event": made, "ids": ids, "claims": claims}, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    random.seed(14)
    what, count = sys.argv[1:]
    {"reading": reading}[what](int(count))
