"""rejoin mock over raw sockets: order of answers, pipelines, malformed and oversized frames, faults, control, exits."""
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

from raw_kafka import frame, read_exactly, read_frame, string

REJOIN = sys.argv[1]
API_VERSIONS, HEARTBEAT, JOIN, PRODUCE = 18, 12, 11, 0
SANITIZED = b"__asan_init" in open(REJOIN, "rb").read()


class Mock:
    def __init__(self, *options):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([REJOIN, "mock", "--topic", "t:3", *options], stdout=subprocess.PIPE,
                                        stderr=self.log, text=True,
                                        env={**os.environ, "MALLOC_PERTURB_": "65"})  # memory is not zero
        first = self.process.stdout.readline()
        assert re.fullmatch(r"ready 127\.0\.0\.1:\d+(,127\.0\.0\.1:\d+)*\n", first), first
        self.ports = [int(part.rsplit(":", 1)[1]) for part in first.split()[1].split(",")]

    def connect(self, broker=0):
        connection = socket.create_connection(("127.0.0.1", self.ports[broker]), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def said(self):
        time.sleep(0.1)
        self.log.seek(0)
        return self.log.read()

    def end(self):
        self.process.terminate()
        return self.process.wait(timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            assert self.end() == 0, "SIGTERM ends it with 0"


def heartbeat(correlation_id, group="g", member="nobody"):
    return frame(HEARTBEAT, 0, correlation_id, string(group) + struct.pack(">i", 1) + string(member))


def join_v0(correlation_id, group, session_ms=10000):
    protocol = string("range") + struct.pack(">i", 0)
    return frame(JOIN, 0, correlation_id, string(group) + struct.pack(">i", session_ms) + string("") +
                 string("consumer") + struct.pack(">i", 1) + protocol)


def answer(connection):
    data = read_frame(connection)
    return struct.unpack(">i", data[:4])[0], data[4:]


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def answers_arrive_in_the_order_of_their_requests():
    """10,000 heartbeats sent before the first answer is read."""
    with Mock("--initial-rebalance-delay-ms", "0") as mock:
        connection = mock.connect()
        count, sent, received = 10000, 0, 0
        data = b"".join(heartbeat(i) for i in range(count))
        connection.setblocking(False)
        got = b""
        while received < count:
            try:
                if sent < len(data):
                    sent += connection.send(data[sent:sent + 65536])
            except BlockingIOError:
                pass
            try:
                got += connection.recv(1 << 20)
            except BlockingIOError:
                time.sleep(0.001)
            while len(got) >= 10:
                length, correlation_id, error = struct.unpack(">iih", got[:10])
                assert (length, correlation_id, error) == (6, received, 25), (length, correlation_id, error)
                got = got[10:]
                received += 1


def a_parked_join_holds_back_what_is_behind_it():
    """Several groups on one connection: Kafka answers in order, so the second group waits for the first one's join."""
    with Mock("--initial-rebalance-delay-ms", "700") as mock:
        shared, other = mock.connect(), mock.connect()
        began = time.monotonic()
        shared.sendall(join_v0(1, "first") + heartbeat(2, "second"))
        other.sendall(heartbeat(3, "second"))
        assert answer(other)[0] == 3
        assert time.monotonic() - began < 0.5, "another connection is not held back"
        assert answer(shared)[0] == 1
        took = time.monotonic() - began
        assert 0.6 < took < 8, took
        assert answer(shared)[0] == 2


def bytes_may_come_one_by_one():
    with Mock() as mock:
        connection = mock.connect()
        for byte in heartbeat(5) + heartbeat(6):
            connection.sendall(bytes([byte]))
        assert [answer(connection)[0], answer(connection)[0]] == [5, 6]


def a_malformed_frame_closes_its_connection_only():
    with Mock() as mock:
        good, bad = mock.connect(), mock.connect()
        peer = "%s:%d" % bad.getsockname()
        body = struct.pack(">h", 30000) + b"short"  # a group id that claims to be longer than the frame
        bad.sendall(heartbeat(1) + frame(HEARTBEAT, 0, 2, body))
        assert answer(bad)[0] == 1
        assert is_closed(bad)
        good.sendall(heartbeat(3))
        assert answer(good)[0] == 3
        said = mock.said()
        offset = len(heartbeat(1))
        for part in (peer, f"offset {offset}", "Heartbeat v0", "groupId"):
            assert part in said, (part, said)


def every_cut_of_a_frame_is_refused():
    """A heartbeat's body cut at each byte, with an honest length in front."""
    with Mock() as mock:
        whole = heartbeat(1)[4:]
        for length in range(8, len(whole)):
            connection = mock.connect()
            connection.sendall(struct.pack(">i", length) + whole[:length])
            assert is_closed(connection), length
        connection = mock.connect()
        connection.sendall(struct.pack(">i", len(whole) + 1) + whole + b"x")
        assert answer(connection), "a byte too many: Kafka 3.9.1 and 4.2.0 answer all the same"


def a_frame_beyond_the_limit_is_refused_before_it_is_read():
    with Mock() as mock:
        for prefix in (struct.pack(">i", 100 * 1024 * 1024 + 1), b"\xff\xff\xff\xff", b"GET "):
            connection = mock.connect()
            connection.sendall(prefix)
            assert is_closed(connection), prefix
        assert mock.said().count("limit") == 3
        with open(f"/proc/{mock.process.pid}/status") as status:
            peak = int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
        assert peak < 40000, f"{peak} kB for frames that were refused"


def a_promised_frame_costs_what_has_come():
    """A connection that promises 90 MB and sends 100 bytes does not take 90 MB."""
    with Mock() as mock:
        connections = [mock.connect() for _ in range(20)]
        for connection in connections:
            connection.sendall(struct.pack(">i", 90 * 1024 * 1024) + b"x" * 100)
        time.sleep(0.2)
        with open(f"/proc/{mock.process.pid}/status") as status:
            resident = int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))
        assert resident < 40000, resident


def own_bytes(mock):
    with open(f"/proc/{mock.process.pid}/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+)", status.read()).group(1)) * 1024


def an_idle_connection_keeps_no_buffers():
    """What a connection has asked and was answered is not kept with it: here half a kilobyte each way."""
    with Mock() as mock:
        request = frame(API_VERSIONS, 0, 1, b"", client_id="c" * 500)
        connections = []
        for count in (100, 600):  # the first ones take what all share
            before = own_bytes(mock)
            while len(connections) < count:
                connections.append(mock.connect())
                connections[-1].sendall(request)
                assert answer(connections[-1])
        each = (own_bytes(mock) - before) / 500
        assert each < (6000 if SANITIZED else 1000), f"{each:.0f} bytes for an idle connection"


def a_wrong_checksum_is_answered_with_2():
    with Mock() as mock:
        batch = bytearray(struct.pack(">qiibIhiqqqhii", 0, 0, 0, 2, 0, 0, 0, 0, 0, -1, -1, -1, 1))
        batch += b"\x0e\0\0\0\x01\x02v\0"
        struct.pack_into(">i", batch, 8, len(batch) - 12)
        topic = string("t") + struct.pack(">iii", 1, 0, len(batch)) + bytes(batch)
        connection = mock.connect()
        connection.sendall(frame(PRODUCE, 3, 1, struct.pack(">hhii", -1, -1, 1000, 1) + topic))
        body = answer(connection)[1]
        assert struct.unpack(">h", body[4 + 3 + 4 + 4:][:2])[0] == 2, body.hex()


def faults_come_from_a_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "faults.json")
        with open(path, "w") as file:
            json.dump([{"match": {"api": "Heartbeat", "group": "g", "nth": 2},
                        "do": {"action": "answer-error", "error": 27}},
                       {"match": {"api": "Heartbeat", "group": "slow"},
                        "do": {"action": "delay-answer", "delay_ms": 400}},
                       {"match": {"api": "Heartbeat", "group": "cut"}, "do": {"action": "cut-answer", "cut_len": 7}},
                       {"match": {"api": "Heartbeat", "group": "gone"}, "do": {"action": "disconnect-before"}},
                       {"match": {"api": "Heartbeat", "group": "wi?d*", "member": "?*"},
                        "do": {"action": "answer-error", "error": 82}}], file)
        with Mock("--faults", path) as mock:
            connection = mock.connect()
            connection.sendall(heartbeat(1) + heartbeat(2) + heartbeat(3))
            errors = [struct.unpack(">h", answer(connection)[1])[0] for _ in range(3)]
            assert errors == [25, 27, 25], errors
            began = time.monotonic()
            connection.sendall(heartbeat(4, "slow") + heartbeat(5))
            assert answer(connection)[0] == 4 and time.monotonic() - began > 0.35
            assert answer(connection)[0] == 5
            for group, member, error in (("wildly", "m", 82), ("wild", "m", 82), ("wildly", "", 25), ("wil", "m", 25)):
                connection.sendall(heartbeat(8, group, member))
                found = struct.unpack(">h", answer(connection)[1])[0]
                assert found == error, (group, member, found)
            connection.sendall(heartbeat(6, "gone"))
            assert is_closed(connection)
            connection = mock.connect()
            connection.sendall(heartbeat(7, "cut"))
            assert len(read_exactly(connection, 7)) == 7 and is_closed(connection)


def control_answers_in_json():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")

        def ctl(*words):
            run = subprocess.run([REJOIN, "ctl", path, *words], capture_output=True, text=True)
            return run.returncode, json.loads(run.stdout) if run.stdout else run.stderr

        with Mock("--control", path, "--brokers", "2") as mock:
            status, before = ctl("coordinator", "g")
            assert status == 0 and before["coordinator"] in (0, 1)
            other = 1 - before["coordinator"]
            connection = mock.connect(before["coordinator"])
            connection.sendall(heartbeat(1))
            assert answer(connection)[1] == struct.pack(">h", 25)
            assert ctl("move-coordinator", "g", str(other))[1] == {"ok": True, "group": "g", "coordinator": other}
            connection.sendall(heartbeat(2))
            assert answer(connection)[1] == struct.pack(">h", 16)
            assert ctl("move-coordinator", "g", "none")[1] == {"ok": True, "group": "g", "coordinator": -1}
            assert ctl("coordinator", "g")[1] == {"ok": True, "coordinator": -1}
            assert ctl("move-coordinator", "g", "-1")[0] == 1 and ctl("move-coordinator", "g", "2")[0] == 1
            assert ctl("add-partitions", "t", "5") == (0, {"ok": True})
            assert ctl("add-partitions", "t", "5")[0] == 1
            assert ctl("disconnect") == (0, {"ok": True, "connections": 1})
            assert is_closed(connection)
            assert ctl("no-such-command")[0] == 1
        assert ctl("coordinator", "g")[0] == 3, "nobody listens any more"


def wrong_options_leave_with_3():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write('[\n  {"match": {"api": "Heartbeat"},\n   "do": {"action": "explode"}}]')
        file.flush()
        for options, said in (
                (["--no-such-flag"], "no-such-flag"), (["--topic", "t"], "NAME:PARTITIONS"),
                (["--kafka-version", "9"], "9"),
                (["--listen", "nonsense"], "HOST:PORT"), (["--faults", "/nonexistent"], "/nonexistent"),
                (["--faults", file.name], f"{file.name}:2:3: expected do.action"), (["--brokers", "0"], "1 to 1000"),
                (["--record", "/nonexistent/x.pcapng"], "/nonexistent/x.pcapng"), (["extra"], "extra")):
            run = subprocess.run([REJOIN, "mock", *options], capture_output=True, text=True, timeout=10)
            assert run.returncode == 3, (options, run.returncode, run.stderr)
            assert said in run.stderr, (options, run.stderr)
    help_text = subprocess.run([REJOIN, "mock", "--help"], capture_output=True, text=True)
    assert help_text.returncode == 0 and "--initial-rebalance-delay-ms" in help_text.stdout


def main():
    tests = [answers_arrive_in_the_order_of_their_requests, a_parked_join_holds_back_what_is_behind_it,
             bytes_may_come_one_by_one, a_malformed_frame_closes_its_connection_only, every_cut_of_a_frame_is_refused,
             a_frame_beyond_the_limit_is_refused_before_it_is_read, a_promised_frame_costs_what_has_come,
             an_idle_connection_keeps_no_buffers, a_wrong_checksum_is_answered_with_2, faults_come_from_a_file, control_answers_in_json,
             wrong_options_leave_with_3]
    for test in tests:
        test()
        print(f"ok {test.__name__}", flush=True)


if __name__ == "__main__":
    main()
