#!/usr/bin/env python3
"""What a lock-step run has met: requests by the state of their group, rules, versions.

    coverage.py FILE...     adds up the counts of several runs (lockstep.py --json), prints the table
    coverage.py --least N FILE...   exit code 2 where a rule or cell that can be met was met less than N times

unreached.json names the rules and cells that the oracle cannot reach, each with the reason."""
import argparse
import collections
import json
import os
import random
import re
import sys

from sequences import THEMES

HERE = os.path.dirname(os.path.abspath(__file__))
UNREACHED = os.path.join(HERE, "unreached.json")
RULES = os.path.join(HERE, "..", "..", "proto", "rules.def")
BROKER_RULE = re.compile(r'RJ_RULE\(\w+, "([a-z0-9-]+)", "[a-z]+", RJ_ROLE_BROKER')
STATES = ["none", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"]
KINDS = ["join-new", "join-promised", "join-leader", "join-follower", "join-other", "sync-leader", "sync-follower",
         "sync-other", "heartbeat", "heartbeat-other", "leave", "leave-promised", "leave-other", "commit",
         "commit-anonymous", "commit-other", "txn-commit", "txn-commit-anonymous", "fetch", "delete-group",
         "delete-offsets"]
ACCEPTED = {None, "join-new-dynamic-v4"}  # an id that is promised is not a refusal
ANSWER = re.compile(r'^\{"conn":\d+,"corr":\d+,"api":(-?\d+),"version":(\d+)')
ANSWER_RULE = re.compile(r',"rule":"([a-z0-9-]*)"')


def broker_rules():
    with open(RULES, encoding="utf-8") as file:
        return BROKER_RULE.findall(file.read())


class Coverage:
    def __init__(self):
        self.counts = collections.Counter()  # operations, answers, accepted
        self.cells, self.rules, self.versions = (collections.Counter() for _ in range(3))
        self.of_theme = {name: collections.Counter() for name in THEMES}
        self.sequences_of = collections.Counter()
        with open(UNREACHED, encoding="utf-8") as file:
            self.unreached = json.load(file)

    # ---- Steering

    def theme(self, seed):
        """Half of the sequences are drawn freely; half are about what brings one of the rarest rules most often."""
        rng = random.Random(-seed)
        free = rng.choices(list(THEMES), [one["weight"] for one in THEMES.values()])[0]
        if rng.random() < 0.5 or not self.rules:
            return free
        rarest = sorted((rule for rule in broker_rules() if rule not in self.unreached["rules"]),
                        key=lambda rule: self.rules[rule])[:5]
        rule = rng.choice(rarest)
        rates = {name: counts[rule] / max(1, self.sequences_of[name]) for name, counts in self.of_theme.items()}
        best = max(rates, key=rates.get)
        return best if rates[best] > 0 else free

    # ---- Counting

    def count(self, theme, answers):
        self.sequences_of[theme] += 1
        for lines in answers:
            self.counts["operations"] += 1
            for line in lines:
                if line.startswith('{"trace":'):
                    trace = json.loads(line)["trace"]
                    if "rules" in trace:
                        self.rules.update(trace["rules"])
                        self.of_theme[theme].update(trace["rules"])
                    else:
                        self.cells[f'{trace["request"]} {trace["state"]}'] += 1
                elif line.startswith('{"conn":'):
                    self.count_answer(line)

    def count_answer(self, line):
        self.counts["answers"] += 1
        found = ANSWER_RULE.search(line)
        rule = found.group(1) if found else None
        if rule in ACCEPTED:
            self.counts["accepted"] += 1
        head = ANSWER.match(line)
        if head:
            self.versions[f"{head.group(1)} v{head.group(2)}"] += 1

    # ---- Telling

    def summary(self):
        share = 100 * self.counts["accepted"] // max(1, self.counts["answers"])
        return f'{self.counts["operations"]} operations, {self.counts["answers"]} answers, {share} % accepted'

    def rows(self):
        """(what, hits) of each cell and rule that can be met."""
        cells = {f"{kind} {state}": self.cells[f"{kind} {state}"] for kind in KINDS for state in STATES}
        rules = {rule: self.rules[rule] for rule in broker_rules()}
        return ({cell: hits for cell, hits in cells.items() if cell not in self.unreached["cells"]},
                {rule: hits for rule, hits in rules.items() if rule not in self.unreached["rules"]})

    def print_table(self):
        print(f"{'request x state':22}" + "".join(f"{state[:12]:>13}" for state in STATES))
        for kind in KINDS:
            print(f"{kind:22}" + "".join(
                f"{'-' if f'{kind} {state}' in self.unreached['cells'] else self.cells[f'{kind} {state}']:>13}"
                for state in STATES))
        cells, rules = self.rows()
        ordered = sorted(rules.items(), key=lambda item: item[1])
        print("rules, the rarest first: " + ", ".join(f"{rule} {hits}" for rule, hits in ordered))
        print("versions: " + ", ".join(f"{key} {hits}" for key, hits in sorted(
            self.versions.items(), key=lambda item: [int(part) for part in re.findall(r"-?\d+", item[0])])))
        print(f"least: cell {min(cells, key=cells.get)} {min(cells.values())}, rule {ordered[0][0]} {ordered[0][1]}; "
              f"{len(self.unreached['rules'])} rules and {len(self.unreached['cells'])} cells cannot be reached")
        for what in [*self.unreached["rules"], *self.unreached["cells"]]:
            if self.rules[what] + self.cells[what] > 0:
                print(f"unreached.json is stale: {what} was met {self.rules[what] + self.cells[what]} times")

    def falls_short(self, least):
        cells, rules = self.rows()
        short = {what: hits for what, hits in {**cells, **rules}.items() if hits < least}
        for what, hits in short.items():
            print(f"met {hits} times, less than {least}: {what}")
        return bool(short)

    # ---- Several runs

    def save(self, path, sequences, differences):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"counts": {**self.counts, "sequences": sequences, "differences": differences},
                       "cells": self.cells, "rules": self.rules, "versions": self.versions}, file)

    def add(self, path):
        with open(path, encoding="utf-8") as file:
            saved = json.load(file)
        for name in ("counts", "cells", "rules", "versions"):
            getattr(self, name).update(saved[name])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    coverage = Coverage()
    for path in arguments.files:
        coverage.add(path)
    print(f'{coverage.counts["sequences"]} sequences, {coverage.summary()}, '
          f'{coverage.counts["differences"]} differences')
    coverage.print_table()
    return 2 if arguments.least and coverage.falls_short(arguments.least) else 0


if __name__ == "__main__":
    sys.exit(main())
