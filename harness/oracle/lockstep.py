#!/usr/bin/env python3
"""Feeds random operation sequences to the core (`rejoin core`) and to Kafka's own coordinator (the oracle), and
compares every answer, the moment of each parked one, and every record written. A difference is shrunk to the shortest
sequence that still shows it, and becomes a scenario file. With a knock-out build it counts how often each rule was met,
and steers to rare ones.

    lockstep.py --rejoin PATH --oracle PATH [--sequences N] [--operations N] [--first-seed N] [--out DIR]
                [--seconds N] [--without RULE] [--least N] [--json FILE]

Exit codes: 0 no difference, 1 differences (files in DIR), 2 with --least N: a rule or a cell of the table that can be
met was met less than N times, 3 usage, 77 the oracle cannot be started."""
import argparse
import json
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from coverage import Coverage  # noqa: E402
from differences import write_scenario, write_session  # noqa: E402
from peers import ENDED, Background, Peer  # noqa: E402
from sequences import Generator  # noqa: E402

RULE = re.compile(r',"rule":"[a-z0-9-]*"')
NEXT_TIMER = re.compile(r',"next_timer_ms":\d+')
EXPLAINED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "explained.json")
LANES = 24


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
    answer.pop("line", None)
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


def by_group(lines, groups):
    """Answers of one moment, those of one group together: which group comes first at an unload is the business of
    Kafka's own hash table of groups, and nobody can tell."""
    answers = [line for line in lines if line.startswith('{"conn"')]
    rest = [line for line in lines if not line.startswith('{"conn"')]
    return sorted(answers, key=lambda line: groups.get(json.loads(line)["conn"], "")) + rest


def first_difference(ours, theirs, operations, waits, explained):
    """(operation, our lines, their lines) or None."""
    groups = {}
    for index, (left, right) in enumerate(zip(ours, theirs)):
        if ENDED in (left[-1], right[-1]):
            return index, left[-1], right[-1]
        op = json.loads(operations[index])
        if op["op"] == "request":
            groups[op["conn"]] = str(op["body"].get("groupId", ""))
        elif op["op"] in ("unload", "reload"):
            left, right = by_group(left, groups), by_group(right, groups)
        # In a state that no broker has, answers are compared and not the timers left behind.
        waits = waits or '"op":"force_dead"' in right[-1]
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


class Lane:
    """One sequence on its way: the generator sees the core's answers, so that most requests are such as a real member
    would send."""

    def __init__(self, core, seed, theme):
        self.core, self.seed = core, seed
        self.generator = Generator(random.Random(seed), seed, theme)
        self.operations, self.answers = [], []

    def send(self):
        text = json.dumps(self.generator.next(), separators=(",", ":"))
        self.operations.append(text)
        self.core.send(text + "\n")

    def receive(self):
        lines = self.core.read_one()
        self.answers.append(lines)
        self.generator.learn([json.loads(line) for line in lines if line.startswith('{"conn"')])


class Harness:
    def __init__(self, arguments):
        command = [arguments.rejoin, "core"] + (["--without", arguments.without] if arguments.without else [])
        self.oracle_command = [arguments.oracle] + ([arguments.release] if arguments.release else [])
        self.cores = [Peer(command) for _ in range(min(LANES, arguments.sequences))]
        self.core, self.oracle = self.cores[0], None
        self.background = Background(self.oracle_command, 4 * LANES)
        self.explained = load_explained()
        self.coverage = Coverage()
        self.length = arguments.operations + 2

    def batch(self, seeds):
        """Generates that many sequences side by side, and gives them to the oracle."""
        lanes = [Lane(core, seed, self.coverage.theme(seed)) for core, seed in zip(self.cores, seeds)]
        for _ in range(self.length):
            running = [lane for lane in lanes if lane.core.alive]
            for lane in running:
                lane.send()
            for lane in running:
                lane.receive()
        for lane in lanes:
            self.background.ask(lane, lane.operations)
        return lanes

    def compare(self):
        """The next lane that the oracle has answered, and its difference."""
        lane, theirs = self.background.take()
        waits = lane.generator.waits
        self.coverage.count(lane.generator.name, lane.answers)
        found = first_difference(lane.answers, theirs, lane.operations, waits, self.explained)
        return lane, found if found and found[0] != "explained" else None

    def differs(self, operations, waits):
        if self.oracle is None or not self.oracle.alive:
            self.oracle = Peer(self.oracle_command)
        if not self.core.alive:
            self.core.restart()
        ours = self.core.ask_all(operations)
        theirs = self.oracle.ask_all(operations)
        found = first_difference(ours, theirs, operations, waits, self.explained)
        return found if found and found[0] != "explained" else None

    def reveal(self, operations, difference):
        """A timer that differs, made to show in an answer: time passes until the earlier one, and a request is repeated."""
        if not difference[1].startswith('{"done":'):
            return operations, difference
        ours, theirs = (json.loads(line) for line in difference[1:])
        due = [side["next_timer_ms"] for side in (ours, theirs) if "next_timer_ms" in side]
        if not due or ours["at_ms"] != theirs["at_ms"]:
            return operations, difference
        wait = json.dumps({"op": "advance", "ms": min(due) - ours["at_ms"]}, separators=(",", ":"))
        for number, text in enumerate(reversed(operations)):
            op = json.loads(text)
            if op["op"] == "request":
                op.update({"conn": 1000 + number, "corr": 1000 + number})
                op.pop("save", None)
                longer = [*operations, wait, json.dumps(op, separators=(",", ":"))]
                ours, theirs = (self.last_answer(peer, longer) for peer in (self.core, self.oracle))
                if ours != theirs:
                    return longer, (len(longer) - 1, ours, theirs)
        return operations, difference

    @staticmethod
    def last_answer(peer, operations):
        if not peer.alive:
            peer.restart()
        lines = peer.ask_all(operations)[-1]
        return next((normal(line, True) for line in lines if line.startswith('{"conn":')), "")

    def met_at(self, operations, index):
        """What the core says to one operation."""
        if not self.core.alive:
            self.core.restart()
        answers = self.core.ask_all(operations[:index + 1])
        return answers[index][:-1] if len(answers) > index else []

    def shrink(self, operations, waits):
        """Removes runs of operations, then single ones, as long as a difference stays."""
        found = self.differs(operations, waits)
        if found is None:
            return operations, None
        operations = self.remove_runs(operations[:found[0] + 1], waits)
        simpler = self.simplify(operations, waits)
        if simpler != operations:
            operations = self.remove_runs(simpler, waits)
        operations = self.merge_advances(operations, waits)
        return operations, self.differs(operations, waits)

    def simplify(self, operations, waits):
        """No initial delay, JoinGroups that need no promise first, offsets without leader epochs."""
        for index, text in enumerate(operations):
            op = json.loads(text)
            if op["op"] == "config" and op.get("initial_delay_ms"):
                op["initial_delay_ms"] = 0
            elif op.get("api") == 11 and op["version"] > 3 and not op["body"].get("groupInstanceId"):
                op["version"] = 3
                op["body"] = {key: value for key, value in op["body"].items()
                              if key not in ("reason", "groupInstanceId")}
            elif op.get("api") == 8 and '"committedLeaderEpoch":3' in text:
                op = json.loads(text.replace('"committedLeaderEpoch":3', '"committedLeaderEpoch":-1'))
            else:
                continue
            simpler = operations[:index] + [json.dumps(op, separators=(",", ":"))] + operations[index + 1:]
            if self.differs(simpler, waits):
                operations = simpler
        return operations

    def remove_runs(self, operations, waits):
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
        return operations

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


def leave_scenario(harness, path, operations, difference, arguments):
    longer, shown = harness.reveal(operations, difference)
    session = path
    if longer is not operations:
        session = write_session(arguments.out, os.path.basename(path)[len("difference-"):-len(".jsonl")] + "-shown",
                                longer, shown)
    return write_scenario(arguments.rejoin, arguments.without, session, harness.met_at(longer, shown[0]), shown)


def shrink_and_write(harness, lane, difference, arguments):
    for core in harness.cores:
        if not core.alive:
            core.restart()
    operations, shrunk = harness.shrink(lane.operations, lane.generator.waits)
    difference = shrunk or difference
    path = write_session(arguments.out, lane.seed, operations, difference)
    print(f"{path} ({lane.generator.name}): {len(operations)} operations", flush=True)
    if shrunk:
        scenario, remark = leave_scenario(harness, path, operations, shrunk, arguments)
        print(f"{scenario or 'no scenario'}: {remark}", flush=True)


def run(arguments):
    harness = Harness(arguments)
    found = done = waiting = 0
    started = time.monotonic()
    seeds = iter(range(arguments.first_seed, arguments.first_seed + arguments.sequences))
    while found < arguments.most:
        in_time = arguments.seconds is None or time.monotonic() - started < arguments.seconds
        batch = [seed for _, seed in zip(harness.cores, seeds)] if in_time else []
        if batch:
            waiting += len(harness.batch(batch))
        # One batch stays with the oracle while the next is made.
        keep = LANES if batch else 0
        while waiting > keep:
            lane, difference = harness.compare()
            waiting, done = waiting - 1, done + 1
            if difference is not None and found < arguments.most:
                found += 1
                shrink_and_write(harness, lane, difference, arguments)
        if not batch:
            break
        if done % 2400 < LANES and sys.stderr.isatty():
            print(f"{done} sequences, {found} differences", file=sys.stderr, flush=True)
    print(f"{done} sequences, {harness.coverage.summary()}, {found} differences")
    harness.coverage.print_table()
    for entry in harness.explained:
        print(f"explained {entry.get('hits', 0)} times: {entry['why']}")
    if arguments.json:
        harness.coverage.save(arguments.json, done, found)
    return 1 if found else 2 if arguments.least and harness.coverage.falls_short(arguments.least) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rejoin", required=True, help="the rejoin binary")
    parser.add_argument("--oracle", required=True, help="the command that starts the oracle")
    parser.add_argument("--release", help="handed to that command")
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--seconds", type=float, help="start no more sequences after that long")
    parser.add_argument("--operations", type=int, default=50, help="in each sequence")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=10, help="stop after that many differences")
    parser.add_argument("--out", default="lockstep-differences")
    parser.add_argument("--without", metavar="RULE", help="the core without that rule (a knock-out build)")
    parser.add_argument("--least", type=int, help="how often each rule and cell must be met")
    parser.add_argument("--json", metavar="FILE", help="the counts, for adding up several runs (coverage.py)")
    arguments = parser.parse_args()
    try:
        return run(arguments)
    except FileNotFoundError as fault:
        print(f"lockstep: {fault}", file=sys.stderr)
        return 77


if __name__ == "__main__":
    sys.exit(main())
