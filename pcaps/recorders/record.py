"""Plays one scenario with one client on a running broker, captures it, and writes down what the client printed.

Started by ci/record, which knows where the pieces are. Writes NAME.pcapng, NAME.story.json and the entry in MANIFEST.
The story comes from the client's own output alone: nothing in it was read from the capture.
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import threading
import time

PARTITIONS = 6
SESSION_TIMEOUT_MS = 6000
SETTLED_S = 1.5      # an assignment counts when it has stood that long
WATCH_S = 2.5        # and is then watched, so that heartbeats and commits are seen
KCAT_LINE = re.compile(r"^% Group (\S+) rebalanced \(memberid ([^)]*)\): (assigned|revoked)[^:]*:?(.*)$")


def now_ms():
    return int(time.time() * 1000)


class Member:
    """One client process, and what it said so far."""

    def __init__(self, name, command, story):
        self.name, self.command, self.story = name, command, story
        self.owned = None
        self.records = 0
        self.process = self.listener = None

    def start(self):
        self.note("started")
        self.owned, self.records = None, 0
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        self.listener = threading.Thread(target=self.listen, args=(self.process,), daemon=True)
        self.listener.start()

    def note(self, event, **fields):
        self.story.append({"at_ms": now_ms(), "member": self.name, "event": event, **fields})

    def listen(self, process):
        for line in process.stdout:
            if line.rstrip("\n").isdigit():    # kcat prints the offset of each record
                self.records += 1
                continue
            event = read_line(line.rstrip("\n"))
            if event is None:
                continue
            kind = event.pop("event")
            if kind == "closed":
                self.records = event["records"]
                continue
            if kind == "assigned":
                self.owned = sorted(set(self.owned or []) | set(event["partitions"]))
            elif kind in ("revoked", "lost"):
                self.owned = sorted(set(self.owned or []) - set(event["partitions"]))
            self.note(kind, **event)

    def end(self, number):
        self.note("killed" if number == signal.SIGKILL else "asked-to-close")
        self.process.send_signal(number)
        self.process.wait(20)
        self.listener.join(5)
        self.owned = None
        fields = {} if number == signal.SIGKILL else {"status": self.process.returncode, "records": self.records}
        self.note("ended", **fields)


def read_line(line):
    """A line of a client as an event, or None: JSON from our own small programs, kcat's words from kcat."""
    if line.startswith("{"):
        return json.loads(line)
    match = KCAT_LINE.match(line)
    if match is None:
        return None
    partitions = sorted(int(number) for number in re.findall(r"\[(\d+)\]", match.group(4)))
    return {"event": match.group(3), "partitions": partitions, "member_id": match.group(2)}


class Scenario:
    """The members of one group on one topic, and the phases that they went through."""

    def __init__(self, options):
        self.options = options
        self.events, self.phases, self.members = [], [], {}
        self.group = f"{options.client}-{options.scenario}"
        self.topic = f"numbers-{options.scenario}"

    def member(self, name, instance_id=None):
        settings = {"client.id": name, "session.timeout.ms": SESSION_TIMEOUT_MS, "heartbeat.interval.ms": 1000,
                    "auto.offset.reset": "earliest"}
        if instance_id:
            settings["group.instance.id"] = instance_id
        member = Member(name, client_command(self.options, self.group, self.topic, settings), self.events)
        self.members[name] = member
        member.start()
        return member

    def settle(self, what, timeout_s=40):
        """Waits until the live members own every partition once, each at least one, and have done so for a while."""
        deadline = time.monotonic() + timeout_s
        since, last = None, None
        while time.monotonic() < deadline:
            owned = {m.name: m.owned for m in self.members.values() if m.process.poll() is None}
            shared = sorted(p for parts in owned.values() for p in parts or [])
            if shared == list(range(PARTITIONS)) and all(owned.values()):
                if owned != last:
                    since, last = time.monotonic(), owned
                if time.monotonic() - since >= SETTLED_S:
                    self.phases.append({"what": what, "settled_at_ms": now_ms(), "assignment": owned})
                    time.sleep(WATCH_S)
                    return
            else:
                since, last = None, None
            time.sleep(0.05)
        raise SystemExit(f"{what}: the members did not share {PARTITIONS} partitions in {timeout_s} s: {owned}")

    def play(self):
        getattr(self, "play_" + self.options.scenario)()

    def play_solo(self):
        one = self.member("one")
        self.settle("one member")
        one.end(signal.SIGTERM)

    def play_scale(self):
        one = self.member("one")
        self.settle("one member")
        two = self.member("two")
        self.settle("two joined")
        three = self.member("three")
        self.settle("three joined")
        three.end(signal.SIGTERM)
        self.settle("three left")
        two.end(signal.SIGTERM)
        one.end(signal.SIGTERM)

    def play_crash(self):
        one = self.member("one")
        two = self.member("two")
        self.settle("two members")
        two.end(signal.SIGKILL)
        self.settle("two crashed and was evicted")
        one.end(signal.SIGTERM)

    def play_static(self):
        one = self.member("one", "instance-one")
        self.settle("one member")
        two = self.member("two", "instance-two")
        self.settle("two joined")
        for member in (two, one):
            member.end(signal.SIGTERM)
            member.start()
            self.settle(f"{member.name} restarted within its session")
        two.end(signal.SIGTERM)
        one.end(signal.SIGTERM)
        # Static members do not say goodbye: the broker waits for their sessions to end.
        time.sleep(SESSION_TIMEOUT_MS / 1000 + 1)


def client_command(options, group, topic, settings):
    pairs = {"group.id": group, **settings}
    if options.client == "kcat":
        del pairs["group.id"]
        words = [word for key, value in pairs.items() for word in ("-X", f"{key}={value}")]
        return ["kcat", "-b", options.bootstrap, "-G", group, *words, "-u", "-f", "%o\n", topic]
    words = [f"{key}={value}" for key, value in pairs.items()]
    return [*options.program.split(), options.bootstrap, topic, *words]


class Producer:
    """Numbered records, four each second, while the scenario is played."""

    def __init__(self, options, topic):
        command = [*options.java.split(), "NumberedProducer", options.bootstrap, topic, str(options.fill)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def finish(self):
        """Stops it; returns how many records lie in the topic now."""
        self.process.terminate()
        return int(self.process.communicate(timeout=20)[0].split()[-1])


def fill(bootstrap, topic, count):
    lines = "".join(f"{number}:{number}\n" for number in range(count))
    subprocess.run(["kcat", "-P", "-b", bootstrap, "-t", topic, "-K", ":"], input=lines, text=True, check=True)


class Capture:
    """dumpcap on the loopback interface, whole packets, one TCP port."""

    def __init__(self, path, port):
        self.path = path
        command = ["dumpcap", "-q", "-i", "lo", "-s", "0", "-B", "16", "-f", f"tcp port {port}", "-w", str(path)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if line.startswith("File:"):
                break
        else:
            raise SystemExit("dumpcap could not capture on lo: it needs root or Debian's group wireshark")
        time.sleep(0.3)

    def finish(self):
        time.sleep(0.5)
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=20)[1]
        dropped = re.search(r"received/dropped on interface '[^']*': (\d+)/(\d+)", said)
        if dropped is None or dropped.group(2) != "0":
            raise SystemExit(f"dumpcap lost packets, record again: {said.strip()}")
        return int(dropped.group(1))


def strip_machine(path):
    """Drops what a pcapng file says of the machine that wrote it (hardware, operating system); packets stay."""
    data = path.read_bytes()
    out, at = bytearray(), 0
    drop = {0x0A0D0D0A: (2, 3), 1: (12,)}       # section header: hardware, os; interface description: os
    fixed = {0x0A0D0D0A: 16, 1: 8}
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        body = data[at + 8:at + length - 4]
        if kind in drop:
            body = body[:fixed[kind]] + kept_options(body[fixed[kind]:], drop[kind])
        out += struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
        at += length
    path.write_bytes(out)


def kept_options(options, dropped):
    out, at = bytearray(), 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from("<HH", options, at)
        size = 4 + (length + 3) // 4 * 4
        if code not in dropped:
            out += options[at:at + size]
        at += size
    return bytes(out)


def write_story(path, scenario, options, capture_times):
    assigned = {}
    for event in scenario.events:
        if event["event"] == "assigned":
            assigned[event["member"]] = assigned.get(event["member"], 0) + 1
    story = {
        "source": "what the clients printed, with the time at which the line was read",
        "scenario": options.scenario, "group": scenario.group, "topic": scenario.topic, "partition_count": PARTITIONS,
        "capture_started_at_ms": capture_times[0], "capture_ended_at_ms": capture_times[1],
        "member_counts": [len(phase["assignment"]) for phase in scenario.phases],
        "assignments_seen": assigned,
        "records_produced": options.records_produced,
        "phases": scenario.phases,
        "events": scenario.events,
    }
    path.write_text(dump(story))


def dump(value):
    """JSON with one line for each key, and for each object of a list: a diff shows what changed."""
    lines = []
    for key, item in value.items():
        if isinstance(item, list) and item and isinstance(item[0], dict):
            rows = ",\n".join("  " + json.dumps(row) for row in item)
            lines.append(f" {json.dumps(key)}: [\n{rows}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(item)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def update_manifest(folder, entry):
    path = folder / "MANIFEST"
    entries = json.loads(path.read_text())["captures"] if path.exists() else []
    entries = [old for old in entries if old["file"] != entry["file"]] + [entry]
    path.write_text(dump({"captures": sorted(entries, key=lambda e: e["file"])}))


def manifest_entry(capture, scenario, options, packets):
    return {
        "file": capture.name, "client": options.client, "client_version": options.client_version,
        "broker": "Apache Kafka", "broker_version": options.kafka_version, "scenario": options.scenario,
        "group": scenario.group, "topic": scenario.topic, "protocol": "classic",
        "port": int(options.bootstrap.rsplit(":", 1)[1]),
        "initial_rebalance_delay_ms": options.initial_rebalance_delay_ms, "session_timeout_ms": SESSION_TIMEOUT_MS,
        "complete": True, "packets": packets,
        "command": f"ci/record --kafka {options.kafka_version} --client {options.client} --scenario {options.scenario}",
        "date": datetime.date.today().isoformat(), "sha256": hashlib.sha256(capture.read_bytes()).hexdigest(),
    }


def read_options():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("client", "client-version", "kafka-version", "scenario", "bootstrap", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--java", required=True, help="what starts Java with the recorders and Kafka's clients")
    parser.add_argument("--program", default="", help="what starts the client; kcat needs none")
    parser.add_argument("--initial-rebalance-delay-ms", type=int, required=True)
    parser.add_argument("--fill", type=int, default=200, help="records in the topic before the first member starts")
    return parser.parse_args()


def main():
    options = read_options()
    folder = pathlib.Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    base = f"{options.client}-{options.client_version}_kafka-{options.kafka_version}_{options.scenario}"
    capture_path = folder / (base + ".pcapng")
    scenario = Scenario(options)
    fill(options.bootstrap, scenario.topic, options.fill)
    started_at_ms = now_ms()
    capture = Capture(capture_path, options.bootstrap.rsplit(":", 1)[1])
    producer = Producer(options, scenario.topic)
    try:
        scenario.play()
    finally:
        for member in scenario.members.values():
            if member.process.poll() is None:
                member.process.kill()
        options.records_produced = producer.finish()
        packets = capture.finish()
    os.chmod(capture_path, 0o644)
    strip_machine(capture_path)
    write_story(folder / (base + ".story.json"), scenario, options, (started_at_ms, now_ms()))
    update_manifest(folder, manifest_entry(capture_path, scenario, options, packets))
    print(f"{capture_path.name}: {packets} packets, {capture_path.stat().st_size} bytes, "
          f"members {[len(p['assignment']) for p in scenario.phases]}", flush=True)


if __name__ == "__main__":
    main()
