"""The sticky assignors' user data: what Kafka's own classes wrote we read and write alike, and what is cut off claims
the same for both.

Skipped where there is no Java compiler or no jars of Kafka under ${REJOIN_CACHE:-~/.cache/rejoin} (ci/kafka fetch)."""
import glob
import json
import os
import shutil
import subprocess
import sys

REJOIN = sys.argv[1]
ROUNDS = os.environ.get("REJOIN_STICKY_ROUNDS", "30")
SEED = os.environ.get("REJOIN_SEED", "1")
RELEASES = ("3.9.1", "4.2.0")


def oracle(release, asked, *arguments):
    cache = os.environ.get("REJOIN_CACHE", os.path.expanduser("~/.cache/rejoin"))
    if shutil.which("javac") is None:
        print("SKIPPED: no Java compiler; install openjdk-17-jdk-headless")
        sys.exit(77)
    if not glob.glob(f"{cache}/kafka-{release}/kafka-clients-*.jar"):
        print(f"SKIPPED: no jars in {cache}/kafka-{release}; 'ci/kafka fetch {release}' brings them")
        sys.exit(77)
    done = subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{cache}/kafka-{release}/*",
                           "harness/tests/java/StickyOracle.java", *arguments], input="".join(line + "\n" for line in asked),
                          capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def ours(hexadecimal):
    """(form, version, claim, bytes encoded again); refused bytes claim nothing."""
    done = subprocess.run([REJOIN, "decode", "--type", "sticky-userdata"], input=hexadecimal.encode(), capture_output=True)
    if done.returncode != 0:
        return "refused", None, "-1", None
    seen = json.loads(done.stdout)
    partitions = {f"{topic['topic']}-{number}" for topic in seen["data"].get("previousAssignment", [])
                  for number in topic["partitions"]}
    claim = " ".join([str(seen["data"].get("generation", -1)), *sorted(partitions, key=lambda text: text.encode("utf-16-be"))])
    again = None
    if "odd" not in seen:
        again = subprocess.run([REJOIN, "encode", "--type", "sticky-userdata"], input=done.stdout, capture_output=True)
        again = again.stdout.decode().strip()
    return seen["form"], seen["version"], claim, again


def compare_written(release, rows):
    wrong = 0
    for form, version, hexadecimal, claim in rows:
        if hexadecimal == "00000000":
            continue  # an empty claim of before 2.3, or generation 0 of cooperative-sticky: the bytes do not say
        seen = ours(hexadecimal)
        if seen != (form, int(version), claim, hexadecimal):
            wrong += 1
            print(f"Kafka {release} wrote {form} v{version} {hexadecimal}: {claim}\n  ours {seen}")
    return wrong


def compare_cut(release, rows):
    """Every truncation of some; StickyAssignor reads what is there, else claims nothing."""
    whole = [row[2] for row in rows if row[0] == "StickyAssignorUserData" and 16 < len(row[2]) < 160][:4]
    cut = sorted({text[:2 * length] for text in whole for length in range(len(text) // 2)})
    wrong = 0
    for (_, hexadecimal, claim) in oracle(release, cut):
        form, _, own, _ = ours(hexadecimal)
        if own != claim and not (form == "CooperativeStickyAssignorUserData" and claim == "-1"):
            wrong += 1
            print(f"Kafka {release} reads {hexadecimal} as {claim}\n  ours {form} {own}")
    return len(cut), wrong


def main():
    wrong = 0
    for release in RELEASES:
        rows = oracle(release, [], ROUNDS, SEED)
        count, cut_wrong = compare_cut(release, rows)
        wrong += compare_written(release, rows) + cut_wrong
        print(f"Kafka {release}: {len(rows)} written by its assignors, {count} cut off: {wrong} differences")
    return 1 if wrong else 0


sys.exit(main())
