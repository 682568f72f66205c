"""Kafka's bytes by hand, for tests that send and read them themselves: strings, frames, record batches."""
import struct


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">h", len(data)) + data


def frame(api_key, version, correlation_id, body, client_id="raw"):
    """A request with header version 1 and its length."""
    rest = struct.pack(">hhi", api_key, version, correlation_id) + string(client_id) + body
    return struct.pack(">i", len(rest)) + rest


def read_exactly(connection, length):
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data


def read_frame(connection):
    """Correlation id and what is behind it."""
    return read_exactly(connection, struct.unpack(">i", read_exactly(connection, 4))[0])


def varint(data, at):
    """The signed number there, and where the next field begins."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at


def nullable_bytes(data, at):
    """Of a record: its key or its value."""
    length, at = varint(data, at)
    return (None, at) if length < 0 else (data[at:at + length], at + length)


def records_of(data):
    """(offset, key, value) of every record of these batches, which are whole, not compressed, and without headers."""
    while data:
        base, length = struct.unpack(">qi", data[:12])
        count = struct.unpack(">i", data[57:61])[0]
        last_delta = struct.unpack(">i", data[23:27])[0]
        at, delta = 61, -1
        for _ in range(count):
            _, at = varint(data, at)
            _, at = varint(data, at + 1)
            delta, at = varint(data, at)
            key, at = nullable_bytes(data, at)
            value, at = nullable_bytes(data, at)
            assert varint(data, at)[0] == 0
            at += 1
            yield base + delta, key, value
        assert at == 12 + length and delta == last_delta
        data = data[at:]
