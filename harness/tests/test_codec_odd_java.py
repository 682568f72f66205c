"""Kafka's own classes read the odd encodings that we accept, and see the same in them.

Skipped where there is no Java compiler or no jars of Kafka under ${REJOIN_CACHE:-~/.cache/rejoin} (ci/kafka fetch)."""
import glob
import json
import os
import shutil
import subprocess
import sys

import odd_encodings

REJOIN = sys.argv[1]
RELEASES = ("3.9.1", "4.2.0")


def kafka_answers(release):
    cache = os.environ.get("REJOIN_CACHE", os.path.expanduser("~/.cache/rejoin"))
    if shutil.which("javac") is None:
        print("SKIPPED: no Java compiler; install openjdk-17-jdk-headless")
        sys.exit(77)
    if not glob.glob(f"{cache}/kafka-{release}/kafka-clients-*.jar"):
        print(f"SKIPPED: no jars in {cache}/kafka-{release}; 'ci/kafka fetch {release}' brings them")
        sys.exit(77)
    asked = "".join(f"read {message} {version} {hexadecimal.replace(' ', '')}\n"
                    for message, version, hexadecimal, _ in odd_encodings.ROWS)
    done = subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{cache}/kafka-{release}/*",
                           "harness/tests/java/CodecOracle.java"], input=asked, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def ours(message, version, hexadecimal):
    """What Kafka's program says of it: consumed bytes and JSON."""
    kind = "request" if message.endswith("Request") else "response"
    done = subprocess.run([REJOIN, "decode", "--api", message.removesuffix(kind.capitalize()), "--version", str(version),
                           "--kind", kind], input=hexadecimal.encode(), capture_output=True, check=True)
    seen, total = json.loads(done.stdout), len(bytes.fromhex(hexadecimal))
    for odd in seen.pop("odd", []):
        if odd["rule"] == "enc-trailing":
            total = odd["offset"]
    return total, seen


def main():
    wrong = 0
    for release in RELEASES:
        answers = kafka_answers(release)
        assert len(answers) == len(odd_encodings.ROWS)
        for row, answer in zip(odd_encodings.ROWS, answers):
            word, _, rest = answer.partition(" ")
            theirs = (int(rest.split(" ", 1)[0]), json.loads(rest.split(" ", 1)[1])) if word == "ok" else answer
            if theirs != ours(*row[:3]):
                wrong += 1
                print(f"Kafka {release} {row[0]} v{row[1]} {row[2]}:\n  Kafka {answer}\n  ours  {ours(*row[:3])}")
    print(f"{len(odd_encodings.ROWS)} encodings read by the classes of {' and '.join(RELEASES)}, {wrong} differences")
    return 1 if wrong else 0


sys.exit(main())
