"""Reads a clean capture into Kafka messages, lets a test edit them, and writes a capture of the edited ones.

Messages are decoded and encoded by `rejoin decode` and `rejoin encode`; a message that is not touched keeps its bytes.
"""
import copy
import json
import struct
import subprocess

SYN, ACK, FIN = 2, 16, 1
RAW_IP = 101  # a link type


class Message:
    def __init__(self, stream, is_request, time_us, frame):
        self.stream, self.is_request, self.time_us, self.frame = stream, is_request, time_us, frame
        self.api = self.version = self.correlation = None
        self.document = None
        if is_request:
            self.api, self.version, self.correlation = struct.unpack(">hhi", frame[:8])
        else:
            self.correlation, = struct.unpack(">i", frame[:4])
        self.other = None  # the request of a response, the response of a request


class Stream:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.open_us = self.close_us = None
        self.messages = 0


def packets(path):
    """Times and frames of a pcapng file of Ethernet packets, as dumpcap writes it, or of IPv4 packets, as the mock
    does, which get an Ethernet header here."""
    with open(path, "rb") as file:
        content = file.read()
    order, at, units, header = "<", 0, 1000000, b""
    while at + 12 <= len(content):
        kind, length = struct.unpack(order + "II", content[at:at + 8])
        body = content[at + 8:at + length - 4]
        if kind == 1:
            header = bytes(12) + b"\x08\x00" if struct.unpack(order + "H", body[:2])[0] == RAW_IP else b""
            units = 1000000000 if b"\x09\x00\x01\x00\x09" in body[8:] else 1000000
        if kind == 6:
            _, high, low, captured, _ = struct.unpack(order + "IIIII", body[:20])
            yield ((high << 32) + low) * 1000000 // units, header + body[20:20 + captured]
        at += length


class Capture:
    known = {}  # frames that were decoded: in all captures

    def __init__(self, path, rejoin):
        self.rejoin, self.streams, self.messages = rejoin, {}, []
        self.read(path)

    def read(self, path):
        buffers, expected = {}, {}
        for time_us, packet in packets(path):
            if packet[12:14] != b"\x08\x00" or packet[23] != 6:
                continue
            ip = packet[14:]
            length, = struct.unpack(">H", ip[2:4])
            tcp = ip[(ip[0] & 15) * 4:length]
            source, target, sequence, _ = struct.unpack(">HHII", tcp[:12])
            payload, flags = tcp[(tcp[12] >> 4) * 4:], tcp[13]
            if flags & SYN and not flags & ACK:
                self.streams[(source, target)] = Stream(source, target)
                self.streams[(source, target)].open_us = time_us
            is_request = (source, target) in self.streams
            key = (source, target) if is_request else (target, source)
            if key not in self.streams:
                continue
            if flags & SYN:
                expected[source, target] = (sequence + 1) & 0xffffffff
            if flags & FIN and self.streams[key].close_us is None:
                self.streams[key].close_us = time_us
            if not payload or sequence != expected.get((source, target)):
                continue  # an old copy: these captures have no holes
            expected[source, target] = (sequence + len(payload)) & 0xffffffff
            buffers[source, target] = buffers.get((source, target), b"") + payload
            self.take_frames(key, is_request, time_us, buffers, (source, target))

    def take_frames(self, key, is_request, time_us, buffers, direction):
        while len(buffers[direction]) >= 4:
            length, = struct.unpack(">I", buffers[direction][:4])
            if len(buffers[direction]) < 4 + length:
                return
            message = Message(key, is_request, time_us, buffers[direction][4:4 + length])
            buffers[direction] = buffers[direction][4 + length:]
            if not is_request:
                waiting = [m for m in self.messages if m.stream == key and m.is_request and m.other is None and
                           m.correlation == message.correlation]
                if waiting:
                    self.pair(waiting[0], message)
            self.messages.append(message)

    @staticmethod
    def pair(request, response):
        request.other, response.other = response, request
        response.api, response.version = request.api, request.version

    # ---- Looking and editing -----------------------------------------------------------------------------------

    def tool(self, command, message, text):
        arguments = [self.rejoin, command, "--frame"]
        if not message.is_request:
            arguments += ["--kind", "response", "--api", str(message.api), "--version", str(message.version)]
        done = subprocess.run(arguments, input=text, capture_output=True, check=True)
        return done.stdout

    def decoded(self, message):
        """Heartbeats repeat themselves: what differs in its correlation id only is decoded once."""
        rest = message.frame[8:] if message.is_request else message.frame[4:]
        key = (message.is_request, message.api, message.version, rest)
        if key not in self.known:
            whole = struct.pack(">I", len(message.frame)) + message.frame
            self.known[key] = self.tool("decode", message, whole.hex().encode())
        document = json.loads(self.known[key])
        document["header"]["correlationId"] = message.correlation
        return document

    def doc(self, message):
        """Header and body as JSON; changes in it are written."""
        if message.document is None:
            message.document = self.decoded(message)
            message.original = copy.deepcopy(message.document)
        return message.document

    def body(self, message):
        return self.doc(message)["body"]

    def find(self, api, is_request=True, where=lambda body: True, client=None):
        """All messages of an API, in order; a response is found by its own body."""
        return [m for m in self.messages if m.api == api and m.is_request == is_request and m.other is not None and
                (client is None or self.client(m) == client) and where(self.body(m))]

    def client(self, message):
        request = message if message.is_request else message.other
        length, = struct.unpack(">h", request.frame[8:10])
        return request.frame[10:10 + length].decode() if length >= 0 else None

    def insert(self, message, after=None, before=None, time_us=None):
        at = self.messages.index(after) + 1 if after else self.messages.index(before)
        message.time_us = time_us if time_us is not None else (after or before).time_us
        self.messages.insert(at, message)
        return message

    def connection(self, like, after):
        """A new connection of the same client, with its ApiVersions exchange, behind a message."""
        key = (like.stream[0] + 20000 & 0xffff, like.stream[1])
        self.streams[key] = Stream(*key)
        self.streams[key].open_us = after.time_us
        first = [m for m in self.messages if m.stream == like.stream and m.is_request and m.api == 18][0]
        return key, self.exchange(first, after, stream=key)

    def exchange(self, like, after, change=None, answer=None, gap_us=100, stream=None):
        """A copy of an exchange behind a message, on its own connection or another: request, then response."""
        correlation = 1000000 + len(self.messages)
        pair = []
        for source, edit in ((like, change), (like.other, answer)):
            made = Message(stream or like.stream, source.is_request, 0, source.frame)
            made.api, made.version = source.api, source.version
            made.document = copy.deepcopy(self.doc(source))
            made.original = None
            made.document["header"]["correlationId"] = correlation
            made.correlation = correlation
            if edit:
                edit(made.document["body"])
            pair.append(made)
        self.pair(*pair)
        self.insert(pair[0], after=after, time_us=after.time_us + gap_us)
        self.insert(pair[1], after=pair[0], time_us=after.time_us + 2 * gap_us)
        return pair[1]

    def drop(self, *messages):
        for message in messages:
            self.messages.remove(message)

    def shift(self, after, by_us):
        """Everything behind a message happens later."""
        at = self.messages.index(after)
        for message in self.messages[at + 1:]:
            message.time_us += by_us
        for stream in self.streams.values():
            if stream.close_us and stream.close_us > after.time_us:
                stream.close_us += by_us
            if stream.open_us > after.time_us:
                stream.open_us += by_us

    # ---- Writing -----------------------------------------------------------------------------------------------

    def bytes_of(self, message):
        if message.document is not None and message.document != message.original:
            return bytes.fromhex(self.tool("encode", message, json.dumps(message.document).encode()).decode())
        return struct.pack(">I", len(message.frame)) + message.frame

    def write(self, path):
        events = [(stream.open_us, 0, 0, "open", key) for key, stream in self.streams.items()]
        last_us = 0
        for index, message in enumerate(self.messages):
            last_us = max(last_us + 1, message.time_us)  # the order of the list is the order of the capture
            events.append((last_us, 1, index, "message", message))
        events += [(max(stream.close_us, 0), 2, 0, "close", key) for key, stream in self.streams.items()
                   if stream.close_us]
        sequences = {}
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101))

            def packet(time_us, key, from_client, flags, payload=b""):
                ports = key if from_client else key[::-1]
                mine, theirs = (key, from_client), (key, not from_client)
                tcp = struct.pack(">HHIIBBHHH", *ports, sequences.setdefault(mine, 1000),
                                  sequences.setdefault(theirs, 1000), 0x50, flags, 65535, 0, 0)
                ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0, b"\x7f\0\0\1",
                                 b"\x7f\0\0\1")
                data = ip + tcp + payload
                file.write(struct.pack("<IIII", time_us // 1000000, time_us % 1000000, len(data), len(data)) + data)
                sequences[mine] += len(payload) + (1 if flags & (SYN | FIN) else 0)

            for time_us, _, _, kind, what in sorted(events, key=lambda event: event[:3]):
                if kind == "open":
                    packet(time_us, what, True, SYN)
                    packet(time_us, what, False, SYN | ACK)
                elif kind == "close":
                    packet(time_us, what, True, FIN | ACK)
                else:
                    content = self.bytes_of(what) if not isinstance(what, bytes) else what
                    for at in range(0, len(content), 60000):
                        packet(time_us, what.stream, what.is_request, ACK, content[at:at + 60000])
