#!/usr/bin/env python3
"""What makes a group rebalance, and what must not: one client against a mock each time, the cause confirmed by
`rejoin explain` on the capture that the mock recorded.

    triggers.py --rejoin BINARY --driver COMMAND [TRIGGER...]

Triggers: join leave crash partitions-added topic-created topic-deleted topic-recreated subscription-changed failover.
In `failover` the group's coordinator moves three times: the clients are told NOT_COORDINATOR (16), then
COORDINATOR_LOAD_IN_PROGRESS (14), find it again, and go on in the same generation; no record may be missing.
Exit 0: all held; 1: something did not; 77: the client cannot be had here, with its reason."""
import argparse
import collections
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests"))
from kafka_pcap import Capture  # noqa: E402
from scale import SKIPPED, Broker, Member, Producer, wait_for, wait_for_members  # noqa: E402

COMMIT, HEARTBEAT = 8, 12
NOT_COORDINATOR, LOADING = 16, 14
SETTINGS = {"REJOIN_SESSION_TIMEOUT_MS": "6000", "REJOIN_HEARTBEAT_INTERVAL_MS": "300",
            "REJOIN_COMMIT_INTERVAL_MS": "300", "REJOIN_METADATA_MAX_AGE_MS": "500"}
# Java's client commits before it rejoins, and tries again for as long as that takes (max.poll.interval.ms, 5 minutes),
# although a topic that is gone answers UNKNOWN_TOPIC_OR_PARTITION for ever. So on Kafka 4.1.1 too.
GIVES_UP_SOON = {"REJOIN_REBALANCE_TIMEOUT_MS": "6000"}


class Scene:
    """One mock with its capture, and the members that were started on it."""

    def __init__(self, options, folder, topics, brokers=1):
        self.options, self.members, self.group = options, [], "triggers"
        self.capture, self.control = os.path.join(folder, "run.pcapng"), os.path.join(folder, "ctl.sock")
        self.log = open(os.path.join(folder, "mock.log"), "w+")
        named = [part for topic in topics for part in ("--topic", topic)]
        self.mock = subprocess.Popen(
            [options.rejoin, "mock", *named, "--brokers", str(brokers), "--initial-rebalance-delay-ms", "0",
             "--auto-create-topics", "off", "--record", self.capture, "--control", self.control],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        first = self.mock.stdout.readline()
        if not first.startswith("ready "):
            raise RuntimeError("the mock does not start")
        self.options.bootstrap = first.split()[1]
        self.broker = Broker(options.rejoin, self.options.bootstrap)

    def start(self, topics, **settings):
        member = Member(self.options, self.group, topics, len(self.members) + 1, **SETTINGS, **settings)
        self.members.append(member)
        expect(self.settles(len([m for m in self.members if m.process.poll() is None])) or member.reason,
               f"member {member.number} is in")
        time.sleep(0.5)  # its SyncGroup is answered
        if member.reason:
            print(member.reason)
            sys.exit(SKIPPED)
        return member

    def settles(self, count):
        return wait_for_members(self.broker, self.group, count, 60)

    def ctl(self, *words):
        done = subprocess.run([self.options.rejoin, "ctl", self.control, *words], capture_output=True, text=True)
        expect(done.returncode == 0, f"ctl {' '.join(words)}: {done.stdout.strip()}{done.stderr.strip()}")

    def produce(self, topic, values):
        subprocess.run(["kcat", "-P", "-b", self.options.bootstrap, "-t", topic, "-p", "0"],
                       input="".join(f"{value}\n" for value in values), text=True, check=True)

    def end(self):
        for member in self.members:
            if member.process.poll() is None:
                os.killpg(member.process.pid, signal.SIGKILL)
        if self.mock.poll() is None:
            self.mock.terminate()
            expect(self.mock.wait(timeout=20) == 0, "the mock ends with 0")
        self.mock.stdout.close()

    def story(self):
        """The group as explain tells it, when everything has ended."""
        self.end()
        done = subprocess.run([self.options.rejoin, "explain", "--json", self.capture], capture_output=True, text=True)
        groups = [g for g in json.loads(done.stdout)["groups"] if g["group"] == self.group]
        expect(len(groups) == 1, "explain knows the group")
        return groups[0]


failures = []


def expect(held, sentence):
    if not held:
        print(f"  FAIL  {sentence}", flush=True)
        failures.append(sentence)


def assigned(story):
    """All partitions that the members held in the last generation, by topic."""
    held = collections.defaultdict(set)
    for member in story["rebalances"][-1]["members"]:
        for topic, partitions in member["assignment"].items():
            held[topic] |= set(partitions)
    return {topic: len(partitions) for topic, partitions in held.items() if partitions}


def settled_again(member, count):
    """More assignments than before were told to the member."""
    expect(wait_for(lambda: member.assignments > count, 40), f"member {member.number} has a new assignment")
    time.sleep(0.5)


# ---- The triggers: each returns the causes that may be told for the last rebalance, and what is held then -------------

def join(scene):
    scene.start("orders")
    scene.start("orders")
    return {"member-joined"}, {"orders": 3}


def leave(scene):
    scene.start("orders")
    expect(scene.start("orders").stop() == 0, "the member that leaves closes in good order")
    scene.settles(1)
    return {"member-left"}, {"orders": 3}


def crash(scene):
    scene.start("orders")
    os.killpg(scene.start("orders").process.pid, signal.SIGKILL)
    scene.settles(1)
    return {"member-expired"}, {"orders": 3}


def partitions_added(scene):
    member = scene.start("orders")
    before = member.assignments
    scene.ctl("add-partitions", "orders", "5")
    settled_again(member, before)
    return {"partitions-changed"}, {"orders": 5}


def topic_created(scene):
    member = scene.start("^orders.*")
    before = member.assignments
    scene.ctl("create-topic", "orders-late", "2")
    settled_again(member, before)
    scene.produce("orders-late", ["late"])
    expect(wait_for(lambda: "late" in [value for _, _, value in member.records], 20), "it reads the new topic")
    return {"subscription-changed", "partitions-changed"}, {"orders": 3, "orders-late": 2}


def topic_deleted(scene):
    member = scene.start("^(orders|refunds)$", **GIVES_UP_SOON)
    before = member.assignments
    scene.ctl("delete-topic", "refunds")
    settled_again(member, before)
    return {"subscription-changed", "partitions-changed"}, {"orders": 3}


def topic_recreated(scene):
    member = scene.start("^(orders|refunds)$", **GIVES_UP_SOON)
    scene.produce("refunds", ["old"])
    expect(wait_for(lambda: "old" in [value for _, _, value in member.records], 20), "it reads the topic")
    time.sleep(1)  # its offset is committed
    before = member.assignments
    scene.ctl("delete-topic", "refunds")
    settled_again(member, before)
    before = member.assignments
    scene.ctl("create-topic", "refunds", "2")
    settled_again(member, before)
    scene.produce("refunds", ["new"])
    expect(wait_for(lambda: "new" in [value for _, _, value in member.records], 20),
           "it reads the topic that was made again from its start")
    return {"subscription-changed", "partitions-changed"}, {"orders": 3, "refunds": 2}


def subscription_changed(scene):
    member = scene.start("orders", REJOIN_CHANGED_TOPICS="orders,refunds", REJOIN_CHANGE_AFTER_MS="3000")
    settled_again(member, member.assignments)
    return {"subscription-changed"}, {"orders": 3, "refunds": 2}


TRIGGERS = {"join": join, "leave": leave, "crash": crash, "partitions-added": partitions_added,
            "topic-created": topic_created, "topic-deleted": topic_deleted, "topic-recreated": topic_recreated,
            "subscription-changed": subscription_changed}


def run_trigger(options, name):
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(options, folder, ["orders:3", "refunds:2"])
        try:
            causes, held = TRIGGERS[name](scene)
            story = scene.story()
            last = story["rebalances"][-1]
            expect(last["cause"] in causes, f"{name}: explain says {last['cause']}, not {' or '.join(sorted(causes))}")
            expect(assigned(story) == held, f"{name}: held in the end: {assigned(story)}, not {held}")
            print(f"  {name:22} generations {story['generations']}: {last['cause']}"
                  f"{': ' + last['reason'] if last['reason'] else ''}", flush=True)
        finally:
            scene.end()


# ---- Failover -----------------------------------------------------------------------------------------------------

def refusals(scene, error):
    """Heartbeats and commits that were answered with that error."""
    capture = Capture(scene.capture, scene.options.rejoin)
    commits = capture.find(COMMIT, False, lambda body: any(
        p["errorCode"] == error for t in body["topics"] for p in t["partitions"]))
    return len(capture.find(HEARTBEAT, False, lambda body: body["errorCode"] == error)) + len(commits)


def failover(options, count=3000, loading_ms=700):
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(options, folder, ["numbers:6"], brokers=3)
        try:
            members = [scene.start("numbers"), scene.start("numbers")]
            producer = Producer(options.bootstrap, "numbers", count, 9)
            producer.start()
            assignments = [member.assignments for member in members]
            for _ in range(3):
                time.sleep(1.5)
                now = json.loads(subprocess.run([options.rejoin, "ctl", scene.control, "coordinator", scene.group],
                                                capture_output=True, text=True, check=True).stdout)["coordinator"]
                scene.ctl("move-coordinator", scene.group, str((now + 1) % 3), str(loading_ms))
                time.sleep(1.5)
            producer.join()
            seen = collections.Counter()

            def all_seen():
                seen.clear()
                seen.update(value for member in members for _, _, value in member.records)
                return len(seen) >= count
            expect(wait_for(all_seen, 30), f"failover: {count - len(seen)} of {count} records are missing")
            expect([member.assignments for member in members] == assignments, "failover: nobody was assigned anew")
            for member in members:
                expect(member.stop() == 0, f"failover: member {member.number} closes in good order")
                expect(not member.errors, f"failover: member {member.number} told errors: {member.errors}")
            story = scene.story()
            stayed = [r for r in story["rebalances"] if len(r["members"]) == 2]
            expect(len(stayed) == 1, f"failover: generations with both members: {[r['generation'] for r in stayed]}")
            told = {error: refusals(scene, error) for error in (NOT_COORDINATOR, LOADING)}
            expect(all(told.values()), f"failover: heartbeats and commits answered 16 and 14: {told}")
            print(f"  {'failover':22} 3 moves: generation {stayed[0]['generation']} went on, {count} records, "
                  f"{sum(seen.values()) - len(seen)} duplicates; answered 16: {told[NOT_COORDINATOR]}, "
                  f"14: {told[LOADING]}", flush=True)
        finally:
            scene.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rejoin", required=True)
    parser.add_argument("--driver", required=True)
    parser.add_argument("triggers", nargs="*", metavar="TRIGGER")
    options = parser.parse_args()
    for name in options.triggers or [*TRIGGERS, "failover"]:
        before = len(failures)
        if name == "failover":
            failover(options)
        else:
            run_trigger(options, name)
        if len(failures) > before:
            print(f"  FAIL  {name}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
