"""rejoin mock among hostile peers: each costs a bounded amount of memory, and a healthy client is served all the while."""
import re
import resource
import socket
import struct
import subprocess
import sys
import time
import zlib

REJOIN = sys.argv[1]
SANITIZED = b"__asan_init" in open(REJOIN, "rb").read()
FETCH, PRODUCE, HEARTBEAT, JOIN = 1, 0, 12, 11


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

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def frame(api_key, version, correlation_id, body):
    rest = struct.pack(">hhi", api_key, version, correlation_id) + string("raw") + body
    return struct.pack(">i", len(rest)) + rest


def heartbeat(correlation_id, group="healthy"):
    return frame(HEARTBEAT, 0, correlation_id, string(group) + struct.pack(">i", 1) + string("nobody"))


def read_exactly(connection, length):
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


def answer(connection):
    return read_exactly(connection, struct.unpack(">i", read_exactly(connection, 4))[0])


def is_healthy(mock):
    """A new client gets its answer, and soon."""
    began = time.monotonic()
    with mock.connect() as connection:
        connection.sendall(heartbeat(1))
        assert answer(connection) == struct.pack(">ih", 1, 25)
    took = time.monotonic() - began
    assert took < 5, f"a heartbeat took {took:.1f} s"


def message_set(value):
    message = struct.pack(">bb", 0, 0) + struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    whole = struct.pack(">I", zlib.crc32(message)) + message
    return struct.pack(">qi", 0, len(whole)) + whole


def who_does_not_read_is_not_read():
    """2,000 fetches of half a megabyte each are asked for, and no answer is taken."""
    with Mock("--kafka-version", "0.11") as mock:
        with mock.connect() as producer:
            records = message_set(b"x" * 500000)
            producer.sendall(frame(PRODUCE, 0, 1, struct.pack(">hii", -1, 1000, 1) + string("t") +
                                   struct.pack(">iii", 1, 0, len(records)) + records))
            assert answer(producer)[-10:-8] == b"\0\0", "the record is stored"
        before = mock.resident_kb()
        request = frame(FETCH, 0, 1, struct.pack(">iiii", -1, 0, 0, 1) + string("t") +
                        struct.pack(">iiqi", 1, 0, 0, 600000))
        connection = mock.connect()
        connection.setblocking(False)
        try:
            for _ in range(2000):
                connection.send(request)
        except BlockingIOError:
            pass
        time.sleep(1)
        is_healthy(mock)
        taken = mock.resident_kb() - before
        assert taken < (400000 if SANITIZED else 60000), f"{taken} kB for answers that nobody takes"


def parts_of_frames_cost_little():
    with Mock() as mock:
        before = mock.resident_kb()
        connections = [mock.connect() for _ in range(400)]
        for connection in connections:
            connection.sendall(struct.pack(">i", 50 * 1024 * 1024) + heartbeat(1)[4:])
        time.sleep(0.5)
        is_healthy(mock)
        taken = mock.resident_kb() - before
        assert taken < (60000 if SANITIZED else 10000), f"{taken} kB for 400 beginnings of frames"


def ids_and_groups_that_nobody_uses_are_bounded():
    """20,000 JoinGroup v4 without an id, each for a group of its own and one for the same, never taken up."""
    with Mock() as mock:
        before = mock.resident_kb()
        with mock.connect() as connection:
            protocol = struct.pack(">i", 1) + string("range") + struct.pack(">i", 0)
            for start in range(0, 20000, 500):
                requests = []
                for i in range(start, start + 500):
                    for group in ("same", f"group-{i}"):
                        requests.append(frame(JOIN, 4, i, string(group) + struct.pack(">ii", 10000, 10000) + string("") +
                                              string("consumer") + protocol))
                connection.sendall(b"".join(requests))
                for i in range(start, start + 500):
                    for _ in range(2):
                        said = answer(connection)
                        assert said[8:10] == struct.pack(">h", 79), said.hex()
            is_healthy(mock)
        taken = mock.resident_kb() - before
        assert taken < (200000 if SANITIZED else 60000), f"{taken} kB for 40,000 ids that nobody uses"


def more_connections_than_descriptors():
    with Mock(file_limit=64) as mock:
        healthy = mock.connect()
        flood = []
        for _ in range(200):
            try:
                flood.append(mock.connect())
            except OSError:
                break
        for i in range(10):
            healthy.sendall(heartbeat(i))
            assert answer(healthy) == struct.pack(">ih", i, 25)
        for connection in flood:
            connection.close()
        time.sleep(0.5)
        is_healthy(mock)


for test in (who_does_not_read_is_not_read, parts_of_frames_cost_little, ids_and_groups_that_nobody_uses_are_bounded,
             more_connections_than_descriptors):
    test()
    print(f"ok {test.__name__}", flush=True)
