"""Record batches and message sets that Kafka's own builder wrote, in every compression: we read what Kafka reads.

Skipped where there is no Java compiler or no jars of Kafka 3.9.1 under ${REJOIN_CACHE:-~/.cache/rejoin} (ci/kafka fetch)."""
import glob
import json
import os
import shutil
import subprocess
import sys

REJOIN = sys.argv[1]
ROUNDS = os.environ.get("REJOIN_RECORDS_ROUNDS", "6")
SEED = os.environ.get("REJOIN_SEED", "1")


def java_lines():
    cache = os.environ.get("REJOIN_CACHE", os.path.expanduser("~/.cache/rejoin"))
    if shutil.which("javac") is None:
        print("SKIPPED: no Java compiler; install openjdk-17-jdk-headless")
        sys.exit(77)
    if not glob.glob(f"{cache}/kafka-3.9.1/kafka-clients-*.jar"):
        print(f"SKIPPED: no jars in {cache}/kafka-3.9.1; 'ci/kafka fetch 3.9.1' brings them")
        sys.exit(77)
    done = subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{cache}/kafka-3.9.1/*",
                           "harness/tests/java/RecordsOracle.java", SEED, ROUNDS], capture_output=True, text=True, check=True)
    return [line.split(" ", 3) for line in done.stdout.splitlines()]


def main():
    compared, wrong = 0, 0
    for magic, compression, text, expected in java_lines():
        done = subprocess.run([REJOIN, "decode", "--type", "record-batch"], input=text.encode(), capture_output=True)
        seen = json.loads(done.stdout)
        records = [record for batch in seen["batches"] for record in batch["records"]]
        compared += len(records)
        if done.returncode != 0 or records != json.loads(expected):
            wrong += 1
            print(f"magic {magic} compression {compression}: {text[:200]}\n  ours   {json.dumps(records)[:400]}\n"
                  f"  Kafka's {expected[:400]}\n  {done.stderr.decode()[:300]}")
    print(f"{compared} records compared, {wrong} batches differ")
    return 1 if wrong or not compared else 0


sys.exit(main())
