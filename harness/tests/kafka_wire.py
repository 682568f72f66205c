"""A Kafka connection for tests: requests and responses as JSON, by `rejoin encode` and `rejoin decode`, and SASL."""
import base64
import functools
import hashlib
import hmac
import json
import socket
import struct
import subprocess


class Closed(Exception):
    """The server closed the connection."""


class Connection:
    def __init__(self, rejoin, port, host="127.0.0.1", tls=None):
        self.rejoin = rejoin
        self.socket = socket.create_connection((host, port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send_frame(self, payload):
        self.socket.sendall(struct.pack(">i", len(payload)) + payload)

    def read_exactly(self, length):
        data = b""
        while len(data) < length:
            try:
                piece = self.socket.recv(length - len(data))
            except ConnectionError as error:
                raise Closed from error
            if not piece:
                raise Closed
            data += piece
        return data

    def read_frame(self):
        return self.read_exactly(struct.unpack(">i", self.read_exactly(4))[0])

    def is_closed(self):
        """The server ends the connection without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def send(self, api, version, body):
        header = {"requestApiKey": API_KEYS[api], "requestApiVersion": version, "correlationId": CORRELATION_ID,
                  "clientId": "wire"}
        self.socket.sendall(encode(self.rejoin, json.dumps({"header": header, "body": body})))

    def receive(self, api, version):
        frame = json.loads(decode(self.rejoin, API_KEYS[api], version, self.read_frame()))
        assert frame["header"]["correlationId"] == CORRELATION_ID, frame
        return frame["body"]

    def ask(self, api, version, body):
        self.send(api, version, body)
        return self.receive(api, version)

    # ---- SASL --------------------------------------------------------------------------------------------------

    def handshake(self, mechanism, version=1):
        return self.ask("SaslHandshake", version, {"mechanism": mechanism})

    def token(self, token, version=2):
        """What the server answers to a token in SaslAuthenticate."""
        return self.ask("SaslAuthenticate", version, {"authBytes": base64.b64encode(token).decode()})

    def authenticate_plain(self, name, password):
        assert self.handshake("PLAIN")["errorCode"] == 0
        return self.token(b"\0" + name.encode() + b"\0" + password.encode())

    def authenticate_scram(self, name, password, version=2):
        assert self.handshake("SCRAM-SHA-256")["errorCode"] == 0
        client = Scram(name, password)
        answer = self.token(client.first(), version)
        if answer["errorCode"] != 0:
            return answer
        answer = self.token(client.final(base64.b64decode(answer["authBytes"])), version)
        if answer["errorCode"] == 0:
            client.check(base64.b64decode(answer["authBytes"]))
        return answer


class Scram:
    """A client's side of SCRAM-SHA-256, by Python's own library."""

    def __init__(self, name, password, nonce="fyko+d2lbbFgONRv9qkxdawL", extensions=""):
        escaped = name.replace("=", "=3D").replace(",", "=2C")
        self.password = password
        self.bare = f"n={escaped},r={nonce}{extensions}".encode()

    def first(self):
        return b"n,," + self.bare

    def final(self, server_first, proof=None, nonce_before=b""):
        self.fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(self.fields[b"s"]),
                                     int(self.fields[b"i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=biws,r=" + nonce_before + self.fields[b"r"]
        signed = self.bare + b"," + server_first + b"," + without_proof
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        self.expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        if proof is None:
            proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return without_proof + b",p=" + base64.b64encode(proof)

    def check(self, server_final):
        assert server_final == b"v=" + base64.b64encode(self.expected), server_final


CORRELATION_ID = 7  # of every request, so that equal messages have equal bytes


@functools.lru_cache(maxsize=None)
def encode(rejoin, text):
    return run([rejoin, "encode", "--frame", "--binary"], text.encode())


@functools.lru_cache(maxsize=None)
def decode(rejoin, api_key, version, frame):
    return run([rejoin, "decode", "--frame", "--kind", "response", "--api", str(api_key), "--version", str(version),
                "--binary"], struct.pack(">i", len(frame)) + frame)


def run(command, data):
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, (command, done.stderr.decode())
    return done.stdout


API_KEYS = {
    "Produce": 0, "Fetch": 1, "ListOffsets": 2, "Metadata": 3, "OffsetCommit": 8, "OffsetFetch": 9,
    "FindCoordinator": 10, "JoinGroup": 11, "Heartbeat": 12, "LeaveGroup": 13, "SyncGroup": 14, "DescribeGroups": 15,
    "ListGroups": 16, "SaslHandshake": 17, "ApiVersions": 18, "CreateTopics": 19, "DeleteTopics": 20,
    "InitProducerId": 22, "OffsetForLeaderEpoch": 23, "AddPartitionsToTxn": 24, "AddOffsetsToTxn": 25, "EndTxn": 26,
    "WriteTxnMarkers": 27, "TxnOffsetCommit": 28, "CreateAcls": 30, "DescribeConfigs": 32, "AlterConfigs": 33,
    "SaslAuthenticate": 36, "CreatePartitions": 37, "DeleteGroups": 42, "IncrementalAlterConfigs": 44, "OffsetDelete": 47,
    "DescribeCluster": 60, "ListConfigResources": 74, "DescribeTopicPartitions": 75,
}
