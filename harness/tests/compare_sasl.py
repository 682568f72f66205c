"""The mock beside a broker: what each answers, and when it closes, while a connection authenticates well or badly.

usage: compare_sasl.py REJOIN BROKER_PORT RELEASE

The broker has the users that compare_rights.py writes and connections.max.reauth.ms=3600000.
"""
import base64
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare_rights import PASSWORDS, user_lines  # noqa: E402
from kafka_wire import Closed, Connection, Scram  # noqa: E402

VERSIONS = {"clientSoftwareName": "wire", "clientSoftwareVersion": "1"}
RIGHT = b"\0alice\0" + PASSWORDS["alice"].encode()


def ask(api, version, body):
    return lambda connection, _: connection.ask(api, version, body)


def handshake(mechanism, version=1):
    return ask("SaslHandshake", version, {"mechanism": mechanism})


def token(text, version=2):
    return ask("SaslAuthenticate", version, {"authBytes": base64.b64encode(text).decode()})


def bare(text):
    def step(connection, _):
        connection.send_frame(text)
        return connection.read_frame().hex()
    return step


def raw(payload):
    def step(connection, _):
        connection.send_frame(payload)
        return connection.read_frame()[:6].hex()
    return step


def scram_first(client, change=lambda message: message):
    def step(connection, state):
        answer = connection.token(change(client.first()))
        state["first"] = base64.b64decode(answer["authBytes"])
        return answer["errorCode"], answer["errorMessage"], bool(state["first"])
    return step


def scram_final(client, change=lambda message: message):
    def step(connection, state):
        answer = connection.token(change(client.final(state["first"])))
        return answer["errorCode"], answer["errorMessage"], bool(answer["authBytes"])
    return step


def alice():
    return Scram("alice", PASSWORDS["alice"])


def longer(client):
    """The whole exchange with a nonce that only ends as it should."""
    def step(connection, state):
        return connection.token(client.final(state["first"], nonce_before=b"x" * 24))["errorCode"]
    return step


METADATA = ask("Metadata", 1, {"topics": []})
HEARTBEAT = ask("Heartbeat", 0, {"groupId": "g"})
API_VERSIONS = ask("ApiVersions", 3, VERSIONS)


def sequences():
    yield "plain", [API_VERSIONS, handshake("PLAIN"), token(RIGHT), METADATA]
    yield "without ApiVersions", [handshake("PLAIN"), token(RIGHT), METADATA]
    for version in (0, 1, 2):
        yield f"SaslAuthenticate v{version}", [handshake("PLAIN"), token(RIGHT, version), METADATA]
    for name, text in (("wrong password", b"\0alice\0x"), ("nobody", b"\0nobody\0x"), ("no name", b"\0\0x"),
                       ("no password", b"\0alice\0"), ("one part", b"x"), ("two parts", b"x\0y"), ("empty", b""),
                       ("four parts", b"a\0b\0c\0d"), ("five parts", b"a\0b\0c\0d\0e"), ("another id", b"bob" + RIGHT),
                       ("the same id", b"alice" + RIGHT)):
        yield "plain, " + name, [handshake("PLAIN"), token(text), METADATA]
    for name in ("GSSAPI", "plain", "", "SCRAM-SHA-512"):
        yield "mechanism " + name, [handshake(name), handshake("PLAIN")]
    yield "metadata first", [METADATA]
    yield "token first", [token(RIGHT)]
    yield "ApiVersions twice", [API_VERSIONS, API_VERSIONS]
    yield "ApiVersions of the future", [raw(struct.pack(">hhihb", 18, 99, 7, -1, 0)), API_VERSIONS, handshake("PLAIN")]
    yield "ApiVersions with a wrong name", [
        ask("ApiVersions", 3, {"clientSoftwareName": "-", "clientSoftwareVersion": "1"}), API_VERSIONS]
    yield "ApiVersions behind the handshake", [handshake("PLAIN"), API_VERSIONS]
    yield "heartbeat behind the handshake", [handshake("PLAIN"), HEARTBEAT]
    yield "handshake twice", [handshake("PLAIN"), handshake("PLAIN")]
    yield "token after all", [handshake("PLAIN"), token(RIGHT), token(RIGHT), METADATA]
    yield "again", [handshake("PLAIN"), token(RIGHT), handshake("PLAIN"), token(RIGHT), METADATA]
    yield "again, and soon again", [handshake("PLAIN"), token(RIGHT), handshake("PLAIN"), token(RIGHT),
                                    handshake("PLAIN"), METADATA]
    yield "again as another", [handshake("PLAIN"), token(RIGHT), handshake("PLAIN"),
                               token(b"\0admin\0" + PASSWORDS["admin"].encode())]
    yield "again by another mechanism", [handshake("PLAIN"), token(RIGHT), handshake("SCRAM-SHA-256"), token(b"")]
    yield "again, wrong", [handshake("PLAIN"), token(RIGHT), handshake("PLAIN"), token(b"\0alice\0x")]
    yield "again, something else", [handshake("PLAIN"), token(RIGHT), handshake("PLAIN"), METADATA]
    yield "bare plain", [handshake("PLAIN", 0), bare(RIGHT), METADATA]
    yield "bare plain, wrong", [handshake("PLAIN", 0), bare(b"\0alice\0x")]
    yield "bare plain, in a request", [handshake("PLAIN", 0), token(RIGHT)]
    yield "scram", [handshake("SCRAM-SHA-256"), scram_first(client := alice()), scram_final(client), METADATA]
    yield "scram, nobody", [handshake("SCRAM-SHA-256"), scram_first(Scram("nobody", "x"))]
    for name, change in {"bad proof": lambda final: final[:-8] + b"AAAAAAA=", "cut": lambda final: final[:-1],
                         "other nonce": lambda final: final.replace(b",r=", b",r=x"), "empty": lambda final: b"",
                         "extended": lambda final: final.replace(b",p=", b",ext=1,p="),
                         "no proof": lambda final: final[:final.index(b",p=")]}.items():
        client = alice()
        yield "scram, " + name, [handshake("SCRAM-SHA-256"), scram_first(client), scram_final(client, change)]
    for name, change in {"channel binding": lambda first: b"y" + first[1:], "id": lambda first: b"n,a=bob," + first[3:],
                         "own id": lambda first: b"n,a=alice," + first[3:], "m=": lambda first: b"n,,m=x," + first[3:],
                         "cut": lambda first: first[:10], "NUL": lambda first: first + b"\0",
                         "not ASCII": lambda first: first.replace(b"alice", b"\xc3\xa9")}.items():
        yield "scram, first with " + name, [handshake("SCRAM-SHA-256"), scram_first(alice(), change)]
    yield "scram, longer nonce", [handshake("SCRAM-SHA-256"), scram_first(client := alice()), longer(client)]


def perform(rejoin, port, steps):
    """What came of each step; METADATA and versions only as the fact that they came."""
    seen, state = [], {}
    with Connection(rejoin, port) as connection:
        for step in steps:
            try:
                answer = step(connection, state)
            except Closed:
                seen.append("closed")
                break
            if isinstance(answer, dict):
                answer = {key: answer[key] for key in ("errorCode", "errorMessage", "mechanisms", "authBytes",
                                                       "sessionLifetimeMs") if key in answer}
            seen.append(answer)
    return seen


def main():
    rejoin, port, release = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with tempfile.NamedTemporaryFile("w") as users:
        users.write(user_lines())
        users.flush()
        process = subprocess.Popen([rejoin, "mock", "--users", users.name, "--connections-max-reauth-ms", "3600000",
                                    "--kafka-version", ".".join(release.split(".")[:2])],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            mock_port = int(process.stdout.readline().rsplit(":", 1)[1])
            count = different = 0
            for (name, mine), (_, theirs) in zip(sequences(), sequences()):
                answers = [perform(rejoin, mock_port, mine), perform(rejoin, port, theirs)]
                count += 1
                if answers[0] != answers[1]:
                    different += 1
                    print(f"DIFFERENT {name}\n    mock   {answers[0]}\n    broker {answers[1]}")
        finally:
            process.terminate()
            assert process.wait() == 0
    print(f"{count} courses of an authentication compared with Kafka {release}, {different} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
