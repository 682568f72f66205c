"""Odd encodings that are accepted are told by rejoin decode, each by its rule and where; what is usual is not."""
import json
import re
import subprocess
import sys

import odd_encodings
from expectations import check, leave

REJOIN = sys.argv[1]


def decode(hexadecimal, *options):
    done = subprocess.run([REJOIN, "decode", *options], input=hexadecimal.encode(), capture_output=True, timeout=60)
    told = re.findall(r"decode: [^\n]*?(?:: (\S+))? at byte (\d+): odd but accepted by (enc-[a-z0-9-]+):", done.stderr.decode())
    return done.returncode, json.loads(done.stdout), [(rule, int(offset), field) for field, offset, rule in told]


def test_rows():
    for message, version, hexadecimal, expected in odd_encodings.ROWS:
        kind = "request" if message.endswith("Request") else "response"
        code, seen, told = decode(hexadecimal, "--api", message.removesuffix(kind.capitalize()), "--version", str(version),
                                  "--kind", kind)
        what = f"{message} v{version} {hexadecimal}"
        check(what, (code, told), (0, expected))
        own = [(odd["rule"], odd["offset"], odd["field"]) for odd in seen.get("odd", [])]
        only_tags = all(rule == "enc-tag-unknown" for rule, _, _ in expected)
        check(what + " in JSON", own, [] if only_tags else expected)
        check(what + " refused", "fault" in seen, False)


def test_every_rule_has_a_row():
    listed = subprocess.run([REJOIN, "rules", "--area", "encoding", "--json"], capture_output=True, check=True).stdout
    rules = {json.loads(line)["id"] for line in listed.splitlines()}
    check("rules with a row", {rule for row in odd_encodings.ROWS for rule, _, _ in row[3]}, rules)


def test_frames():
    """Offsets count from where the frame begins, behind its length; headers are looked at too."""
    body = "0267 00000007 026d 00 00 aa"
    code, seen, told = decode("00000019 000c0004 00000005 00026d65 8000" + body, "--frame")
    check("frame", (code, told), (0, [("enc-varint-long", 12, "taggedFields"), ("enc-trailing", 24, "")]))
    check("frame's body", seen["body"]["groupId"], "g")
    code, seen, told = decode("0000000f 00000005 01 0700 00000000 0000 00 ff", "--frame", "--kind", "response", "--api", "12",
                              "--version", "4")
    check("response", (code, told), (0, [("enc-tag-unknown", 5, "taggedFields[0]"), ("enc-trailing", 14, "")]))


    done = subprocess.run([REJOIN, "decode", "--frame"], input=b"000c0004 00000005 00026d65 00" + body.encode(),
                          capture_output=True)
    check("left over in a frame of unknown length", (done.returncode, json.loads(done.stdout)["fault"]["err"]),
          (1, "RJ_ERR_TRAILING"))


def test_others():
    code, _, told = decode("0001 0001 67 0001 74 00000003 ff", "--type", "offsets-key")
    check("key", (code, told), (0, [("enc-trailing", 12, "")]))
    code, _, told = decode("0000 00000000 fffffffe", "--type", "consumer-assignment")
    check("assignment", (code, told), (0, [("enc-negative-length", 6, "userData")]))
    flood = "0267 00000007 026d 00 d00f" + "0900" * 2000
    done = subprocess.run([REJOIN, "decode", "--api", "12", "--version", "4"], input=flood.encode(), capture_output=True)
    lines = done.stderr.decode().splitlines()
    check("flood", (done.returncode, len(lines), lines[-1]), (0, 101, "rejoin decode: HeartbeatRequest: 3899 more oddities"))


test_rows()
test_every_rule_has_a_row()
test_frames()
test_others()
leave()
