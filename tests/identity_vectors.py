#!/usr/bin/env python3
"""Writes what the rules of identity, as a program (vectors/reference_identity.py), make of random events.

    python3 tests/identity_vectors.py reading 600 > tests/vectors/identity-reading.jsonl

    python3 tests/identity_vectors.py streams 400 > tests/vectors/identity-streams.jsonl

`reading`: events, each with the ids that it has, the strongest first, and with its claims (weaker id, owner, rank).
`streams`: streams of events and of a person's decisions in the order of their arrival, with the visitors that come out: the ids
of each and the messages filed under them. A longer run of the test: write another file, and name it in IDENTITY_STREAMS; a third
argument is the seed.
"""
import json
import random
import sys
from datetime import datetime, timedelta, timezone
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


def at(milliseconds):
    return (datetime(2026, 3, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)).isoformat().replace("+00:00", "Z")


def cast(decides):
    """Who may come up in a stream: a few ids of each kind, or very many of one. Where a person may block some of a crowd, it is no
    larger than what is kept of one."""
    sizes = random.choice([(2, 3, 3), (3, 2, 4), (6, 4, 3), (2, 5, 2), (1, 3, 7), (6, 5, 7)] if decides else
                          [(2, 3, 3), (3, 2, 4), (7, 4, 3), (2, 14, 2), (1, 3, 9), (8, 8, 8), (4, 7, 2), (12, 3, 2)])
    users = [f"u{n}" for n in range(sizes[0])]
    emails = [f"e{n}@acme.com" for n in range(sizes[1])] + ["info@acme.com"]
    devices = [f"{n:08x}-0000-4000-8000-00000000000{n % 10}" for n in range(1, sizes[2] + 1)]
    return users, emails, devices


def person(users, emails, devices, addresses):
    """An event of somebody, which speaks of up to so many addresses."""
    made = {"type": random.choice(["identify", "track", "track", "page", "alias", "group"])}
    if random.random() < 0.45:
        made["userId"] = random.choice(users) if random.random() < 0.9 else random.choice(emails)
        addresses -= made["userId"] in emails
    if random.random() < 0.65:
        made["anonymousId"] = random.choice(devices)
    own = made.setdefault("traits" if made["type"] == "identify" else "properties", {})
    if random.random() < 0.4 and addresses > 0:
        own["email"] = random.choice(emails)
        addresses -= 1
    if random.random() < 0.2 and addresses > 0:
        made["context"] = {"traits": {"email": random.choice(emails)}}
    if random.random() < 0.3:
        own["profile_id"] = random.choice(devices)
    if made["type"] == "alias":
        made["previousId"] = random.choice(random.choice((emails, devices, users)))
    return made


def decision(users, emails, devices):
    ids = [("user", one) for one in users] + [("email", one) for one in emails] + [("device", one) for one in devices]
    one = random.choice(ids)
    made = {"type": "operator", "do": random.choice(["block", "decide", "decide"]), "id": one}
    if made["do"] == "decide" and random.random() < 0.6:
        # To an equal or a stronger kind; a device is attached to a person only, since the program knows no other.
        made["to"] = random.choice(ids[:len(users)] if one[0] == "user" else ids[:len(users) + len(emails)])
    return made


def stream():
    decides = random.random() < 0.5
    ids, events, now = cast(decides), [], 8 * 86_400_000
    for number in range(random.choice([4, 8, 12, 20, 40])):
        now += random.choice([0, 1, 60_000, 3_600_000, 86_400_000])
        # One address an event where a person may block it: a second, which the event would then speak of, does not travel.
        made = decision(*ids) if decides and random.random() < 0.1 else person(*ids, 1 if decides else 3)
        made["messageId"] = f"m{number}"
        if made["type"] != "operator":
            made["receivedAt"] = at(now)
            if random.random() < 0.9:
                made["timestamp"] = at(now + random.choice([0, 0, -1, -60_000, -86_400_000, -6 * 86_400_000, -20 * 86_400_000, 86_400_000]))
        events.append(made)
    return events


def visitors(events):
    now = {name: {} for name in rules.TABLES}
    for made in events:
        for table, rows in rules.resolve(made, now).items():
            if table in now:
                now[table].update(rows)
    found = {}
    for one in {*now["alone"], *now["claims"], *now["members"], *now["into"], *filter(None, now["into"].values())}:
        found.setdefault(rules.chain(one, now)[-1], ([], []))[0].append(one)
    for (message, one) in now["filed"]:
        found[rules.chain(one, now)[-1]][1].append(message)
    return sorted([sorted(ids), sorted(messages)] for ids, messages in found.values())


def streams(count):
    while count:
        events = stream()
        print(json.dumps({"events": events, "visitors": visitors(events)}, separators=(",", ":")))
        count -= 1


if __name__ == "__main__":
    what, count, *seed = sys.argv[1:]
    random.seed(int(seed[0]) if seed else 14)
    {"reading": reading, "streams": streams}[what](int(count))
