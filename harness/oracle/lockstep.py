#!/usr/bin/env python3
"""Feeds random operation sequences to the core (`rejoin core`) and to Kafka's own coordinator (the oracle), and
compares every answer, the moment of each parked one, and every record written. A difference is shrunk to the shortest
sequence that still shows it.

    lockstep.py --rejoin PATH --oracle PATH [--sequences N] [--operations N] [--first-seed N] [--out DIR]

Exit codes: 0 no difference, 1 differences (files in DIR), 3 usage, 77 the oracle cannot be started."""
import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sequences import Generator  # noqa: E402

RULE = re.compile(r',"rule":"[a-z0-9-]*"')
NEXT_TIMER = re.compile(r',"next_timer_ms":\d+')
EXPLAINED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "explained.json")


class Peer:
    """One side: a process that reads operations and answers each with lines up to its `done` line."""

    def __init__(self, command):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.alive = True

    def ask(self, operation):
        self.process.stdin.write((operation + "\n").encode())
        self.process.stdin.flush()
        return self.read_one()

    def read_one(self):
        lines = []
        while True:
            line = self.process.stdout.readline().decode()
            if not line:
                self.alive = False
                return lines + ["(the process ended)"]
            line = line.rstrip("\n")
            lines.append(line)
            if line.startswith('{"done":'):
                return lines

    def ask_all(self, operations):
        """Writes from a thread, so that neither pipe can fill up while the other waits."""
        text = ("\n".join(operations) + "\n").encode()

        def write():
            self.process.stdin.write(text)
            self.process.stdin.flush()

        writer = threading.Thread(target=write)
        writer.start()
        answers = [self.read_one() for _ in operations]
        writer.join()
        return answers

    def restart(self):
        self.process.kill()
        self.process.wait()
        self.__init__(self.command)


def load_explained():
    """Differences that are Kafka's own business: each names API, version, field and rule, and matches nothing wider."""
    if not os.path.exists(EXPLAINED):
        return []
    with open(EXPLAINED, encoding="utf-8") as file:
        return json.load(file)


def sorted_list(items):
    """Sorted, and each item once: Kafka's tables list an entry twice after the write that removed it was rolled back
    (of-duplicates-after-rollback in the recorded sessions)."""
    texts = sorted({json.dumps(item, sort_keys=True) for item in items})
    return [json.loads(text) for text in texts]


def normal(line, waits):
    """What may differ without meaning: the order of listed groups and of fetched offsets (Kafka's own hash tables),
    and timers of operations that wait for a write."""
    if line.startswith('{"done":'):
        line = re.sub(r'^\{"done":\d+', '{"done":0', line)
        return NEXT_TIMER.sub("", line) if waits else line
    answer = json.loads(line)
    answer.pop("rule", None)
    body = answer.get("body")
    if body is not None and answer.get("api") == 16:
        body["groups"] = sorted_list(body["groups"])
    if body is not None and answer.get("api") == 9:
        for group in body.get("groups", [body]):
            for topic in group.get("topics") or []:
                topic["partitions"] = sorted_list(topic["partitions"])
            group["topics"] = sorted_list(group.get("topics") or [])
    if "records" in answer:
        answer["records"] = [{key: value for key, value in record.items() if key != "offset"}
                             for record in answer["records"]]
        if all(record.get("value") is None for record in answer["records"]):
            answer["records"] = sorted(answer["records"], key=json.dumps)
    return json.dumps(answer, sort_keys=True)


def is_explained(ours, theirs, explained):
    for entry in explained:
        if re.fullmatch(entry["ours"], ours or "") and re.fullmatch(entry["theirs"], theirs or ""):
            entry["hits"] = entry.get("hits", 0) + 1
            return True
    return False


def first_difference(ours, theirs, waits, explained):
    """(operation, our lines, their lines) or None."""
    for index, (left, right) in enumerate(zip(ours, theirs)):
        left = [RULE.sub("", line) for line in left if not line.startswith('{"trace":')]
        right = [line for line in right if not line.startswith('{"warn":')]
        left = [line for line in left if not line.startswith('{"warn":')]
        if left[:-1] == right[:-1] and not waits and left[-1].split(",", 1)[1] == right[-1].split(",", 1)[1]:
            continue
        left, right = ([normal(line, waits) for line in side] for side in (left, right))
        if left == right:
            continue
        for a, b in zip(left + [""] * len(right), right + [""] * len(left)):
            if a != b and not is_explained(a, b, explained):
                return index, a, b
            if a != b:
                return "explained", a, b
    return None


class Harness:
    def __init__(self, arguments):
        self.core = Peer([arguments.rejoin, "core"])
        self.oracle = Peer([arguments.oracle] + ([arguments.release] if arguments.release else []))
        self.explained = load_explained()
        self.table = collections.Counter()
        self.rules = collections.Counter()
        self.accepted = self.requests = self.operations = 0

    def generate(self, seed, length):
        """The operations of one sequence and the core's answers; the generator sees them, so that most requests are
        such as a real member would send."""
        generator = Generator(random.Random(seed), seed)
        operations, answers = [], []
        for _ in range(length + 2):
            operation = generator.next()
            text = json.dumps(operation, separators=(",", ":"))
            lines = self.core.ask(text)
            operations.append(text)
            answers.append(lines)
            generator.learn([json.loads(line) for line in lines if line.startswith("{")])
            if not self.core.alive:
                break
        return operations, answers, generator.waits

    def count(self, answers):
        for lines in answers:
            self.operations += 1
            for line in lines:
                if line.startswith('{"trace":'):
                    trace = json.loads(line)["trace"]
                    self.table[(trace["request"], trace["state"])] += 1
                elif line.startswith('{"conn":'):
                    self.requests += 1
                    found = RULE.search(line)
                    rule = found.group(0)[9:-1] if found else None
                    if rule:
                        self.rules[rule] += 1
                    if rule in (None, "join-new-dynamic-v4"):  # an id that is promised is not a refusal
                        self.accepted += 1

    def differs(self, operations, waits):
        if not self.core.alive:
            self.core.restart()
        ours = self.core.ask_all(operations)
        theirs = self.oracle.ask_all(operations)
        found = first_difference(ours, theirs, waits, self.explained)
        return found if found and found[0] != "explained" else None

    def shrink(self, operations, waits):
        """Removes runs of operations, then single ones, as long as a difference stays."""
        found = self.differs(operations, waits)
        if found is None:
            return operations, None
        operations = operations[:found[0] + 1]
        size = max(1, len(operations) // 2)
        while size >= 1:
            index = 1  # the first one configures
            while index < len(operations):
                shorter = operations[:index] + operations[index + size:]
                if len(shorter) < len(operations) and self.differs(shorter, waits):
                    operations = shorter
                else:
                    index += size
            size //= 2
        operations = self.merge_advances(operations, waits)
        return operations, self.differs(operations, waits)

    def merge_advances(self, operations, waits):
        """One step of time instead of two."""
        index = 1
        while index + 1 < len(operations):
            first, second = json.loads(operations[index]), json.loads(operations[index + 1])
            if "ms" in first and "ms" in second and first["op"] == second["op"] == "advance":
                merged = json.dumps({"op": "advance", "ms": first["ms"] + second["ms"]})
                shorter = operations[:index] + [merged] + operations[index + 2:]
                if self.differs(shorter, waits):
                    operations = shorter
                    continue
            index += 1
        return operations


def write_difference(directory, seed, operations, difference):
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"difference-{seed}.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"# seed {seed}: operation {difference[0] + 1}\n# core:   {difference[1]}\n"
                   f"# oracle: {difference[2]}\n")
        file.write("\n".join(operations) + "\n")
    return path


def report(harness, sequences, differences):
    print(f"{sequences} sequences, {harness.operations} operations, {harness.requests} answers, "
          f"{100 * harness.accepted // max(1, harness.requests)} % accepted, {differences} differences")
    states = ["none", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable"]
    kinds = sorted({kind for kind, _ in harness.table})
    print(f"{'request x state':24}" + "".join(f"{state[:12]:>14}" for state in states))
    for kind in kinds:
        print(f"{kind:24}" + "".join(f"{harness.table[(kind, state)]:>14}" for state in states))
    print("rules: " + ", ".join(f"{rule} {count}" for rule, count in sorted(harness.rules.items())))
    for entry in harness.explained:
        print(f"explained {entry.get('hits', 0)} times: {entry['why']}")


def run(arguments):
    harness = Harness(arguments)
    found = 0
    for number in range(arguments.sequences):
        seed = arguments.first_seed + number
        operations, ours, waits = harness.generate(seed, arguments.operations)
        harness.count(ours)
        if harness.core.alive:
            theirs = harness.oracle.ask_all(operations)
            difference = first_difference(ours, theirs, waits, harness.explained)
            if difference is None or difference[0] == "explained":
                continue
            operations, shrunk = harness.shrink(operations, waits)
            difference = shrunk or difference
        else:
            difference = (len(operations) - 1, "(the core crashed)", "")
            harness.core.restart()
        found += 1
        path = write_difference(arguments.out, seed, operations, difference)
        print(path, f"{len(operations)} operations", flush=True)
        if found >= arguments.most:
            break
    report(harness, number + 1, found)
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rejoin", required=True, help="the rejoin binary")
    parser.add_argument("--oracle", required=True, help="the command that starts the oracle")
    parser.add_argument("--release", help="handed to that command")
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--operations", type=int, default=50, help="in each sequence")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=10, help="stop after that many differences")
    parser.add_argument("--out", default="lockstep-differences")
    arguments = parser.parse_args()
    try:
        return run(arguments)
    except FileNotFoundError as fault:
        print(f"lockstep: {fault}", file=sys.stderr)
        return 77


if __name__ == "__main__":
    sys.exit(main())
