#!/usr/bin/env python3
"""Odd encodings in a capture are warnings of `rejoin check`, with rule, frame and offset. Usage: test_check_odd.py REJOIN

The encodings themselves: odd_encodings.py with test_codec_odd.py."""
import json
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import json_schema
from kafka_pcap import Capture, Message, Stream

REJOIN = sys.argv[1]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
WHOLE = os.path.join(ROOT, "pcaps", "java-4.1.1_kafka-4.1.1_solo.pcapng")
HEARTBEAT = 12  # v4: header v2, compact strings, tags at the end
failures = []


def check(what, found, wanted):
    if found != wanted:
        failures.append(what)
        print(f"FAILED {what}: {found}, wanted {wanted}")


def run(path, *options):
    return subprocess.run([REJOIN, "check", path, *options], capture_output=True)


def packet_with(path, frame):
    """The 1-based number of the packet that carries a frame."""
    content = open(path, "rb").read()
    at, number = 24, 0
    while at < len(content):
        length, = struct.unpack_from("<I", content, at + 8)
        number += 1
        if content[at + 16:at + 16 + length].endswith(frame):
            return number
        at += 16 + length
    return None


def heartbeats(capture):
    return [m for m in capture.messages if m.api == HEARTBEAT and m.is_request and m.other is not None]


def body_offset(frame):
    """Behind header v2 without tags."""
    length, = struct.unpack_from(">h", frame, 8)
    return 10 + length + 1


def long_varint(message):
    at = body_offset(message.frame)
    message.frame = message.frame[:at] + bytes([message.frame[at] | 0x80, 0]) + message.frame[at + 1:]
    return "enc-varint-long", "HeartbeatRequest", 4, "groupId", at


def unknown_tag(message):
    at = len(message.frame) - 1
    message.frame = message.frame[:at] + b"\x01\x09\x00"
    return "enc-tag-unknown", "HeartbeatRequest", 4, "taggedFields[0]", at + 1


def header_tag(message):
    at = body_offset(message.frame) - 1
    message.frame = message.frame[:at] + b"\x01\x09\x00" + message.frame[at + 1:]
    return "enc-tag-unknown", "RequestHeader", 2, "taggedFields[0]", at + 1


def answer_tag(message):
    at = len(message.other.frame) - 1
    message.other.frame = message.other.frame[:at] + b"\x01\x09\x00"
    return "enc-tag-unknown", "HeartbeatResponse", 4, "taggedFields[0]", at + 1


def judged(path, what, *options):
    done = run(path, "--json", *options)
    found = json.loads(done.stdout)
    with open(os.path.join(ROOT, "harness", "schemas", "check.json")) as schema:
        check(f"{what}: schema", list(json_schema.errors(found, json.load(schema))), [])
    check(f"{what}: violations", found["violations"], [])
    return done.returncode, found["odd_encodings"]


def one_encoding(folder, plant):
    what, path = plant.__name__, os.path.join(folder, plant.__name__ + ".pcap")
    capture = Capture(WHOLE, REJOIN)
    message = heartbeats(capture)[1]
    expected = plant(message)
    capture.write(path)
    frame = message.other.frame if plant is answer_tag else message.frame
    code, rows = judged(path, what)
    found = [tuple(row[key] for key in ("rule", "message", "version", "field", "offset", "frame", "times"))
             for row in rows]
    check(what, found, [(*expected, packet_with(path, frame), 1)])
    check(f"{what}: exit code", code, 0)
    check(f"{what}: client", [row["client_id"] for row in rows], [capture.client(message)])
    check(f"{what}: exit code of --strict", run(path, "--strict").returncode, 1)
    text = run(path).stdout.decode()
    for words in (f"WARNING {expected[0]}", f"{expected[1]} v{expected[2]}: {expected[3]} at byte {expected[4]}",
                  f"frame {found[0][5]} at ", "1 odd encodings"):
        check(f"{what}: the text holds '{words}'", words in text, True)


def repeated(folder):
    """One client's habit is one finding, with its count."""
    path = os.path.join(folder, "repeated.pcap")
    capture = Capture(WHOLE, REJOIN)
    messages = heartbeats(capture)
    for message in messages:
        long_varint(message)
    capture.write(path)
    _, rows = judged(path, "repeated")
    check("repeated", [(row["frame"], row["times"]) for row in rows],
          [(packet_with(path, messages[0].frame), len(messages))])
    check("repeated: there are several", len(messages) > 2, True)


def many(folder):
    """However many connections have the habit, the report stays short."""
    path = os.path.join(folder, "many.pcap")
    capture = Capture(WHOLE, REJOIN)
    like = [m for m in capture.messages if m.is_request and m.api == 18][0]
    last = like.other
    for port in range(30000, 30230):
        key = (port, like.stream[1])
        capture.streams[key] = Stream(*key)
        capture.streams[key].open_us = last.time_us
        for source in (like, like.other):
            message = Message(key, source.is_request, 0, source.frame)
            last = capture.insert(message, after=last, time_us=last.time_us + 1)
            if source is like:
                header_tag(message)
    capture.write(path)
    _, rows = judged(path, "many")
    check("many: rows", len(rows), 200)
    check("many: all are counted", "\n230 odd encodings" in run(path).stdout.decode(), True)


def main():
    code, rows = judged(WHOLE, "as Kafka's clients write")
    check("as Kafka's clients write", (code, rows), (0, []))
    check("as Kafka's clients write: --strict", run(WHOLE, "--strict").returncode, 0)
    with tempfile.TemporaryDirectory() as folder:
        for plant in (long_varint, unknown_tag, header_tag, answer_tag):
            one_encoding(folder, plant)
        repeated(folder)
        many(folder)
    print("failures:", len(failures))
    return 1 if failures else 0


sys.exit(main())
