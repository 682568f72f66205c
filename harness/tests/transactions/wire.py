"""Requests of transactions over a raw socket, and their answers in a form that two brokers can be compared by.

Messages go through `rejoin encode` and `rejoin decode`. What differs from run to run is named by the order in which it
came up (producer ids P1, P2, ...; member ids M1, ...) or left out (times, throttling, messages for people)."""
import base64
import json
import socket
import struct
import subprocess
import time

LEFT_OUT = {"throttleTimeMs", "errorMessage", "lastTimestamp", "logAppendTimeMs", "logStartOffset", "recordErrors",
            "preferredReadReplica", "currentLeader", "nodeEndpoints", "sessionId", "divergingEpoch", "snapshotId",
            "topicId", "leaderEpoch", "timestamp", "committedLeaderEpoch"}
NUMBERED = {"producerId": "P", "memberId": "M", "leader": "M"}
ORDERED_BY = ("partitionIndex", "topic", "name")  # Kafka keeps partitions of a transaction in sets
CONCURRENT_TRANSACTIONS, NOT_ENOUGH_REPLICAS = 51, 19


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def varint(value):
    value = value << 1 ^ value >> 63
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def batch(values, producer_id=-1, epoch=-1, sequence=-1, transactional=False):
    """A batch of magic 2 whose records have these values."""
    now = int(time.time() * 1000)
    records = b""
    for i, value in enumerate(values):
        record = b"\0" + varint(0) + varint(i) + varint(-1) + varint(len(value)) + value.encode() + varint(0)
        records += varint(len(record)) + record
    body = struct.pack(">hiqqqhii", 16 if transactional else 0, len(values) - 1, now, now, producer_id, epoch, sequence,
                       len(values)) + records
    rest = struct.pack(">ibI", 0, 2, crc32c(body)) + body
    return base64.b64encode(struct.pack(">qi", 0, len(rest)) + rest).decode()


class Wire:
    def __init__(self, rejoin, address):
        self.rejoin = rejoin
        host, port = address.rsplit(":", 1)
        self.connection = socket.create_connection((host, int(port)), timeout=6)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.names = {}
        self.told = []
        self.correlation_id = 0

    def run(self, mode, *arguments, data):
        done = subprocess.run([self.rejoin, mode, *arguments], input=data, capture_output=True)
        if done.returncode != 0:
            raise ValueError(f"rejoin {mode} {' '.join(arguments)}: {done.stderr.decode()}{data[:2000]!r}")
        return done.stdout

    def read(self, length):
        data = b""
        while len(data) < length:
            piece = self.connection.recv(length - len(data))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            data += piece
        return data

    def exchange(self, api, version, body):
        key = API_KEYS[api]
        self.correlation_id += 1
        header = {"requestApiKey": key, "requestApiVersion": version, "correlationId": self.correlation_id,
                  "clientId": "wire"}
        self.connection.sendall(self.run("encode", "--frame", "--binary",
                                         data=json.dumps({"header": header, "body": body}).encode()))
        prefix = self.read(4)  # kept: without it a correlation id could be taken for one
        frame = prefix + self.read(struct.unpack(">i", prefix)[0])
        return json.loads(self.run("decode", "--frame", "--kind", "response", "--api", str(key), "--version",
                                   str(version), "--binary", data=frame))["body"]

    def ask(self, label, api, version, body, patient=True):
        """The answer, also as it is told. patient: 51, and what only says that a coordinator is not ready yet, is asked
        again, because how long markers take is not what is compared."""
        deadline = time.monotonic() + 5
        while True:
            answer = self.exchange(api, version, body)
            codes = set(error_codes(answer))
            if not (patient and codes & {CONCURRENT_TRANSACTIONS, 14, 15, 16, NOT_ENOUGH_REPLICAS}) or \
                    time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self.told.append({"step": label, "request": f"{api} v{version}", "answer": self.plain(answer)})
        return answer

    def name(self, field, value):
        kind = NUMBERED[field]
        known = self.names.setdefault(kind, {})
        return known.setdefault(value, f"{kind}{len(known) + 1}")

    def plain(self, value, field=None):
        if isinstance(value, dict):
            return {key: self.plain(one, key) for key, one in value.items() if key not in LEFT_OUT}
        if isinstance(value, list):
            return in_order([self.plain(one, field) for one in value], field)
        if field == "records":
            return self.batches(value)
        if field in NUMBERED and value not in (-1, ""):
            return self.name(field, value)
        if field == "transactionStartTimeMs":
            return value if value < 0 else "a time"
        return value

    def batches(self, text):
        """What a fetch gave: each batch with offset, producer, kind and values, or the marker that it is."""
        data = base64.b64decode(text or "")
        out = []
        while len(data) >= 61:
            base, length = struct.unpack(">qi", data[:12])
            if len(data) < 12 + length:
                break
            attributes, last, _, _, producer, epoch, sequence, _ = struct.unpack(">hiqqqhii", data[21:61])
            one = {"offset": base, "last": base + last, "epoch": epoch, "sequence": sequence,
                   "producer": self.name("producerId", producer) if producer >= 0 else producer,
                   "transactional": bool(attributes & 16)}
            if attributes & 32:
                one["control"] = data[61:12 + length].hex()[8:]  # without the length and time of the record
            out.append(one)
            data = data[12 + length:]
        return out


def in_order(items, field):
    if not items or not isinstance(items[0], (dict, int)):
        return items
    if isinstance(items[0], int):
        return sorted(items) if field == "partitions" else items
    key = next((key for key in ORDERED_BY if key in items[0]), None)
    return sorted(items, key=lambda one: one[key]) if key else items


def error_codes(value):
    if isinstance(value, dict):
        for key, one in value.items():
            if key in ("errorCode", "partitionErrorCode"):
                yield one
            else:
                yield from error_codes(one)
    elif isinstance(value, list):
        for one in value:
            yield from error_codes(one)


API_KEYS = {"Produce": 0, "Fetch": 1, "ListOffsets": 2, "OffsetCommit": 8, "OffsetFetch": 9, "FindCoordinator": 10,
            "JoinGroup": 11, "SyncGroup": 14, "CreateTopics": 19, "InitProducerId": 22, "AddPartitionsToTxn": 24,
            "AddOffsetsToTxn": 25, "EndTxn": 26, "WriteTxnMarkers": 27, "TxnOffsetCommit": 28, "DescribeProducers": 61,
            "DescribeTransactions": 65, "ListTransactions": 66, "ApiVersions": 18, "Metadata": 3}
