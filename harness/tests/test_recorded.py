#!/usr/bin/env python3
"""Sessions that Kafka 4.1.1's coordinator answered (harness/oracle/recorded, one for each rule or side of a rule): the
core gives the same answers, records, parked moments, timers and inner state.

    test_recorded.py REJOIN [NAME...]

What does not agree is listed with its reason in harness/oracle/recorded.json, and must go on disagreeing."""
import json
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle")
RECORDED = os.path.join(ROOT, "recorded")


def sorted_list(items):
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def normal(line):
    """The order of listed groups and of all offsets of a group is that of Kafka's hash tables; some timers are the
    broker's own housekeeping; why a connection is closed is said in the words of each."""
    answer = json.loads(line)
    answer.pop("rule", None)
    if "close" in answer:
        answer["close"] = True
    body = answer.get("body")
    if body is not None and answer.get("api") == 16:
        body["groups"] = sorted_list(body["groups"])
    if body is not None and answer.get("api") == 9:
        for group in body.get("groups", [body]):
            for topic in group["topics"]:
                topic["partitions"] = sorted_list(topic["partitions"])
            group["topics"] = sorted_list(group["topics"])
    if "state" in answer:
        answer["state"]["timers"] = sorted_list(
            timer for timer in answer["state"]["timers"] if timer["key"] not in ("group-size-counter", "OperationTimeout"))
    return answer


def read(lines):
    return [normal(line) for line in lines if line.startswith("{") and not line.startswith('{"warn":')]


def run(rejoin, name):
    """None, or the first difference."""
    path = os.path.join(RECORDED, name + ".jsonl")
    done = subprocess.run([rejoin, "core", path], capture_output=True, text=True, check=False, timeout=60)
    with open(path[:-len(".jsonl")] + ".out.jsonl", encoding="utf-8") as file:
        expected = read(file.read().splitlines())
    if done.returncode != 0:
        return f"exit code {done.returncode}: {done.stderr[-300:]}"
    got = read(done.stdout.splitlines())
    for index in range(max(len(got), len(expected))):
        ours = got[index] if index < len(got) else None
        kafkas = expected[index] if index < len(expected) else None
        if ours != kafkas:
            return f"answer {index + 1}\n  kafka {json.dumps(kafkas)}\n  core  {json.dumps(ours)}"
    return None


def main():
    rejoin, names = sys.argv[1], sys.argv[2:]
    with open(os.path.join(ROOT, "recorded.json"), encoding="utf-8") as file:
        known = json.load(file)
    names = names or sorted(name[:-len(".jsonl")] for name in os.listdir(RECORDED) if not name.endswith(".out.jsonl"))
    failed = agreed = 0
    for name in names:
        difference = run(rejoin, name)
        agreed += difference is None
        if (difference is None) == (name in known):
            failed += 1
            print(f"{name}: {difference or 'agrees although recorded.json says why it cannot'}")
    print(f"{agreed} of {len(names)} recorded sessions agree; {len(known)} known not to")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
