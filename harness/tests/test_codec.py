"""rejoin decode and rejoin encode: what they print, refuse, and leave with."""
import base64
import gzip
import json
import struct
import subprocess
import sys
import tempfile
import zlib

from expectations import check, leave

REJOIN = sys.argv[1]


def run(command, text, *options):
    data = text if isinstance(text, bytes) else text.encode()
    return subprocess.run([REJOIN, command, *options], input=data, capture_output=True, timeout=60)


def decode(text, *options, status=0):
    done = run("decode", text, *options)
    check(f"decode {options} exit", done.returncode, status)
    return json.loads(done.stdout)


def test_messages():
    heartbeat = {"groupId": "g", "generationId": 7, "memberId": "m", "groupInstanceId": None}
    options = ["--api", "heartbeat", "--version", "4"]
    check("heartbeat", decode("0267 0x00000007\n026d0000", *options), heartbeat)
    check("binary", decode(bytes.fromhex("026700000007026d0000"), "--binary", *options), heartbeat)
    check("encode", run("encode", json.dumps(heartbeat), *options).stdout, b"026700000007026d0000\n")
    check("encode binary", run("encode", json.dumps(heartbeat), "--binary", *options).stdout.hex(), "026700000007026d0000")
    check("response", decode("00000000 0010", "--api", "12", "--version", "1", "--kind", "response"),
          {"throttleTimeMs": 0, "errorCode": 16})


def test_faults():
    done = run("decode", "026700", "--api", "12", "--version", "4")
    check("exit", done.returncode, 1)
    check("stderr", done.stderr.decode(), "rejoin decode: HeartbeatRequest v4: generationId at byte 2: the bytes end "
          "before the field does: found bytes left: 1, expected at least 4 bytes\n")
    seen = json.loads(done.stdout)
    check("read so far", seen["groupId"], "g")
    check("fault", (seen["fault"]["err"], seen["fault"]["offset"], seen["fault"]["field"]),
          ("RJ_ERR_SHORT", 2, "generationId"))
    check("nothing", decode("", "--api", "12", "--version", "4", status=1)["fault"]["offset"], 0)
    for frame in ("", "000c", "7fff000400000005", "000c00ff00000005"):
        check("frame " + frame, "fault" in decode(frame, "--frame", status=1), True)
    check("cut records", decode("00" * 20, "--type", "record-batch", status=1)["fault"]["field"], "batchLength")


def test_frames():
    frame = "00000016000c00040000000500026d6500026700000000010000"
    seen = decode(frame, "--frame")
    check("frame", (seen["header"]["clientId"], seen["body"]["groupId"]), ("me", "g"))
    check("frame without length", decode(frame[8:], "--frame"), seen)
    check("encode frame", run("encode", json.dumps(seen), "--frame").stdout.decode().strip(), frame)
    response = "0000000c 00000005 00 00000000 0000 00"
    seen = decode(response, "--frame", "--kind", "response", "--api", "12", "--version", "4")
    check("response frame", seen, {"header": {"correlationId": 5}, "body": {"throttleTimeMs": 0, "errorCode": 0}})


def frame_case(frame, *options):
    """Exit code, the JSON document, and what is said on stderr."""
    done = run("decode", frame, "--frame", *options)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr.decode()


def test_length_of_a_frame():
    """The way that decodes is taken; where both do or none does, that is said; --length says it itself."""
    frame = "00000016000c00040000000500026d6500026700000000010000"
    whole = {"header": {"requestApiKey": 12, "requestApiVersion": 4, "correlationId": 5, "clientId": "me"},
             "body": {"groupId": "g", "generationId": 0, "memberId": "", "groupInstanceId": None}}
    # The length is there but not right: the frame was cut off, or another one follows.
    code, seen, said = frame_case(frame[:-12])
    check("cut", (code, seen["header"], seen["fault"]["field"], seen["fault"]["offset"]),
          (1, whole["header"], "generationId", 15))
    check("cut is told", "length at the frame's start says 22 bytes, and 16 follow" in said, True)
    code, seen, said = frame_case(frame + "00000016")
    check("more", (code, seen["body"], seen["fault"]["err"], seen["fault"]["offset"]),
          (1, whole["body"], "RJ_ERR_TRAILING", 22))
    check("more is told", "at byte 22: " in said and "found 26 bytes, expected the 22 bytes that the length says" in said,
          True)
    check("explicit", (frame_case(frame, "--length", "with"), frame_case(frame[8:], "--length", "without")),
          ((0, whole, ""), (0, whole, "")))
    check("explicit but wrong", frame_case(frame, "--length", "without")[1]["fault"]["field"], "requestApiVersion")
    check("explicit but missing", frame_case("00", "--length", "with")[1]["fault"]["field"], "length")
    # The first four bytes of a response may be its length and its correlation id: 17 bytes that decode both ways.
    response = ["--kind", "response", "--api", "10", "--version", "0"]
    both = "00000011 00000007 0000 00050000 0001 61 00002384"
    code, seen, said = frame_case(both, *response)
    check("both", (code, seen, "at byte 0" in said and "--length without" in said), (3, None, True))
    check("both, with", frame_case(both, "--length", "with", *response)[:2],
          (0, {"header": {"correlationId": 7}, "body": {"errorCode": 0, "nodeId": 327680, "host": "a", "port": 9092}}))
    check("both, without", frame_case(both, "--length", "without", *response)[1]["header"], {"correlationId": 17})
    # A correlation id that is by chance the length of what follows: only one way decodes.
    response = ["--kind", "response", "--api", "12", "--version", "1"]
    check("by chance", frame_case("00000006 00000000 0010", *response),
          (0, {"header": {"correlationId": 6}, "body": {"throttleTimeMs": 0, "errorCode": 16}}, ""))
    # Neither: both faults with their offsets.
    code, seen, said = frame_case("0000000a 00000005 00000000 00", *response)
    check("neither", (code, seen["header"]["correlationId"]), (1, 10))
    check("neither is told", "at byte 10: bytes are left over" in said and "with --length with:" in said
          and "errorCode at byte 8: " in said and "says 10 bytes, and 9 follow" in said, True)
    check("encode without", run("encode", json.dumps(whole), "--frame", "--length", "without").stdout.decode().strip(),
          frame[8:])
    for command in ("decode", "encode"):
        for options in (["--frame", "--length", "both"], ["--api", "12", "--version", "4", "--length", "with"]):
            check(f"{command} {options}", run(command, "00", *options).returncode, 3)


def test_types():
    for kind, bytes_in, expected in (
            ("consumer-subscription", "0001 00000001 0001 74 ffffffff 00000001 0001 74 00000001 00000002",
             {"version": 1, "data": {"topics": ["t"], "userData": None,
                                     "ownedPartitions": [{"topic": "t", "partitions": [2]}]}}),
            ("consumer-assignment", "0000 00000001 0001 74 00000001 00000002 00000001 aa",
             {"version": 0, "data": {"assignedPartitions": [{"topic": "t", "partitions": [2]}], "userData": "qg=="}}),
            ("sticky-userdata", "00000001 0001 74 00000001 00000002 00000009",
             {"form": "StickyAssignorUserData", "version": 1,
              "data": {"previousAssignment": [{"topic": "t", "partitions": [2]}], "generation": 9}}),
            ("offsets-key", "0001 0001 67 0001 74 00000003",
             {"type": 1, "data": {"group": "g", "topic": "t", "partition": 3}})):
        seen = decode(bytes_in, "--type", kind)
        check(kind, seen, expected)
        check(kind + " back", run("encode", json.dumps(seen), "--type", kind).stdout.decode().strip(),
              bytes_in.replace(" ", ""))
    value = "0003 0000000000000005 ffffffff 0001 6d 0000000000000007"
    seen = decode(value, "--type", "offsets-value", "--record-type", "1")
    check("offsets-value", seen, {"version": 3, "data": {"offset": 5, "leaderEpoch": -1, "metadata": "m", "commitTimestamp": 7}})
    newer = decode("0063 00000000 ffffffff 00000000 ffffffff ffff", "--type", "consumer-subscription")
    check("newer subscription", (newer["version"], newer["data"]["rackId"]), (99, None))


def message(offset, value, attributes=0):
    body = struct.pack(">bbi", 0, attributes, -1) + struct.pack(">i", len(value)) + value
    return struct.pack(">qiI", offset, len(body) + 4, zlib.crc32(body)) + body


def test_records():
    inner = message(3, b"one") + message(4, b"two")
    seen = decode(message(4, gzip.compress(inner), 1), "--binary", "--type", "record-batch")["batches"]
    check("compression", seen[0]["compression"], "gzip")
    check("inner offsets", [(r["offset"], base64.b64decode(r["value"])) for r in seen[0]["records"]],
          [(3, b"one"), (4, b"two")])
    broken = decode(message(4, gzip.compress(inner)[:-9], 1), "--binary", "--type", "record-batch", status=1)
    check("broken gzip", broken["fault"]["found"], "the gzip stream ends early")


def test_usage():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"02\n  6x")
        file.flush()
        done = run("decode", "", "--api", "12", "--version", "4", file.name)
        check("line and column", (done.returncode, done.stderr.decode()),
              (3, f"rejoin decode: {file.name}:2:4: expected hexadecimal digits (or give --binary)\n"))
    for options in ([], ["--api", "12"], ["--api", "9999", "--version", "0"], ["--api", "NoSuch", "--version", "0"],
                    ["--api", "12", "--version", "99"], ["--kind", "both"], ["--type", "x"], ["--nonsense"],
                    ["--type", "offsets-value"], ["--api", "12", "--version", "4", "/no/such/file"],
                    ["--api", "12", "--version", "4", "a", "b"]):
        for command in ("decode", "encode"):
            done = run(command, "00", *options)
            check(f"{command} {options}", (done.returncode, done.stdout, bool(done.stderr)), (3, b"", True))
    for command in ("decode", "encode"):
        done = run(command, "", "--help")
        check("help", (done.returncode, b"--record-type" in done.stdout), (0, True))
    done = run("encode", '{"groupId":1}', "--api", "12", "--version", "4")
    check("encode refuses", (done.returncode, done.stdout), (1, b""))


for test in (test_messages, test_faults, test_frames, test_length_of_a_frame, test_types, test_records, test_usage):
    test()
leave()
