"""Commits of a mock in memory: their records stand in __consumer_offsets whoever reads them and whenever, however many
were compacted in between, and a coordinator that moves finds every offset again."""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

sys.argv = [sys.argv[0], os.path.abspath(sys.argv[1])]
from raw_kafka import frame, read_frame, records_of, string  # noqa: E402
from test_mock_wire import Mock  # noqa: E402

REJOIN = sys.argv[1]
OFFSET_COMMIT, OFFSET_FETCH, FETCH, LIST_OFFSETS = 8, 9, 1, 2
PARTITIONS_OF_OFFSETS = 50
TAIL_LEN, RECORD_LEN = 128 * 1024, 40  # commit_tail.c: a full tail is compacted; a record's least length in it


def partition_of(group):
    value = 0
    for character in group:
        value = (31 * value + ord(character)) & 0xffffffff
    value = value - (1 << 32) if value >> 31 else value
    return abs(value) % PARTITIONS_OF_OFFSETS


def commit_body(group, topics):
    """v7, of a simple group: topics is [(name, [(partition, offset, epoch, metadata)])]."""
    body = string(group) + struct.pack(">i", -1) + string("") + struct.pack(">h", -1) + struct.pack(">i", len(topics))
    for name, partitions in topics:
        body += string(name) + struct.pack(">i", len(partitions))
        for partition, offset, epoch, metadata in partitions:
            body += struct.pack(">iqi", partition, offset, epoch) + string(metadata)
    return body


def send_commits(connection, commits):
    """All in flight together; every partition must be answered with 0."""
    connection.sendall(b"".join(frame(OFFSET_COMMIT, 7, i, commit_body(*commit)) for i, commit in enumerate(commits)))
    for i, (_, topics) in enumerate(commits):
        got = read_frame(connection)
        assert struct.unpack(">i", got[:4])[0] == i
        codes = struct.unpack(">" + "ih" * sum(len(p) for _, p in topics), strip_topics(got[8:], topics))[1::2]
        assert set(codes) == {0}, codes


def strip_topics(body, topics):
    at, rest = 4, b""
    for name, partitions in topics:
        at += 2 + len(name) + 4
        rest += body[at:at + 6 * len(partitions)]
        at += 6 * len(partitions)
    return rest


def fetch(connection, partition, offset):
    """v4: the bytes from there on, and the high watermark."""
    body = struct.pack(">iiiib", -1, 0, 1, 100 << 20, 0) + struct.pack(">i", 1) + string("__consumer_offsets")
    body += struct.pack(">iiqi", 1, partition, offset, 100 << 20)
    connection.sendall(frame(FETCH, 4, 1, body))
    got = read_frame(connection)[4 + 4 + 4 + 2 + len("__consumer_offsets") + 4:]
    error, high_watermark = struct.unpack(">hq", got[4:14])
    assert error == 0, error
    aborted = max(struct.unpack(">i", got[22:26])[0], 0)
    length = struct.unpack(">i", got[26 + 16 * aborted:30 + 16 * aborted])[0]
    return got[30 + 16 * aborted:30 + 16 * aborted + length], high_watermark


def read_log(connection, partition):
    records, offset = [], 0
    while True:
        data, end = fetch(connection, partition, offset)
        if not data:
            return records, end
        records += records_of(data)
        offset = records[-1][0] + 1


def text_at(data, at):
    length = struct.unpack(">h", data[at:at + 2])[0]
    return data[at + 2:at + 2 + length].decode(), at + 2 + length


def as_commit(key, value):
    """(group, topic, partition), (offset, epoch, metadata)"""
    assert key[:2] == b"\0\1", key
    group, at = text_at(key, 2)
    topic, at = text_at(key, at)
    version, offset, epoch = struct.unpack(">hqi", value[:14])
    if version == 4:  # flexible: a compact string
        length = value[14] - 1
        metadata = value[15:15 + length].decode()
    else:
        assert version == 3, version
        metadata, _ = text_at(value, 14)
    return (group, topic, struct.unpack(">i", key[at:at + 4])[0]), (offset, epoch, metadata)


class World:
    """What was committed to groups of one partition, in the order of the log."""

    def __init__(self, group_count, seed, partitions, at_once):
        self.random = random.Random(seed)
        self.partitions, self.at_once = partitions, at_once  # of a topic; that a commit may name
        names = (f"group-{i}" for i in range(1000000))
        first = next(names)
        self.partition = partition_of(first)
        self.groups = [first]
        while len(self.groups) < group_count:
            name = next(names)
            if partition_of(name) == self.partition:
                self.groups.append(name)
        self.written = []

    def commits(self, count):
        return [self.commit(self.random.choice(self.groups)) for _ in range(count)]

    def first_commits(self):
        """One of each group: a group's first is written out at once, with all that waits, since it makes the group."""
        return [self.commit(group) for group in self.groups]

    def commit(self, group):
        topics = []
        for name in self.random.sample(["v", "u"], self.random.choice([1, 1, 2])):
            partitions = [(self.random.randrange(self.partitions), self.random.randrange(1 << 40),
                           self.random.choice([-1, 7]), "m" * self.random.choice([0, 0, 1, 9, 30]))
                          for _ in range(self.random.randrange(1, self.at_once + 1))]
            topics.append((name, partitions))
        for name, partitions in topics:
            self.written += [((group, name, p), (offset, epoch, metadata))
                             for p, offset, epoch, metadata in partitions]
        return group, topics

    def latest(self):
        return dict(self.written)

    def check_log(self, connection):
        """Each record is the one that was written with its offset; the newest of each key is there."""
        records, end = read_log(connection, self.partition)
        assert end == len(self.written), (end, len(self.written))
        offsets = [offset for offset, _, _ in records]
        assert offsets == sorted(set(offsets))
        found = {}
        for offset, key, value in records:
            assert as_commit(key, value) == self.written[offset], offset
            found.update([as_commit(key, value)])
        assert found == self.latest()
        return len(records)


def offsets_of(connection, group):
    connection.sendall(frame(OFFSET_FETCH, 5, 1, string(group) + struct.pack(">i", -1)))
    got = read_frame(connection)
    found, at = {}, 8
    topics = struct.unpack(">i", got[at:at + 4])[0]
    at += 4
    for _ in range(topics):
        name, at = text_at(got, at)
        count = struct.unpack(">i", got[at:at + 4])[0]
        at += 4
        for _ in range(count):
            partition, offset, epoch = struct.unpack(">iqi", got[at:at + 16])
            metadata, at = text_at(got, at + 16)
            assert struct.unpack(">h", got[at:at + 2])[0] == 0
            at += 2
            if offset >= 0:
                found[group, name, partition] = (offset, epoch, metadata)
    return found


def check_move(mock, connection, control, world):
    moved = subprocess.run([REJOIN, "ctl", control, "move-coordinator", world.groups[0], "0"], stdout=subprocess.PIPE,
                           text=True, check=True)
    assert json.loads(moved.stdout)["ok"], moved.stdout
    for group in world.groups:
        wanted = {key: value for key, value in world.latest().items() if key[0] == group}
        assert offsets_of(connection, group) == wanted, group


def every_commit_can_be_read(seed, group_count, rounds, a_round, partitions=3, at_once=6, options=()):
    """A few commits are read as they were made; of many the newest of each key, at their offsets."""
    world = World(group_count, seed, partitions, at_once)
    topics = ["--topic", f"u:{partitions}", "--topic", f"v:{partitions}"]
    with tempfile.TemporaryDirectory() as folder, \
            Mock(*topics, *options, "--control", f"{folder}/control") as mock, mock.connect() as connection:
        send_commits(connection, world.first_commits())
        world.check_log(connection)
        for count in a_round[:rounds]:
            send_commits(connection, world.commits(count))
            kept = world.check_log(connection)
            print(f"  {group_count} groups, {len(world.written)} records, {kept} kept")
            check_move(mock, connection, f"{folder}/control", world)
        send_commits(connection, world.commits(300))
        check_move(mock, connection, f"{folder}/control", world)  # nobody has read them before
        return len(world.written), world.check_log(connection)


def main():
    written, kept = every_commit_can_be_read(1, 1, 3, [1, 40, 1500])
    assert kept < written / 3, (written, kept)
    written, kept = every_commit_can_be_read(2, 40, 2, [1800, 100])
    assert kept < written, (written, kept)
    written, kept = every_commit_can_be_read(3, 400, 1, [1800])
    # Compacted, or all would be there; and with more keys than a tail holds, so that it was written out too.
    assert kept < written - 500 and kept * RECORD_LEN > TAIL_LEN, (written, kept)
    # The log that they are written out to is compacted too, each time that it has doubled.
    _, kept_of_doubled = every_commit_can_be_read(3, 400, 1, [1800], options=["--offsets-segment-bytes", "65536"])
    assert kept_of_doubled < kept * 3 / 4, (kept_of_doubled, kept)
    # Many that differ in the group alone, or in the partition alone, so that their hashes meet.
    every_commit_can_be_read(4, 80, 1, [5000], 3, 1)
    every_commit_can_be_read(5, 1, 1, [5000], 200, 1)


if __name__ == "__main__":
    main()
