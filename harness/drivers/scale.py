#!/usr/bin/env python3
"""Runs real consumers of one client through a changing group and counts what they were given.

    scale.py --rejoin BINARY --bootstrap HOST:PORT --driver COMMAND --name NAME [--records N] [--hold SECONDS]

The group grows from one member to three and shrinks to one again while numbered records are produced by kcat to a
topic of six partitions. Then: every number must have arrived, duplicates are counted, and the lag must be 0. A second
group of four members on three partitions must hold one member without any, and stay.
Both topics, NAME-numbers (6 partitions) and NAME-three (3), must exist and be empty. Exit 0: all held; 1: something did not; 77: the client
cannot be had here, with its reason; 4: the broker cannot be talked to.
"""
import argparse
import collections
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

LIST_OFFSETS, OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS = 2, 9, 10, 15
COORDINATOR_NOT_AVAILABLE = 15
SKIPPED = 77
# kcat -G throws away the record at hand when a signal comes (its consume_cb begins with "if (!conf.run) return"), and
# librdkafka commits its offset all the same. Nothing must be on its way to a member of these when it is stopped.
LOSES_WHAT_IS_AT_HAND = {"kcat"}


class Broker:
    """One connection; requests and answers as JSON, through `rejoin encode` and `rejoin decode`."""

    def __init__(self, rejoin, address):
        host, port = address.split(",")[0].rsplit(":", 1)
        self.rejoin, self.correlation_id = rejoin, 0
        self.socket = socket.create_connection((host, int(port)), timeout=30)

    def ask(self, api_key, version, body):
        """version: one whose headers are not flexible."""
        form = ["--api", str(api_key), "--version", str(version), "--kind"]
        encoded = subprocess.run([self.rejoin, "encode", *form, "request"], input=json.dumps(body).encode(),
                                 check=True, capture_output=True).stdout
        self.correlation_id += 1
        frame = struct.pack(">hhih", api_key, version, self.correlation_id, -1) + bytes.fromhex(encoded.decode())
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        answer = self.read(struct.unpack(">i", self.read(4))[0])
        decoded = subprocess.run([self.rejoin, "decode", *form, "response"], input=answer[4:].hex().encode(),
                                 check=True, capture_output=True).stdout
        return json.loads(decoded)

    def read(self, length):
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            data += piece
        return data

    def coordinator(self, group):
        for _ in range(100):  # the first question creates __consumer_offsets and is answered 15 meanwhile
            found = self.ask(FIND_COORDINATOR, 1, {"key": group, "keyType": 0})
            if found["errorCode"] != COORDINATOR_NOT_AVAILABLE:
                break
            time.sleep(0.1)
        if found["errorCode"] != 0:
            raise ConnectionError(f"FindCoordinator for {group}: error {found['errorCode']}")
        return Broker(self.rejoin, f"{found['host']}:{found['port']}")


class Member:
    """One running driver and what it reported."""

    def __init__(self, options, group, topic, number, **settings):
        environment = dict(os.environ, REJOIN_BOOTSTRAP=options.bootstrap, REJOIN_GROUP=group, REJOIN_TOPICS=topic,
                           REJOIN_CLIENT_ID=f"member-{number}", **settings)
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(options.driver, shell=True, env=environment, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, start_new_session=True)
        self.number, self.records, self.assignments, self.reason, self.errors = number, [], 0, "", []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("SKIPPED"):
                self.reason = line.strip()
            if not line.startswith("{"):
                continue
            event = json.loads(line)
            if event["event"] == "record":
                self.records.append((event["partition"], event["offset"], event["value"]))
            elif event["event"] == "assigned":
                self.assignments += 1
            elif event["event"] == "error":
                self.errors.append(event["message"])

    def stop(self):
        """Asks for a clean close; the exit status, or None where it had to be killed."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            status = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            status = None
        self.reader.join(timeout=5)
        return status

    def said(self):
        self.log.seek(0)
        return self.log.read()[-2000:]


class Producer(threading.Thread):
    """Feeds numbered records to kcat, evenly over the given time."""

    def __init__(self, bootstrap, topic, count, seconds):
        super().__init__(daemon=True)
        self.count, self.seconds, self.sent = count, seconds, 0
        self.may_send = threading.Event()
        self.may_send.set()
        self.kcat = subprocess.Popen(["kcat", "-P", "-b", bootstrap, "-t", topic, "-K", ":", "-X", "linger.ms=20"],
                                     stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def run(self):
        pause = 0.1
        a_turn = max(1, int(self.count * pause / self.seconds))
        while self.sent < self.count:
            self.may_send.wait()
            upto = min(self.count, self.sent + a_turn)
            self.kcat.stdin.write("".join(f"k{n}:{n}\n" for n in range(self.sent, upto)))
            self.kcat.stdin.flush()
            self.sent = upto
            time.sleep(pause)
        self.kcat.stdin.close()
        self.kcat.wait()


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def describe(broker, group):
    coordinator = broker.coordinator(group)
    return coordinator.ask(DESCRIBE_GROUPS, 4, {"groups": [group], "includeAuthorizedOperations": False})["groups"][0]


def wait_for_members(broker, group, count, seconds, members=()):
    """Leaves at once where the driver of one of the members says that its client cannot be had."""
    def settled():
        for member in members:
            if member.reason and member.process.poll() is not None:
                print(member.reason)
                sys.exit(SKIPPED)
        now = describe(broker, group)
        return now["groupState"] == "Stable" and len(now["members"]) == count
    return wait_for(settled, seconds)


def lag(broker, group, topic, partitions):
    """What is left to read by the committed offsets; partitions without one count whole."""
    wanted = [{"partitionIndex": p, "timestamp": -1} for p in range(partitions)]
    ends = {}
    for leader in leaders(broker, topic):
        answer = leader.ask(LIST_OFFSETS, 1, {"replicaId": -1, "topics": [{"name": topic, "partitions": wanted}]})
        for partition in answer["topics"][0]["partitions"]:
            if partition["errorCode"] == 0:
                ends[partition["partitionIndex"]] = partition["offset"]
    committed = broker.coordinator(group).ask(OFFSET_FETCH, 1, {
        "groupId": group, "topics": [{"name": topic, "partitionIndexes": list(range(partitions))}]})
    done = {p["partitionIndex"]: max(0, p["committedOffset"]) for p in committed["topics"][0]["partitions"]}
    return sum(ends[p] - done[p] for p in range(partitions))


def leaders(broker, topic):
    metadata = broker.ask(3, 1, {"topics": [{"name": topic}]})
    needed = {p["leaderId"] for p in metadata["topics"][0]["partitions"]}
    return [Broker(broker.rejoin, f"{b['host']}:{b['port']}") for b in metadata["brokers"] if b["nodeId"] in needed]


class Run:
    def __init__(self, options):
        self.options, self.failures, self.members = options, [], []
        self.broker = Broker(options.rejoin, options.bootstrap)
        self.numbers, self.three = f"{options.name}-numbers", f"{options.name}-three"

    def expect(self, held, sentence):
        print(f"  {'ok  ' if held else 'FAIL'}  {sentence}", flush=True)
        if not held:
            self.failures.append(sentence)

    def start(self, group, topic):
        member = Member(self.options, group, topic, len(self.members) + 1)
        self.members.append(member)
        return member

    def stop(self, member):
        status = member.stop()
        self.expect(status == 0, f"member {member.number} closed in good order (exit {status})")
        if status != 0:
            print(member.said())

    def scale(self, group):
        options, hold = self.options, self.options.hold
        producer = Producer(options.bootstrap, self.numbers, options.records, 6 * hold)
        running = []
        for count in (1, 2, 3):
            running.append(self.start(group, self.numbers))
            settled = wait_for_members(self.broker, group, count, 60, self.members)
            self.expect(settled, f"{count} member{'s' if count > 1 else ''}: stable")
            if count == 1:
                producer.start()
            time.sleep(hold)
        for count in (2, 1):
            if options.name in LOSES_WHAT_IS_AT_HAND:
                producer.may_send.clear()
                time.sleep(1)
            self.stop(running.pop())
            producer.may_send.set()
            self.expect(wait_for_members(self.broker, group, count, 60, self.members), f"back to {count}: stable")
            time.sleep(hold)
        producer.join()
        self.judge_records(group, running)

    def judge_records(self, group, running):
        wanted = self.options.records

        def numbers():
            return collections.Counter(value for m in self.members for _, _, value in m.records)
        wait_for(lambda: len(numbers()) >= wanted, 60)
        wait_for(lambda: lag(self.broker, group, self.numbers, 6) == 0, 30)
        left = lag(self.broker, group, self.numbers, 6)
        for member in running:
            self.stop(member)
        seen = numbers()
        missing = [n for n in range(wanted) if str(n) not in seen]
        given = sum(seen.values())
        self.expect(not missing, f"{wanted} numbered records, {len(missing)} missing {missing[:5] or ''}")
        print(f"        {given - len(seen)} duplicates; a member: {[len(m.records) for m in self.members]}")
        self.expect(left == 0, f"lag {left}")

    def idle_fourth(self, group):
        four = [self.start(group, self.three) for _ in range(4)]
        settled = wait_for_members(self.broker, group, 4, 90, self.members)
        sizes = sorted(len(m["memberAssignment"]) for m in describe(self.broker, group)["members"])
        self.expect(settled, "four members on three partitions: stable")
        time.sleep(self.options.hold)
        now = describe(self.broker, group)
        self.expect(now["groupState"] == "Stable" and len(now["members"]) == 4,
                    f"the idle fourth stays (assignments of {sizes} base64 characters)")
        for member in four:
            self.stop(member)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rejoin", required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--records", type=int, default=10000)
    parser.add_argument("--hold", type=float, default=3.0, help="seconds between two changes of the group")
    options = parser.parse_args()
    run = Run(options)
    name = f"{random.randrange(16 ** 6):06x}"
    try:
        run.scale(f"scale-{name}")
        run.idle_fourth(f"idle-{name}")
    except (ConnectionError, OSError, subprocess.CalledProcessError) as error:
        print(f"FAIL: {error} {getattr(error, 'stderr', b'') or b''}")
        return 4
    finally:
        for member in run.members:
            if member.process.poll() is None:
                os.killpg(member.process.pid, signal.SIGKILL)
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
