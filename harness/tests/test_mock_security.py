"""rejoin mock --users, --acls, --tls-cert over the wire: who gets in and how, what hostile peers cost, wrong files."""
import base64
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_wire import Closed, Connection, Scram  # noqa: E402

REJOIN = sys.argv[1]
TLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls")
SANITIZED = b"__asan_init" in open(REJOIN, "rb").read()
FOLDER = tempfile.mkdtemp()
USERS = """
# name password
alice alice-secret            # both mechanisms
bob   "bob's \\"secret\\""    mechanisms=PLAIN
carol carol-secret            mechanisms=SCRAM-SHA-256 iterations=8192 salt=c2FsdCBvZiBjYXJvbA==
"a,b=c" odd-secret
"""
VERSIONS = {"clientSoftwareName": "wire", "clientSoftwareVersion": "1"}


def write(name, text):
    path = os.path.join(FOLDER, name)
    with open(path, "w") as file:
        file.write(text)
    return path


class Mock:
    def __init__(self, *options):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([REJOIN, "mock", "--topic", "t:3", *options], stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def connect(self, tls=None):
        return Connection(REJOIN, self.port, tls=tls)

    def raw(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def maps(self):
        with open(f"/proc/{self.process.pid}/maps") as maps:
            return maps.read()

    def said(self):
        time.sleep(0.1)
        self.log.seek(0)
        return self.log.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0, "SIGTERM ends it with 0"


def secured(*options):
    return Mock("--users", write("users", USERS), *options)


def is_admitted(connection):
    return connection.ask("Metadata", 1, {"topics": [{"name": "t"}]})["topics"][0]["errorCode"] == 0


def credentials(mechanism):
    return f"Authentication failed during authentication due to invalid credentials with SASL mechanism {mechanism}"


# ---- Who gets in ---------------------------------------------------------------------------------------------------

def users_get_in_by_their_mechanisms():
    with secured() as mock:
        for name, password in (("alice", "alice-secret"), ("bob", 'bob\'s "secret"'), ("a,b=c", "odd-secret")):
            with mock.connect() as connection:
                answer = connection.authenticate_plain(name, password)
                assert answer["errorCode"] == 0 and answer["sessionLifetimeMs"] == 0, answer
                assert is_admitted(connection)
        for name, password in (("alice", "alice-secret"), ("carol", "carol-secret"), ("a,b=c", "odd-secret")):
            for version in (0, 1, 2):
                with mock.connect() as connection:
                    assert connection.authenticate_scram(name, password, version)["errorCode"] == 0
                    assert is_admitted(connection)
        with mock.connect() as connection:  # what was read from the file is what the client is told
            connection.handshake("SCRAM-SHA-256")
            first = base64.b64decode(connection.token(Scram("carol", "").first())["authBytes"])
            assert first.endswith(b",s=c2FsdCBvZiBjYXJvbA==,i=8192"), first


def others_do_not_get_in():
    wrong = "Authentication failed: Invalid username or password"
    differs = "Authentication failed: Client requested an authorization id that is different from username"
    with secured() as mock:
        for token, message in (
                (b"\0alice\0wrong", wrong), (b"\0nobody\0alice-secret", wrong), (b"\0carol\0carol-secret", wrong),
                (b"\0\0x", "Authentication failed: username not specified"),
                (b"\0alice\0", "Authentication failed: password not specified"),
                (b"bob\0alice\0alice-secret", differs),
                (b"", "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
                (b"alice\0alice-secret", "Invalid SASL/PLAIN response: expected 3 tokens, got 2"),
                (b"\0alice\0alice-secret\0x\0y", "Invalid SASL/PLAIN response: expected 3 tokens, got 4")):
            with mock.connect() as connection:
                connection.handshake("PLAIN")
                answer = connection.token(token)
                assert (answer["errorCode"], answer["errorMessage"]) == (58, message), (token, answer)
                assert connection.is_closed()
        for name, password in (("alice", "wrong"), ("nobody", "x"), ("bob", 'bob\'s "secret"')):
            with mock.connect() as connection:
                answer = connection.authenticate_scram(name, password)
                assert (answer["errorCode"], answer["errorMessage"]) == (58, credentials("SCRAM-SHA-256")), answer
                assert connection.is_closed()


def scram_is_checked_to_the_letter():
    with secured() as mock:
        def final(change):
            with mock.connect() as connection:
                connection.handshake("SCRAM-SHA-256")
                client = Scram("alice", "alice-secret")
                server_first = base64.b64decode(connection.token(client.first())["authBytes"])
                return connection.token(change(client, client.final(server_first), server_first))

        assert final(lambda client, right, first: right)["errorCode"] == 0
        for name, change in {
                "bad proof": lambda client, right, first: client.final(first, proof=b"\1" * 32),
                "short proof": lambda client, right, first: client.final(first, proof=b"\1" * 31),
                "long proof": lambda client, right, first: client.final(first, proof=b"\1" * 300),
                "no proof": lambda client, right, first: right[:right.index(b",p=")],
                "other nonce": lambda client, right, first: right.replace(b",r=", b",r=x", 1),
                "nonce twice": lambda client, right, first: right.replace(b",r=", b",r=fyko+d2lbbFgONRv9qkxdawL", 1),
                "the first again": lambda client, right, first: client.first(),
                "not base64": lambda client, right, first: right[:-1] + b"*",
                "NUL": lambda client, right, first: right + b"\0"}.items():
            answer = final(change)
            assert (answer["errorCode"], answer["errorMessage"]) == (58, credentials("SCRAM-SHA-256")), (name, answer)
        whole = Scram("alice", "alice-secret").first()
        for cut in range(len(whole) - 23):  # as soon as there is one character of a nonce, it is a message
            with mock.connect() as connection:
                connection.handshake("SCRAM-SHA-256")
                answer = connection.token(whole[:cut])
                assert answer["errorCode"] == (58 if cut < len(whole) - 23 else 0), (whole[:cut], answer)
        for first in (b"y,,n=alice,r=x", b"p=tls-unique,,n=alice,r=x", b"n,a=bob,n=alice,r=x", b"n,,n=al=ice,r=x",
                      b"n,,n=alice,r=", b"n,,n=,r=x", b"n,,n=alice,r=x,y", b"n,,n=alice,r=x\0", b"n,,n=\xc3\xa9,r=x"):
            with mock.connect() as connection:
                connection.handshake("SCRAM-SHA-256")
                assert connection.token(first)["errorCode"] == 58, first
        with mock.connect() as connection:  # what comes behind the nonce is signed too
            connection.handshake("SCRAM-SHA-256")
            client = Scram("alice", "alice-secret", extensions=",ext=1")
            answer = connection.token(client.first())
            assert connection.token(client.final(base64.b64decode(answer["authBytes"])))["errorCode"] == 0


def an_old_release_takes_a_longer_nonce():
    """Kafka before 4.0 looks at the end of the nonce only; librdkafka before 2.6.1 sends its own part twice."""
    for release, expected in (("3.9", 0), ("4.0", 58)):
        with secured("--kafka-version", release) as mock, mock.connect() as connection:
            connection.handshake("SCRAM-SHA-256")
            client = Scram("alice", "alice-secret")
            first = base64.b64decode(connection.token(client.first())["authBytes"])
            final = client.final(first, nonce_before=b"fyko+d2lbbFgONRv9qkxdawL")
            assert connection.token(final)["errorCode"] == expected, release


# ---- The order of things -------------------------------------------------------------------------------------------

def nothing_comes_before_authentication():
    with secured() as mock:
        for api, version, body in (("Metadata", 1, {"topics": []}), ("Heartbeat", 0, {"groupId": "g"}),
                                   ("SaslAuthenticate", 0, {"authBytes": ""})):
            with mock.connect() as connection:
                connection.send(api, version, body)
                assert connection.is_closed(), api
        with mock.connect() as connection:  # ApiVersions once, then only SaslHandshake
            assert connection.ask("ApiVersions", 3, VERSIONS)["errorCode"] == 0
            connection.send("ApiVersions", 3, VERSIONS)
            assert connection.is_closed()
        with mock.connect() as connection:  # one that is refused does not count
            assert connection.ask("ApiVersions", 3, {"clientSoftwareName": "-", "clientSoftwareVersion": "1"})[
                "errorCode"] == 42
            connection.send_frame(struct.pack(">hhih", 18, 99, 7, -1))
            assert connection.read_frame()[:6] == struct.pack(">ih", 7, 35)
            assert connection.ask("ApiVersions", 3, VERSIONS)["errorCode"] == 0
            assert connection.authenticate_plain("alice", "alice-secret")["errorCode"] == 0
        with mock.connect() as connection:
            answer = connection.handshake("GSSAPI")
            assert answer == {"errorCode": 33, "mechanisms": ["PLAIN", "SCRAM-SHA-256"]}, answer
            assert connection.is_closed()
        with mock.connect() as connection:  # between handshake and token others get an answer, then the end
            connection.handshake("PLAIN")
            assert connection.ask("Heartbeat", 0, {"groupId": "g"})["errorCode"] == 34
            assert connection.is_closed()
        assert "before the connection is authenticated" in mock.said()


def bare_tokens_follow_a_handshake_of_version_0():
    with secured() as mock:
        for token, is_right in ((b"\0alice\0alice-secret", True), (b"\0alice\0wrong", False)):
            with mock.connect() as connection:
                assert connection.handshake("PLAIN", version=0)["errorCode"] == 0
                connection.send_frame(token)
                if is_right:
                    assert connection.read_frame() == b"" and is_admitted(connection)
                else:
                    assert connection.is_closed()
        with mock.connect() as connection:
            connection.handshake("SCRAM-SHA-256", version=0)
            client = Scram("alice", "alice-secret")
            connection.send_frame(client.first())
            connection.send_frame(client.final(connection.read_frame()))
            client.check(connection.read_frame())
            assert is_admitted(connection)
    with secured("--kafka-version", "0.11") as mock, mock.connect() as connection:
        keys = [row["apiKey"] for row in connection.ask("ApiVersions", 0, {})["apiKeys"]]
        assert 17 in keys and 36 not in keys, keys


def whoever_is_in_stays_in():
    with secured() as mock, mock.connect() as connection:
        connection.authenticate_plain("alice", "alice-secret")
        answer = connection.token(b"\0alice\0alice-secret")
        assert (answer["errorCode"], answer["errorMessage"]) == (
            34, "SaslAuthenticate request received after successful authentication"), answer
        assert connection.handshake("PLAIN") == {"errorCode": 34, "mechanisms": []}
        assert is_admitted(connection)
    with Mock() as mock, mock.connect() as connection:  # nobody has to
        assert connection.handshake("PLAIN") == {"errorCode": 34, "mechanisms": []}
        assert is_admitted(connection)


def sessions_end():
    again = "Cannot change principals during re-authentication from User.alice: User.bob"
    with secured("--connections-max-reauth-ms", "1200") as mock:
        with mock.connect() as renewed, mock.connect() as forgotten, mock.connect() as changed, \
                mock.connect() as other, mock.connect() as wrong:
            for connection in (renewed, forgotten, changed, other, wrong):
                answer = connection.authenticate_plain("alice", "alice-secret")
                assert answer["sessionLifetimeMs"] == 1200, answer
            time.sleep(0.8)
            assert renewed.authenticate_plain("alice", "alice-secret")["errorCode"] == 0
            assert renewed.handshake("PLAIN")["errorCode"] == 34, "again within a second"
            answer = changed.authenticate_plain("bob", 'bob\'s "secret"')
            assert (answer["errorCode"], answer["errorMessage"]) == (58, again), answer
            assert changed.is_closed()
            assert other.handshake("SCRAM-SHA-256")["errorCode"] == 0
            other.send("SaslAuthenticate", 0, {"authBytes": ""})
            assert other.is_closed(), "another mechanism than before"
            assert wrong.authenticate_plain("alice", "x")["errorCode"] == 58 and wrong.is_closed()
            time.sleep(0.8)
            assert is_admitted(renewed)
            forgotten.send("Metadata", 1, {"topics": []})
            assert forgotten.is_closed()
        assert "its session has expired" in mock.said()


# ---- TLS -----------------------------------------------------------------------------------------------------------

def client_context(version=None):
    context = ssl.create_default_context(cafile=os.path.join(TLS, "cert.pem"))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def encrypted(*options):
    return Mock("--tls-cert", os.path.join(TLS, "cert.pem"), "--tls-key", os.path.join(TLS, "key.pem"), *options)


def tls_carries_what_a_plain_connection_does():
    with encrypted("--users", write("users", USERS)) as mock:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with mock.connect(tls=client_context(version)) as connection:
                assert connection.authenticate_scram("alice", "alice-secret")["errorCode"] == 0
                assert is_admitted(connection)
                for _ in range(3):  # many frames in few records, records in pieces
                    for _ in range(200):
                        connection.send("Metadata", 1, {"topics": None})
                    for _ in range(200):
                        assert connection.receive("Metadata", 1)["topics"][0]["name"] == "t"
                connection.socket.unwrap()
        context = client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            mock.connect(tls=context)
            raise AssertionError("TLS 1.1 was taken")
        except (ssl.SSLError, ConnectionError):
            pass


def garbage_ends_its_connection_only():
    with encrypted() as mock:
        with mock.connect(tls=client_context()) as healthy:
            for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70000), bytes(5),
                            b"\xff" * 100000, b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
                            b"\x15\x03\x01\x00\x02\x02\x28"):
                with mock.raw() as hostile:
                    try:
                        hostile.sendall(garbage)
                        hostile.shutdown(socket.SHUT_WR)
                        while hostile.recv(4096):
                            pass
                    except TimeoutError:
                        raise
                    except OSError:  # closed already, which a busy machine may notice as late as the shutdown
                        pass
                assert is_admitted(healthy)
            with mock.connect(tls=client_context()) as hostile:  # after the handshake
                sock = hostile.socket
                raw = socket.socket(fileno=os.dup(sock.fileno()))
                raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
                try:
                    sock.recv(1)
                    raise AssertionError("a record that is not sealed was taken")
                except ssl.SSLError:
                    pass
            assert is_admitted(healthy)
        assert "TLS handshake failed" in mock.said() and "TLS failed" in mock.said()


def half_open_handshakes_cost_little():
    hello = client_hello()
    with encrypted() as mock:
        with mock.connect(tls=client_context()) as healthy:
            before = mock.resident_kb()
            peers = []
            for i in range(200):
                peer = mock.raw()
                peer.sendall(hello[:len(hello) - 1] if i % 2 else hello)  # a part of it, or nothing behind it
                peers.append(peer)
            assert is_admitted(healthy)
            time.sleep(0.2)
            cost = (mock.resident_kb() - before) / len(peers)
            limit = 400 if SANITIZED else 100
            assert cost < limit, f"{cost:.0f} KB each"
            for peer in peers:
                peer.close()
        with mock.raw() as endless:  # a message of many records, none of which is the last
            record = b"\x16\x03\x01\x04\x00" + b"\x01\x01\x00\x00" + bytes(1020)
            fragment = b"\x16\x03\x01\x04\x00" + bytes(1024)
            try:
                endless.sendall(record + fragment * 60)
                while endless.recv(4096):
                    pass
            except ConnectionError:
                pass
        assert is_admitted(mock.connect(tls=client_context()))


def client_hello():
    """The first bytes that Python's TLS sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def renegotiation_is_refused():
    if shutil.which("openssl") is None:
        return print("  (not tried: there is no openssl command)")
    with encrypted() as mock:
        done = subprocess.run(["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{mock.port}"], input="R\nQ\n",
                              capture_output=True, text=True, timeout=20)
        assert "no renegotiation" in done.stderr, done.stderr
        assert is_admitted(mock.connect(tls=client_context()))
        return None


# ---- Hostile peers -------------------------------------------------------------------------------------------------

def tokens_are_bounded():
    with secured() as mock:
        for length in (524289, 2 ** 31 - 1):  # more than sasl.server.max.receive.size
            with mock.connect() as connection:
                connection.socket.sendall(struct.pack(">i", length))
                assert connection.is_closed()
        with mock.connect() as connection:  # the limit goes with the authentication
            connection.authenticate_plain("alice", "alice-secret")
            connection.socket.sendall(struct.pack(">i", 600000) + bytes(10))
            connection.socket.settimeout(0.3)
            try:
                connection.socket.recv(1)
                raise AssertionError("it was closed")
            except socket.timeout:
                pass
        before = mock.resident_kb()
        for mechanism, token in (("PLAIN", b"\0" + b"x" * 500000), ("PLAIN", b"\0" * 500000),
                                 ("SCRAM-SHA-256", b"n,,n=alice,r=" + b"x" * 500000),
                                 ("SCRAM-SHA-256", b"n,,n=" + b"=2C" * 150000 + b",r=x")):
            for _ in range(5):
                with mock.connect() as connection:
                    connection.handshake(mechanism)
                    assert connection.token(token)["errorCode"] == 58
        waiting = []
        for _ in range(100):  # in the middle of an exchange
            connection = mock.connect()
            connection.handshake("SCRAM-SHA-256")
            assert connection.token(Scram("alice", "", nonce="x" * 15000).first())["errorCode"] == 0
            waiting.append(connection)
        growth = mock.resident_kb() - before
        assert growth < (40000 if SANITIZED else 8000), f"{growth} KB for 100 connections and 20 that were refused"
        with mock.connect() as connection:
            assert connection.authenticate_scram("alice", "alice-secret")["errorCode"] == 0


# ---- Rights and files ----------------------------------------------------------------------------------------------

def rights_come_from_a_file():
    acls = write("acls", "super User:alice\nallow User:bob * Read,Write Topic t # and no more\n"
                         "deny User:bob 127.0.0.1 Write Topic prefixed t\n")
    with secured("--acls", acls) as mock:
        with mock.connect() as alice, mock.connect() as bob:
            alice.authenticate_plain("alice", "alice-secret")
            bob.authenticate_plain("bob", 'bob\'s "secret"')
            asked = {"topics": [{"name": "t"}], "includeTopicAuthorizedOperations": True}
            for connection, operations in ((alice, 0b110111111000), (bob, 0b100001000)):
                topic = connection.ask("Metadata", 9, asked)["topics"][0]
                assert topic["topicAuthorizedOperations"] == operations, topic
            assert bob.ask("Heartbeat", 4, {"groupId": "g"})["errorCode"] == 30
            assert alice.ask("Heartbeat", 4, {"groupId": "g"})["errorCode"] == 25
    with Mock("--acls", write("acls", "allow User:ANONYMOUS * Read Group g\n")) as mock, mock.connect() as connection:
        assert connection.ask("Heartbeat", 4, {"groupId": "g"})["errorCode"] == 25
        assert connection.ask("Heartbeat", 4, {"groupId": "h"})["errorCode"] == 30


def wrong_files_leave_with_3():
    def refusal(option, text, *more):
        path = write("wrong", text)
        done = subprocess.run([REJOIN, "mock", option, path, *more], capture_output=True, text=True, timeout=20)
        assert done.returncode == 3, (text, done)
        return done.stderr.replace(path, "FILE")

    for text, expected in (
            ("", "FILE:1:1: expected at least one user"), ("alice", "FILE:1:7: expected a password"),
            ("\nalice x\nalice y", "FILE:3:1: expected each name once"),
            ('a "b', "FILE:1:3: expected a closing quote"),
            ("alice x mechanisms=GSSAPI", "FILE:1:9: expected mechanisms="),
            ("alice x iterations=12", "FILE:1:9: expected iterations= with a number from 4096 to 16384"),
            ("alice x salt=*", "FILE:1:9: expected salt="), ("alice x y", "FILE:1:9: expected mechanisms=")):
        assert expected in refusal("--users", text), (text, refusal("--users", text))
    for text, expected in (
            ("permit User:a * Read Topic t", "FILE:1:1: expected allow, deny or super, found permit"),
            ("allow alice * Read Topic t", "FILE:1:7: expected a principal: User:NAME or User:*, found alice"),
            ("allow User:a localhost Read Topic t", "FILE:1:14: expected a host: a numeric address or *"),
            ("allow User:a * Reed Topic t", "FILE:1:16: expected operations such as Read,Describe, found 'Reed'"),
            ("allow User:a * Read,Create Group g", "FILE:1:16: expected an operation that Kafka has"),
            ("allow User:a * Read Table t", "FILE:1:21: expected Topic, Group, TransactionalId or Cluster"),
            ("\n# x\nallow User:a * Read Topic", "FILE:3:27: expected a name"),
            ("allow User:a * Read Topic suffixed t", "FILE:1:27: expected a name, or literal or prefixed before it"),
            ("allow User:a * Describe Cluster c", "FILE:1:33: expected nothing behind Cluster"),
            ("super User:a b", "FILE:1:14: expected nothing behind the principal")):
        assert expected in refusal("--acls", text), (text, refusal("--acls", text))
    key = os.path.join(TLS, "key.pem")
    assert "TLS needs both a certificate and its private key" in refusal("--tls-cert", "")
    assert "FILE: expected a certificate as PEM" in refusal("--tls-cert", "x", "--tls-key", key)
    certificate = os.path.join(TLS, "cert.pem")
    assert "FILE: expected a private key as PEM" in refusal("--tls-key", "x", "--tls-cert", certificate)
    done = subprocess.run([REJOIN, "mock", "--users", "/nowhere"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 3 and "/nowhere: No such file" in done.stderr, done


def openssl_is_loaded_only_when_it_is_needed():
    if not SANITIZED:
        with Mock() as mock:
            assert "libcrypto" not in mock.maps() and "libssl" not in mock.maps()
        with secured() as mock:
            assert "libcrypto" in mock.maps() and "libssl" not in mock.maps()


TESTS = (users_get_in_by_their_mechanisms, others_do_not_get_in, scram_is_checked_to_the_letter,
         an_old_release_takes_a_longer_nonce, nothing_comes_before_authentication,
         bare_tokens_follow_a_handshake_of_version_0, whoever_is_in_stays_in, sessions_end,
         tls_carries_what_a_plain_connection_does, garbage_ends_its_connection_only, half_open_handshakes_cost_little,
         renegotiation_is_refused, tokens_are_bounded, rights_come_from_a_file, wrong_files_leave_with_3,
         openssl_is_loaded_only_when_it_is_needed)


def main():
    chosen = [test for test in TESTS if not sys.argv[2:] or test.__name__ in sys.argv[2:]]
    try:
        for test in chosen:
            began = time.monotonic()
            try:
                test()
            except Closed as error:
                raise AssertionError("the mock closed the connection") from error
            print(f"{test.__name__.replace('_', ' ')}: {time.monotonic() - began:.1f} s")
    finally:
        shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
