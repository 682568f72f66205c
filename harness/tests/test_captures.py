#!/usr/bin/env python3
"""check, explain and replay on the recorded captures and on bad input. Usage: test_captures.py REJOIN"""
import json
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import json_schema

REJOIN = sys.argv[1]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PCAPS = os.path.join(ROOT, "pcaps")
failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)
        print("FAILED", what)


def run(*arguments, stdin=None):
    done = subprocess.run([REJOIN, *arguments], input=stdin, capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def document(command, path, *options):
    code, out, err = run(command, path, "--json", *options)
    found = json.loads(out)
    with open(os.path.join(ROOT, "harness", "schemas", command + ".json")) as schema:
        for error in json_schema.errors(found, json.load(schema)):
            expect(False, f"{command} {os.path.basename(path)}: {error}")
    return code, found


def check_capture(entry, path):
    code, found = document("check", path)
    name = entry["file"]
    expect(found["violations"] == [], f"check {name}: {[v['rule'] for v in found['violations']]}")
    expect(code == 0, f"check {name}: exit {code}")
    expect(len(found["judged"]) >= 20, f"check {name}: only {len(found['judged'])} rules were judged")
    expect(found["gaps"] == 0 and found["notes"] == [], f"check {name}: the capture is whole, check says it is not")
    expect(found["frames"] == entry["packets"], f"check {name}: {found['frames']} frames of {entry['packets']}")
    expect(len(found["judged"]) + len(found["not_judged"]) >= 40, f"check {name}: rules are missing")


def explain_capture(entry, path):
    """The story that the clients told themselves: who owned what when the assignment stood still."""
    code, found = document("explain", path)
    name = entry["file"]
    with open(path.replace(".pcapng", ".story.json")) as file:
        story = json.load(file)
    groups = [group for group in found["groups"] if group["group"] == entry["group"]]
    expect(code == 0 and len(groups) == 1, f"explain {name}: the group is missing")
    if not groups:
        return
    for phase in story["phases"]:
        done = [r for r in groups[0]["rebalances"] if r["ended_at_ms"] <= phase["settled_at_ms"]]
        owners = {m["client_id"]: m["assignment"].get(story["topic"], []) for m in done[-1]["members"]} if done else {}
        expect(owners == phase["assignment"],
               f"explain {name}: {phase['what']}: clients say {phase['assignment']}, explain says {owners}")
    causes = [(r["cause"], r["client_id"]) for r in groups[0]["rebalances"]]
    expect(all(cause != "unknown" for cause, _ in causes), f"explain {name}: unknown cause in {causes}")
    wanted = {"scale": [("member-joined", "one"), ("member-joined", "two"), ("member-joined", "three"),
                        ("member-left", "three")],
              "solo": [("member-joined", "one")],
              "static": [("member-joined", "one"), ("member-joined", "two")]}.get(entry["scenario"])
    if wanted:
        expect(causes[:len(wanted)] == wanted, f"explain {name}: causes {causes}, wanted {wanted}")
    if entry["scenario"] == "crash":
        expect(causes[-1] == ("member-expired", "two"), f"explain {name}: the crash is told as {causes}")
    events = [event["event"] for event in groups[0]["events"]]
    if entry["scenario"] == "static":
        expect(events.count("static-returned") == 2, f"explain {name}: events {events}")


def replay_capture(entry, path):
    release = ".".join(entry["broker_version"].split(".")[:2])
    code, found = document("replay", path, "--kafka-version", release)
    name = entry["file"]
    expect(found["compared"] > 80, f"replay {name}: only {found['compared']} fields compared")
    expect(found["equal"] >= 0.99 * found["compared"],
           f"replay {name}: {found['equal']} of {found['compared']} fields: {found['differences'][:3]}")
    expect(code == (1 if found["differences"] else 0), f"replay {name}: exit {code}")
    expect(found["initial_rebalance_delay_ms"] == entry["initial_rebalance_delay_ms"],
           f"replay {name}: delay {found['initial_rebalance_delay_ms']} inferred")
    return found["compared"], found["equal"]


def recorded_captures():
    with open(os.path.join(PCAPS, "MANIFEST")) as file:
        captures = json.load(file)["captures"]
    compared = equal = 0
    for entry in captures:
        if not entry.get("complete") or entry.get("protocol") != "classic":
            continue
        path = os.path.join(PCAPS, entry["file"])
        check_capture(entry, path)
        explain_capture(entry, path)
        fields = replay_capture(entry, path)
        compared, equal = compared + fields[0], equal + fields[1]
    print(f"{len(captures)} captures, replay: {equal} of {compared} fields equal")
    return os.path.join(PCAPS, captures[0]["file"])


def pcap_of(payloads, link_type=101):
    out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link_type)
    for index, payload in enumerate(payloads):
        out += struct.pack("<IIII", 1000 + index, 0, len(payload), len(payload)) + payload
    return out


def bad_input(whole, folder):
    def write(name, content):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    http = b"\x45\x00\x00\x3c" + b"\0" * 5 + b"\x06\0\0" + b"\x7f\0\0\1" * 2 + \
           struct.pack(">HHIIBBHHH", 40000, 9092, 1, 1, 0x50, 16, 100, 0, 0) + b"GET / HTTP/1.1\r\n\r\n"
    with open(whole, "rb") as file:
        content = file.read()
    text = write("text.pcap", b"this is no capture, and it says so at some length\n" * 10)
    empty = write("empty.pcap", b"")
    web = write("web.pcap", pcap_of([http] * 3))
    odd = write("odd.pcap", pcap_of([http], link_type=147))
    cut = write("cut.pcapng", content[:len(content) * 2 // 3 + 3])
    for command in ("check", "explain", "replay"):
        for path, wanted, words in (
                ("/nowhere/at/all.pcap", 3, "No such file"), (text, 3, "expected a pcap or pcapng file"),
                (empty, 3, "expected a pcap or pcapng file"), (odd, 3, "link type"), (web, 5, "holds no")):
            code, _, err = run(command, path)
            expect(code == wanted, f"{command} {path}: exit {code}, wanted {wanted}")
            expect(words in err and os.path.basename(path) in err, f"{command} {path} says: {err}")
        for arguments in ([], ["--nonsense"], [whole, whole]):
            code, _, err = run(command, *arguments)
            expect(code == 3 and err, f"{command} {arguments}: exit {code}")
        code, out, _ = run(command, "--help")
        expect(code == 0 and b"exit codes" in out, f"{command} --help")
        code, found = document(command, cut)
        expect(code in (0, 1), f"{command} of a file that is cut off: exit {code}")
        expect(any("cut off" in note for note in found["notes"]), f"{command} does not say that the file is cut off")
        code, out, _ = run(command, "-", "--json", stdin=content)
        _, from_file = document(command, whole)
        expect(json.loads(out) == from_file, f"{command} reads stdin otherwise than the file")
    _, found = document("check", cut)
    expect(len(found["judged"]) >= 20 and found["violations"] == [], f"check of a file that is cut off: {found}")


def main():
    whole = recorded_captures()
    with tempfile.TemporaryDirectory() as folder:
        bad_input(whole, folder)
    print("failures:", len(failures))
    return 1 if failures else 0


sys.exit(main())
