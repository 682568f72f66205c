"""Several groups on one connection: a broker answers in order, so a parked JoinGroup holds back all that is behind it.

    one_connection.py HOST:PORT

The broker has group.initial.rebalance.delay.ms=1500 and allows sessions of 1 s. The same is expected of Kafka and of
the mock. Exit 0: all held."""
import random
import socket
import struct
import sys
import time

from raw_kafka import frame, read_frame, string

JOIN, HEARTBEAT, SYNC, API_VERSIONS = 11, 12, 14, 18
UNKNOWN_MEMBER_ID, DELAY_S, SESSION_MS = 25, 1.5, 1000


class Connection:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.sent = self.received = 0

    def send(self, api_key, version, body):
        self.sent += 1
        self.socket.sendall(frame(api_key, version, self.sent, body, "one-connection"))

    def answer(self):
        """The body of the next answer, which is that to the oldest request."""
        body = read_frame(self.socket)
        self.received += 1
        assert struct.unpack(">i", body[:4])[0] == self.received, f"answer {body[:4].hex()} instead of {self.received}"
        return body[4:]

    def join(self, group, session_ms=10000):
        """Version 3: a new member is in the group at once, without another round for its id."""
        metadata = struct.pack(">hi", 0, 1) + string("t") + struct.pack(">i", -1)
        self.send(JOIN, 3, string(group) + struct.pack(">ii", session_ms, 60000) + string("") + string("consumer") +
                  struct.pack(">i", 1) + string("range") + struct.pack(">i", len(metadata)) + metadata)

    def joined(self):
        body = self.answer()
        error, generation = struct.unpack(">hi", body[4:10])
        assert error == 0, f"JoinGroup was answered {error}"
        protocol_len = struct.unpack(">h", body[10:12])[0]
        at = 12 + protocol_len
        at += 2 + struct.unpack(">h", body[at:at + 2])[0]  # the leader: ourselves
        member_len = struct.unpack(">h", body[at:at + 2])[0]
        return generation, body[at + 2:at + 2 + member_len].decode()

    def sync(self, group, generation, member):
        assignment = struct.pack(">hi", 0, 0) + struct.pack(">i", -1)
        self.send(SYNC, 2, string(group) + struct.pack(">i", generation) + string(member) + struct.pack(">i", 1) +
                  string(member) + struct.pack(">i", len(assignment)) + assignment)

    def heartbeat(self, group, generation, member):
        self.send(HEARTBEAT, 2, string(group) + struct.pack(">i", generation) + string(member))

    def error(self):
        return struct.unpack(">h", self.answer()[4:6])[0]


def answers_wait_for_their_turn(address, tag):
    """Two JoinGroups and a question on one connection: each is looked at when the one before was answered."""
    one, other = Connection(address), Connection(address)
    began = time.monotonic()
    one.join(f"first-{tag}")
    one.join(f"second-{tag}")
    one.send(API_VERSIONS, 0, b"")
    other.heartbeat(f"first-{tag}", 1, "nobody")
    assert other.error() == UNKNOWN_MEMBER_ID
    assert time.monotonic() - began < DELAY_S, "another connection waited too"
    members = []
    for number in (1, 2):
        members.append(one.joined())
        took = time.monotonic() - began
        assert number * DELAY_S - 0.1 < took < number * DELAY_S + 2, f"JoinGroup {number} was answered in {took:.2f} s"
    one.answer()
    for group, (generation, member) in zip(("first", "second"), members):
        one.sync(f"{group}-{tag}", generation, member)
    for group, (generation, member) in zip(("first", "second"), members):
        one.heartbeat(f"{group}-{tag}", generation, member)
    assert [one.error() for _ in range(4)] == [0, 0, 0, 0]
    return f"two groups are stable on one connection; their JoinGroups were answered in turn, in {took:.2f} s"


def heartbeats_behind_a_parked_join_come_too_late(address, tag):
    """The member of one group loses its session while the connection waits for another group's JoinGroup."""
    one = Connection(address)
    one.join(f"short-{tag}", SESSION_MS)
    generation, member = one.joined()
    one.sync(f"short-{tag}", generation, member)
    one.heartbeat(f"short-{tag}", generation, member)
    assert (one.error(), one.error()) == (0, 0)
    one.join(f"parks-{tag}")
    for _ in range(3):
        one.heartbeat(f"short-{tag}", generation, member)
        time.sleep(0.3)
    one.joined()
    errors = [one.error() for _ in range(3)]
    assert errors == [UNKNOWN_MEMBER_ID] * 3, f"heartbeats behind a JoinGroup parked for {DELAY_S} s: {errors}"
    return "a session of 1 s ended while its heartbeats waited behind the JoinGroup of another group"


def check(address):
    tag = f"{random.randrange(16 ** 6):06x}"
    for case in (answers_wait_for_their_turn, heartbeats_behind_a_parked_join_come_too_late):
        print(f"ok {case(address, tag)}", flush=True)


if __name__ == "__main__":
    check(sys.argv[1])
