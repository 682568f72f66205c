"""Kills a mock with a data directory at random moments, again and again, while members join, commit, leave and
rebalance over TCP and a producer writes; after each restart, nothing that was acknowledged may be missing:

- every committed offset is there (or a later one that was sent),
- the generation of the last answered SyncGroup is, its members heartbeat on in it and get the same assignment,
- no generation is given twice, and every produced record stands at its offset.

    test_kills.py REJOIN [--kills N] [--seed N] [--fsync always|interval:MS|never]

Exit codes: 0 nothing was lost, 1 something was."""
import argparse
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from raw_kafka import frame, read_frame, records_of, string

PRODUCE, FETCH, COMMIT, FETCH_OFFSETS, JOIN, HEARTBEAT, LEAVE, SYNC = 0, 1, 8, 9, 11, 12, 13, 14
UNKNOWN_MEMBER, ILLEGAL_GENERATION, REBALANCING, NOT_COORDINATOR, LOADING = 25, 22, 27, 16, 14
GROUPS = [f"group-{i}" for i in range(4)]
MEMBERS_PER_GROUP = 3
SESSION_MS = 30000
REBALANCE_MS = 150  # a member whose answer got lost is waited for that long


# ---- The protocol, as far as it is needed ------------------------------------------------------------------------

def data_bytes(data):
    return struct.pack(">i", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values[0] if len(values) == 1 else values

    def string(self):
        return self.piece(self.take(">h")).decode()

    def bytes(self):
        return self.piece(self.take(">i"))

    def piece(self, length):
        self.at += max(length, 0)
        return self.data[self.at - max(length, 0):self.at]


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.count = 0

    def ask(self, api_key, version, body):
        self.count += 1
        self.socket.sendall(frame(api_key, version, self.count, body, "kills"))
        reader = Reader(read_frame(self.socket))
        assert reader.take(">i") == self.count
        return reader

    def close(self):
        self.socket.close()


def join(connection, group, member_id):
    body = string(group) + struct.pack(">ii", SESSION_MS, REBALANCE_MS) + string(member_id) + string("kills")
    body += struct.pack(">i", 1) + string("any") + data_bytes(b"")
    reader = connection.ask(JOIN, 3, body)
    _, error, generation = reader.take(">ihi")
    _, leader, given = reader.string(), reader.string(), reader.string()
    members = [(reader.string(), reader.bytes())[0] for _ in range(reader.take(">i"))]
    return error, generation, given, members if leader == given else None


def sync(connection, group, generation, member_id, assignments):
    body = string(group) + struct.pack(">i", generation) + string(member_id) + struct.pack(">i", len(assignments))
    body += b"".join(string(member) + data_bytes(data) for member, data in assignments)
    reader = connection.ask(SYNC, 1, body)
    _, error = reader.take(">ih")
    return error, reader.bytes()


def heartbeat(connection, group, generation, member_id):
    return connection.ask(HEARTBEAT, 1, string(group) + struct.pack(">i", generation) + string(member_id)).take(">ih")[1]


def commit(connection, group, generation, member_id, partition, offset):
    body = string(group) + struct.pack(">i", generation) + string(member_id) + struct.pack(">i", 1) + string("t")
    reader = connection.ask(COMMIT, 5, body + struct.pack(">iiq", 1, partition, offset) + string(""))
    reader.take(">ii")
    reader.string()
    return reader.take(">iih")[2]


def fetch_offset(connection, group, partition):
    body = string(group) + struct.pack(">i", 1) + string("t") + struct.pack(">ii", 1, partition)
    reader = connection.ask(FETCH_OFFSETS, 3, body)
    reader.take(">ii")
    reader.string()
    return reader.take(">iiq")[2]


def crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def small_varint(value):
    assert 0 <= value < 64
    return bytes([value << 1])


def batch_of(value):
    record = b"\0\0\0\x01" + small_varint(len(value)) + value + b"\0"  # no key, no headers
    now_ms = int(time.time() * 1000)
    rest = struct.pack(">hiqqqhii", 0, 0, now_ms, now_ms, -1, -1, -1, 1) + small_varint(len(record)) + record
    return struct.pack(">qiibI", 0, len(rest) + 9, -1, 2, crc32c(rest)) + rest


def produce(connection, partition, value):
    body = struct.pack(">hhi", -1, 1, 5000) + struct.pack(">i", 1) + string("t")
    reader = connection.ask(PRODUCE, 3, body + struct.pack(">ii", 1, partition) + data_bytes(batch_of(value)))
    reader.take(">i")
    reader.string()
    _, _, error, base_offset = reader.take(">iihq")
    return error, base_offset


def fetch_values(connection, partition, offset):
    """{offset: value} of what one Fetch brings."""
    body = struct.pack(">iiiib", -1, 0, 1, 1 << 24, 0) + struct.pack(">i", 1) + string("t")
    reader = connection.ask(FETCH, 4, body + struct.pack(">iiqi", 1, partition, offset, 1 << 24))
    reader.take(">ii")
    reader.string()
    _, _, error, _, _, aborted = reader.take(">iihqqi")
    assert error == 0 and aborted <= 0, (error, aborted)
    return {offset: value for offset, _, value in records_of(reader.bytes())}


# ---- What was acknowledged ----------------------------------------------------------------------------------------

class Group:
    def __init__(self, name):
        self.name = name
        self.acknowledged = -1   # generation of the newest answered SyncGroup
        self.assignments = {}    # member: bytes, of that generation
        self.handed_out = -1     # newest generation of any JoinGroup answer
        self.has_left = False    # a member asked to leave since
        self.offsets = {}        # partition: (acknowledged, sent)


class Run:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.groups = {name: Group(name) for name in GROUPS}
        self.records = {}        # (partition, offset): value
        self.is_paused = threading.Event()
        self.is_ended = threading.Event()
        self.active = 0
        self.counts = {"commits": 0, "generations": 0, "records": 0, "refused": 0}
        self.problems = []
        self.port = None

    def problem(self, text):
        with self.lock:
            self.problems.append(text)
        print("LOST:", text, flush=True)


def wait_for_turn(run):
    while run.is_paused.is_set() and not run.is_ended.is_set():
        time.sleep(0.002)


class Member(threading.Thread):
    """Takes part in a group until the run ends; across restarts it goes on with its member id and generation."""

    def __init__(self, run, group, slot, seed):
        super().__init__(daemon=True)
        self.run_state, self.group, self.slot = run, run.groups[group], slot
        self.random = random.Random(seed)
        self.member_id, self.generation, self.offset = "", -1, 0

    def run(self):
        run = self.run_state
        while not run.is_ended.is_set():
            wait_for_turn(run)
            with run.lock:
                run.active += 1
            try:
                connection = Connection(run.port)
                while not run.is_ended.is_set() and not run.is_paused.is_set():
                    self.go_on(connection)
            except (OSError, ConnectionError):
                time.sleep(0.002)
            finally:
                with run.lock:
                    run.active -= 1

    def go_on(self, connection):
        if self.generation < 0:
            self.enter(connection)
            return
        choice = self.random.random()
        if choice < 0.9:
            error = self.commit(connection)
        elif choice < 0.96:
            error = heartbeat(connection, self.group.name, self.generation, self.member_id)
        else:
            error = self.leave(connection)
        if error in (UNKNOWN_MEMBER,):
            self.member_id, self.generation = "", -1
        elif error in (ILLEGAL_GENERATION, REBALANCING):
            self.generation = -1
        elif error:
            with self.run_state.lock:
                self.run_state.counts["refused"] += 1

    def enter(self, connection):
        group, run = self.group, self.run_state
        with run.lock:
            least = group.acknowledged
        error, generation, self.member_id, members = join(connection, group.name, self.member_id)
        if error:
            self.member_id = "" if error == UNKNOWN_MEMBER else self.member_id
            return
        if generation < least:
            run.problem(f"{group.name}: JoinGroup gave generation {generation} after {least} had been acknowledged")
        with run.lock:
            group.handed_out = max(group.handed_out, generation)
        plan = [(member, f"{generation}/{member}/{self.random.random()}".encode()) for member in members or []]
        error, assignment = sync(connection, group.name, generation, self.member_id, plan)
        if error:
            self.member_id = "" if error == UNKNOWN_MEMBER else self.member_id
            return
        self.generation = generation
        with run.lock:
            if generation > group.acknowledged:
                group.acknowledged, group.assignments, group.has_left = generation, {}, False
                run.counts["generations"] += 1
            if generation == group.acknowledged:
                group.assignments[self.member_id] = assignment

    def commit(self, connection):
        group, run = self.group, self.run_state
        self.offset += 1
        with run.lock:
            group.offsets[self.slot] = (group.offsets.get(self.slot, (-1, -1))[0], self.offset)
        error = commit(connection, group.name, self.generation, self.member_id, self.slot, self.offset)
        if error == 0:
            with run.lock:
                group.offsets[self.slot] = (self.offset, self.offset)
                run.counts["commits"] += 1
        return error

    def leave(self, connection):
        with self.run_state.lock:
            self.group.has_left = True
        body = string(self.group.name) + string(self.member_id)
        self.member_id, self.generation = "", -1
        return connection.ask(LEAVE, 1, body).take(">ih")[1]


class Producer(threading.Thread):
    def __init__(self, run):
        super().__init__(daemon=True)
        self.run_state, self.number = run, 0

    def run(self):
        run = self.run_state
        while not run.is_ended.is_set():
            wait_for_turn(run)
            with run.lock:
                run.active += 1
            try:
                connection = Connection(run.port)
                while not run.is_ended.is_set() and not run.is_paused.is_set():
                    self.number += 1
                    partition, value = self.number % 3, b"value %d" % self.number
                    error, offset = produce(connection, partition, value)
                    if error == 0:
                        with run.lock:
                            run.records[(partition, offset)] = value
                            run.counts["records"] += 1
                    time.sleep(0.002)
            except (OSError, ConnectionError):
                time.sleep(0.002)
            finally:
                with run.lock:
                    run.active -= 1


# ---- Looking ---------------------------------------------------------------------------------------------------------

def check_group(run, connection, group):
    """What one group still has. Returns how many members went on in their generation with what they had been assigned,
    and how many offsets were looked at."""
    for slot, (acknowledged, sent) in group.offsets.items():
        found = fetch_offset(connection, group.name, slot)
        if not acknowledged <= found <= max(acknowledged, sent):
            run.problem(f"{group.name}: partition {slot}: offset {acknowledged} was acknowledged, {sent} was sent, "
                        f"{found} is there")
    # A later generation may have been written without its answer having arrived, or the group have changed by a leave.
    may_be_newer = group.handed_out > group.acknowledged or group.has_left
    went_on = 0
    for member_id, assignment in group.assignments.items():
        error = heartbeat(connection, group.name, group.acknowledged, member_id)
        if error in (UNKNOWN_MEMBER, ILLEGAL_GENERATION) and may_be_newer:
            continue
        if error not in (0, REBALANCING):
            run.problem(f"{group.name}: generation {group.acknowledged} of {member_id} was acknowledged, its heartbeat "
                        f"is answered {error}")
        if error == 0:
            error, found = sync(connection, group.name, group.acknowledged, member_id, [])
            went_on += error == 0
            if error == 0 and found != assignment:
                run.problem(f"{group.name}: {member_id} had {assignment}, now {found}")
            if error not in (0, REBALANCING):
                run.problem(f"{group.name}: SyncGroup of {member_id} in generation {group.acknowledged}: {error}")
    return went_on, len(group.offsets)


def check_records(run, connection, since):
    """The records from those offsets on are what was acknowledged."""
    for partition in range(3):
        offset, values = since.get(partition, 0), {}
        while True:
            piece = fetch_values(connection, partition, offset)
            if not piece:
                break
            values.update(piece)
            offset = max(piece) + 1
        for (of_partition, at), value in run.records.items():
            if of_partition == partition and at >= since.get(partition, 0) and values.get(at) != value:
                run.problem(f"t-{partition}: offset {at} was {value!r}, now {values.get(at)!r}")
        since[partition] = offset


def check(run, since):
    connection = Connection(run.port)
    looked = [check_group(run, connection, group) for group in run.groups.values()]
    check_records(run, connection, since)
    connection.close()
    return sum(members for members, _ in looked), sum(offsets for _, offsets in looked)


# ---- Killing ---------------------------------------------------------------------------------------------------------

class Mock:
    def __init__(self, rejoin, folder, fsync, port):
        self.log = open(os.path.join(folder, "mock.log"), "a+")
        self.process = subprocess.Popen(
            [rejoin, "mock", "--listen", f"127.0.0.1:{port}", "--topic", "t:3", "--data-dir",
             os.path.join(folder, "data"), "--fsync", fsync, "--initial-rebalance-delay-ms", "0",
             "--offsets-segment-bytes", "40000"], stdout=subprocess.PIPE, stderr=self.log, text=True)
        first = self.process.stdout.readline()
        if not first.startswith("ready "):
            self.log.seek(0)
            sys.exit(f"the mock does not start:\n{self.log.read()}")
        self.port = int(first.rsplit(":", 1)[1])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def tear(folder, rng):
    """What a write that was cut short leaves: a part of a batch behind the last whole one. Returns the file."""
    names = [os.path.join(folder, "data", name, "0" * 20 + ".log") for name in sorted(os.listdir(folder + "/data"))
             if os.path.isdir(os.path.join(folder, "data", name))]
    names = [name for name in names if os.path.exists(name) and os.path.getsize(name) > 100]
    if not names:
        return None
    name = rng.choice(names)
    with open(name, "r+b") as file:
        first = file.read(100)
        file.seek(0, 2)
        file.write(struct.pack(">q", 1 << 40) + first[8:rng.randrange(13, 60)])
    return name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rejoin")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--fsync", default="never")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    run = Run(options.seed)
    rng = random.Random(options.seed)
    torn, members, offsets, since = 0, 0, 0, {}
    with tempfile.TemporaryDirectory() as folder:
        mock = Mock(options.rejoin, folder, options.fsync, 0)
        run.port = mock.port
        threads = [Member(run, group, slot, f"{options.seed}{group}{slot}") for group in GROUPS
                   for slot in range(MEMBERS_PER_GROUP)] + [Producer(run)]
        for thread in threads:
            thread.start()
        for _ in range(options.kills):
            time.sleep(rng.choice((0.02, 0.1, 0.3, 0.6)) * rng.random() + 0.01)
            mock.kill()
            run.is_paused.set()
            while run.active > 0: # until everybody knows that the connection broke
                time.sleep(0.002)
            name = tear(folder, rng) if rng.random() < 0.25 else None
            mock = Mock(options.rejoin, folder, options.fsync, run.port)
            if name:
                torn += 1
                mock.log.seek(0)
                if f"{name}: the last " not in mock.log.read():
                    run.problem(f"no line says that {name} was cut back")
            looked = check(run, since)
            members, offsets = members + looked[0], offsets + looked[1]
            run.is_paused.clear()
        run.is_ended.set()
        mock.kill()
    print(f"{options.kills} kills with --fsync {options.fsync}: {run.counts['commits']} commits, "
          f"{run.counts['generations']} generations and {run.counts['records']} records were acknowledged; after the "
          f"restarts {offsets} offsets were there and {members} times a member went on in its generation, {torn} torn files "
          f"were cut back; "
          f"{len(run.problems)} losses")
    run.counts["members that went on"] = members
    least = {"members that went on": options.kills, "commits": 10 * options.kills, "generations": options.kills // 5, "records": options.kills}
    idle = [what for what, count in least.items() if run.counts[what] < count]
    if idle:
        print(f"FAILED: too little happened: {', '.join(idle)}")
    sys.exit(1 if run.problems or idle else 0)


if __name__ == "__main__":
    main()
