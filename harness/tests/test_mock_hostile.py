"""rejoin mock among hostile peers: each kind of them costs a bounded amount of memory, and a healthy client that
heartbeats all the while is served. Each case prints what it cost.
Usage: test_mock_hostile.py REJOIN [NAME...]"""
import multiprocessing
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

from raw_kafka import frame, read_frame, string

REJOIN = sys.argv[1]
SANITIZED = b"__asan_init" in open(REJOIN, "rb").read()
FETCH, PRODUCE, HEARTBEAT, JOIN, CREATE_TOPICS = 1, 0, 12, 11, 19


class Mock:
    def __init__(self, *options, file_limit=None):
        def limit():
            if file_limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (file_limit, file_limit))
        self.process = subprocess.Popen([REJOIN, "mock", "--topic", "t:1", *options], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, preexec_fn=limit)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def memory_kb(self, what):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(rf"{what}:\s+(\d+)", status.read()).group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0


def heartbeat_on(connection, ended, results):
    """Until ended: a heartbeat every 5 ms; then sends how long each took, in ms."""
    took_ms = []
    try:
        while not ended.is_set():
            began = time.monotonic()
            connection.sendall(heartbeat(len(took_ms)))
            assert read_frame(connection) == struct.pack(">ih", len(took_ms), 25)
            took_ms.append((time.monotonic() - began) * 1000)
            time.sleep(0.005)
        results.send((took_ms, None))
    except (OSError, AssertionError) as failure:
        results.send((took_ms, repr(failure)))


class Healthy:
    """A client in a process of its own, so that what the peers do here does not hold it up."""

    def __init__(self, mock):
        self.ended, (self.results, theirs) = multiprocessing.Event(), multiprocessing.Pipe(duplex=False)
        with mock.connect() as connection:
            self.process = multiprocessing.Process(target=heartbeat_on, daemon=True,
                                                   args=(connection, self.ended, theirs))
            self.process.start()

    def end(self):
        self.ended.set()
        took, failure = self.results.recv()
        self.process.join(timeout=20)
        took.sort()
        assert failure is None and len(took) >= 10, f"the healthy client: {failure}, {len(took)} heartbeats"
        return len(took), took[len(took) // 2], took[len(took) * 99 // 100], took[-1]


class Measured:
    """A mock, a healthy client, and what the peers in between cost. bound_kb: what the mock may take for them."""

    def __init__(self, name, bound_kb, *options, file_limit=None):
        self.name, self.bound_kb = name, bound_kb
        self.mock = Mock(*options, file_limit=file_limit)

    def __enter__(self):
        self.healthy = Healthy(self.mock)
        time.sleep(0.1)
        return self

    def begin(self):
        """Called when the peers come; what was there before is not theirs."""
        self.before = self.mock.memory_kb("VmRSS")

    def __exit__(self, kind, *_):
        if kind is not None:
            self.mock.process.kill()
            return
        time.sleep(0.3)
        during = self.mock.memory_kb("VmRSS")
        is_healthy(self.mock)
        count, middle, late, worst = self.healthy.end()
        peak = self.mock.memory_kb("VmHWM")
        print(f"   {self.name}: memory {self.before / 1024:.1f} -> {during / 1024:.1f} MB, at most {peak / 1024:.1f}; "
              f"{count} healthy heartbeats p50 {middle:.2f} ms, p99 {late:.2f} ms, worst {worst:.1f} ms", flush=True)
        with self.mock:
            bound_kb = self.bound_kb * 4 if SANITIZED else self.bound_kb
            assert peak - self.before < bound_kb, f"{self.name}: {peak - self.before} kB, at most {bound_kb} are theirs"
            assert worst < 5000, f"{self.name}: a healthy heartbeat took {worst:.0f} ms"


def heartbeat(correlation_id, group="healthy"):
    return frame(HEARTBEAT, 0, correlation_id, string(group) + struct.pack(">i", 1) + string("nobody"))


def join(version, correlation_id, group, session_ms=10000, metadata=b""):
    rebalance = struct.pack(">i", 60000) if version >= 1 else b""
    protocol = struct.pack(">i", 1) + string("range") + struct.pack(">i", len(metadata)) + metadata
    return frame(JOIN, version, correlation_id, string(group) + struct.pack(">i", session_ms) + rebalance + string("") +
                 string("consumer") + protocol)


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def is_healthy(mock):
    """A new client gets its answer, and soon."""
    began = time.monotonic()
    with mock.connect() as connection:
        connection.sendall(heartbeat(1))
        assert read_frame(connection) == struct.pack(">ih", 1, 25)
    took = time.monotonic() - began
    assert took < 5, f"a heartbeat took {took:.1f} s"


def message_set(value):
    message = struct.pack(">bb", 0, 0) + struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    whole = struct.pack(">I", zlib.crc32(message)) + message
    return struct.pack(">qi", 0, len(whole)) + whole


def flood_of_connections():
    """800 that say nothing, and 2,000 more that come and go."""
    with Measured("2,800 connections, 800 of them open at a time", 4000) as measured:
        measured.begin()
        held = [measured.mock.connect() for _ in range(800)]
        for _ in range(2000):
            measured.mock.connect().close()
        for connection in held:
            connection.close()


def more_connections_than_descriptors():
    with Measured("200 connections where 64 descriptors are", 2000, file_limit=64) as measured:
        measured.begin()
        flood = []
        for _ in range(200):
            try:
                flood.append(measured.mock.connect())
            except OSError:
                break
        time.sleep(1)
        for connection in flood:
            connection.close()
        time.sleep(0.5)


def slow_senders():
    """200 that send a heartbeat byte by byte."""
    with Measured("200 senders of one byte at a time", 4000) as measured:
        measured.begin()
        slow = [measured.mock.connect() for _ in range(200)]
        for connection in slow:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = heartbeat(7)
        for i in range(len(request)):
            for connection in slow:
                connection.sendall(request[i:i + 1])
        for connection in slow:
            assert read_frame(connection) == struct.pack(">ih", 7, 25)


def half_open():
    """400 that end their side: 200 within a frame, 200 with a JoinGroup on its way whose answer nobody will read."""
    with Measured("400 half-open connections", 4000) as measured:
        measured.begin()
        peers = [measured.mock.connect() for _ in range(400)]
        for i, connection in enumerate(peers):
            connection.sendall(join(0, 1, f"half-{i}") if i % 2 else heartbeat(1)[:9])
            connection.shutdown(socket.SHUT_WR)
        for connection in peers:
            assert is_closed(connection)


def parts_of_frames():
    """400 beginnings of frames of 50 MiB: what is kept is what came."""
    with Measured("400 beginnings of frames of 50 MiB", 10000) as measured:
        measured.begin()
        connections = [measured.mock.connect() for _ in range(400)]
        for connection in connections:
            connection.sendall(struct.pack(">i", 50 * 1024 * 1024) + heartbeat(1)[4:])
        time.sleep(0.5)


def huge_frames():
    """A length beyond the limit closes the connection before anything of it is read."""
    with Measured("200 frames beyond the limit of 100 MiB", 4000) as measured:
        measured.begin()
        for length in (0x7fffffff, 100 * 1024 * 1024 + 1, 0xffffffff, 0x80000000):
            for _ in range(50):
                with measured.mock.connect() as connection:
                    connection.sendall(struct.pack(">I", length) + b"x" * 1000)
                    assert is_closed(connection)


def pipeline_of_10_000():
    """10,000 heartbeats at once, and 10,000 behind a parked JoinGroup; all are answered in their order."""
    with Measured("2 pipelines of 10,000 requests", 8000, "--initial-rebalance-delay-ms", "1000") as measured:
        measured.begin()
        with measured.mock.connect() as plain, measured.mock.connect() as behind:
            for connection, first in ((plain, b""), (behind, join(0, 0, "parks", 60000))):
                bytes_ = first + b"".join(heartbeat(i) for i in range(1, 10001))
                threading.Thread(target=connection.sendall, args=(bytes_,), daemon=True).start()
            assert struct.unpack(">i", read_frame(behind)[:4])[0] == 0
            for connection in (plain, behind):
                for i in range(1, 10001):
                    assert read_frame(connection) == struct.pack(">ih", i, 25)


def who_does_not_read_is_not_read():
    """2,000 fetches of half a megabyte each are asked for, and no answer is taken."""
    with Measured("2,000 answers of 500 kB that nobody takes", 60000, "--kafka-version", "0.11") as measured:
        with measured.mock.connect() as producer:
            records = message_set(b"x" * 500000)
            producer.sendall(frame(PRODUCE, 0, 1, struct.pack(">hii", -1, 1000, 1) + string("t") +
                                   struct.pack(">iii", 1, 0, len(records)) + records))
            assert read_frame(producer)[-10:-8] == b"\0\0", "the record is stored"
        measured.begin()
        request = frame(FETCH, 0, 1, struct.pack(">iiii", -1, 0, 0, 1) + string("t") +
                        struct.pack(">iiqi", 1, 0, 0, 600000))
        connection = measured.mock.connect()
        connection.setblocking(False)
        try:
            for _ in range(2000):
                connection.send(request)
        except BlockingIOError:
            pass
        time.sleep(1)


def parked_joins_that_nobody_collects():
    """300 members of one group whose rebalance waits, gone before it ends; then the group is empty again."""
    with Measured("300 parked JoinGroups that nobody collects", 8000,
                  "--initial-rebalance-delay-ms", "500") as measured:
        measured.begin()
        peers = [measured.mock.connect() for _ in range(300)]
        for i, connection in enumerate(peers):
            connection.sendall(join(1, i, "ghosts", 6000, b"m" * 1000))
        for connection in peers:
            connection.close()
        time.sleep(1)


def ids_and_groups_that_nobody_uses():
    """20,000 JoinGroup v4 without an id, each for a group of its own and one for the same, never taken up."""
    with Measured("40,000 member ids that nobody uses", 60000) as measured:
        measured.begin()
        with measured.mock.connect() as connection:
            for start in range(0, 20000, 500):
                connection.sendall(b"".join(join(4, i, group) for i in range(start, start + 500)
                                            for group in ("same", f"group-{i}")))
                for i in range(start, start + 500):
                    for _ in range(2):
                        said = read_frame(connection)
                        assert said[8:10] == struct.pack(">h", 79), said.hex()


def very_many_topics():
    """100,000 topics in one CreateTopics that is only to be validated: each name is there once."""
    with Measured("100,000 topics in one request", 60000) as measured:
        measured.begin()
        topics = b"".join(string(f"topic-{i}") + struct.pack(">ihii", 1, 1, 0, 0) for i in range(100000))
        with measured.mock.connect() as connection:
            body = struct.pack(">i", 100000) + topics + struct.pack(">ib", 9000, 1)
            connection.sendall(frame(CREATE_TOPICS, 2, 1, body))
            said = read_frame(connection)
        assert said[:12] == struct.pack(">iii", 1, 0, 100000), said[:12].hex()


CASES = (flood_of_connections, more_connections_than_descriptors, slow_senders, half_open, parts_of_frames, huge_frames,
         pipeline_of_10_000, who_does_not_read_is_not_read, parked_joins_that_nobody_collects,
         ids_and_groups_that_nobody_uses, very_many_topics)
for case in CASES:
    if len(sys.argv) < 3 or case.__name__ in sys.argv[2:]:
        case()
        print(f"ok {case.__name__}", flush=True)
