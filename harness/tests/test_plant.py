#!/usr/bin/env python3
"""Plants one breach of each trace rule into a copy of a recorded capture: `rejoin check` must report that rule and no
other. Usage: test_plant.py REJOIN [RULE...]"""
import base64
import copy
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_pcap import Capture, Message

REJOIN = sys.argv[1]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FETCH, METADATA, COMMIT, OFFSET_FETCH, JOIN, HEARTBEAT, LEAVE, SYNC, API_VERSIONS = 1, 3, 8, 9, 11, 12, 13, 14, 18
PLANTS = {}  # rule -> (capture, function, further options of check)


def plant(rule, capture="java-4.1.1_kafka-4.1.1_scale", options=()):
    def keep(function):
        PLANTS[rule] = (capture, function, options)
        return function
    return keep


# ---- Pieces ------------------------------------------------------------------------------------------------------------

def setter(**fields):
    return lambda body: body.update(fields)


def success(body):
    return body["errorCode"] == 0


def joined(c, generation, client):
    """The JoinGroup success of a client in a generation."""
    return c.find(JOIN, False, lambda b: success(b) and b["generationId"] == generation, client)[0]


def synced(c, generation, client):
    return [m for m in c.find(SYNC, False, success, client)
            if c.body(m.other)["generationId"] == generation][0]


def heartbeats(c, generation, client):
    """Answers with success in a generation, between two of the same kind."""
    return [m for m in c.find(HEARTBEAT, False, success, client) if c.body(m.other)["generationId"] == generation]


def member_of(c, client):
    return c.body(c.find(JOIN, False, success, client)[0])["memberId"]


def plan(c, generation, leader="one"):
    """The leader's SyncGroup request."""
    return synced(c, generation, leader).other


def share(c, generation, client, assignment):
    """Changes what the leader gives to a client, and what the client is given."""
    for one in c.body(plan(c, generation))["assignments"]:
        if one["memberId"] == member_of(c, client):
            one["assignment"] = base64.b64encode(assignment).decode()
    c.body(synced(c, generation, client))["assignment"] = base64.b64encode(assignment).decode()


def text(string):
    return struct.pack(">h", len(string)) + string.encode()


def assignment_of(topics):
    out = struct.pack(">hi", 1, len(topics))
    for topic, partitions in topics.items():
        out += text(topic) + struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)
    return out + struct.pack(">i", -1)


def subscription_of(topic, owned, generation):
    out = struct.pack(">hi", 2, 1) + text(topic) + struct.pack(">i", -1)
    if owned:
        out += struct.pack(">i", 1) + text(topic) + struct.pack(f">i{len(owned)}i", len(owned), *owned)
    else:
        out += struct.pack(">i", 0)
    return out + struct.pack(">i", generation)


TOPIC = "numbers-scale"
OWNED = {1: {"one": [0, 1, 2, 3, 4, 5]}, 2: {"one": [0, 1, 2], "two": [3, 4, 5]},
         3: {"one": [0, 1], "two": [4, 5], "three": [2, 3]}, 4: {"one": [0, 1, 2], "two": [3, 4, 5]}}


def commit_edit(partition, offset):
    def edit(body):
        topic = body["topics"][0]
        one = dict(topic["partitions"][0], partitionIndex=partition, committedOffset=offset)
        body["topics"] = [dict(topic, partitions=[one])]
    return edit


def commit_answer(partition, error):
    def edit(body):
        topic = body["topics"][0]
        body["topics"] = [dict(topic, partitions=[{"partitionIndex": partition, "errorCode": error}])]
    return edit


def commit(c, client, after, partition, offset, error, generation=None):
    like = c.find(COMMIT, True, client=client)[0]

    def ask(body):
        commit_edit(partition, offset)(body)
        if generation is not None:
            body["generationIdOrMemberEpoch"] = generation
    return c.exchange(like, after, ask, commit_answer(partition, error))


# ---- Connections ---------------------------------------------------------------------------------------------------------

@plant("t-corr-match")
def _(c):
    answer = heartbeats(c, 1, "one")[0]
    stray = Message(answer.stream, False, 0, struct.pack(">i", 99999999) + answer.frame[4:])
    stray.api, stray.version = answer.api, answer.version
    c.insert(stray, after=answer)


@plant("t-corr-unique")
def _(c):
    answer = heartbeats(c, 1, "one")[0]
    again = copy.copy(answer.other)
    c.insert(again, after=answer.other)
    c.insert(copy.copy(answer), after=answer)


@plant("t-order")
def _(c):
    answer = c.find(METADATA, False)[0]
    made = c.exchange(answer.other, answer.other)
    assert c.messages.index(made) < c.messages.index(answer)


@plant("t-one-response")
def _(c):
    answer = heartbeats(c, 1, "one")[0]
    c.insert(copy.copy(answer), after=answer)


@plant("t-version-range")
def _(c):
    stream = heartbeats(c, 1, "one")[0].stream
    ranges = [m for m in c.find(API_VERSIONS, False) if m.stream == stream][0]
    for one in c.body(ranges)["apiKeys"]:
        if one["apiKey"] == HEARTBEAT:
            one["maxVersion"] = 3


@plant("t-len")
def _(c):
    answer = heartbeats(c, 1, "one")[0]
    answer.document, answer.frame = None, answer.frame + b"\0"


@plant("t-error-known")
def _(c):
    c.body(heartbeats(c, 1, "one")[0])["errorCode"] = 79


@plant("t-throttle")
def _(c):
    c.body(heartbeats(c, 1, "one")[0])["throttleTimeMs"] = -5


@plant("t-apiversions-first")
def _(c):
    first = c.find(API_VERSIONS)[0]
    c.drop(first, first.other)


# ---- One member ----------------------------------------------------------------------------------------------------------

@plant("t-hb-known-gen")
def _(c):
    answer = heartbeats(c, 1, "one")[0]
    c.body(answer.other)["generationId"] = 77
    c.body(answer)["errorCode"] = 22


@plant("t-hb-not-before-join")
def _(c):
    promise = c.find(JOIN, False, lambda b: b["errorCode"] == 79, "three")[0]
    member = c.body(promise)["memberId"]
    like = heartbeats(c, 3, "three")[0].other
    c.exchange(like, promise, setter(memberId=member, generationId=2), setter(errorCode=25))


@plant("t-sync-after-join")
def _(c):
    answer = joined(c, 3, "two")
    like = synced(c, 3, "two").other
    c.exchange(like, answer, setter(generationId=2), setter(errorCode=22, assignment="", protocolType=None,
                                                            protocolName=None))


@plant("t-join-79-follow")
def _(c):
    promise = c.find(JOIN, False, lambda b: b["errorCode"] == 79, "two")[0]
    c.exchange(promise.other, promise, None, setter(memberId="two-00000000-0000-4000-8000-000000000001"))


def told(c, client, index=0):
    return c.find(HEARTBEAT, False, lambda b: b["errorCode"] == 27, client)[index]


@plant("t-rejoin-id")
def _(c):
    like = joined(c, 2, "one").other
    error = c.find(JOIN, False, lambda b: b["errorCode"] == 79, "two")[0]
    refused = dict(c.body(error), errorCode=25, memberId="ghost")
    c.exchange(like, told(c, "one"), setter(memberId="ghost"), setter(**refused))


def before_leave(c, client):
    """The message before a client's LeaveGroup."""
    return c.messages[c.messages.index(c.find(LEAVE, client=client)[-1]) - 1]


@plant("t-gen-monotonic")
def _(c):
    def other_metadata(body):
        for protocol in body["protocols"]:
            protocol["metadata"] = base64.b64encode(subscription_of(TOPIC, [], -1)).decode()
    c.exchange(joined(c, 4, "two").other, before_leave(c, "two"), other_metadata, setter(generationId=3))


@plant("t-rejoin-after-27")
def _(c):
    for request in c.find(JOIN, client="two"):
        c.body(request)["rebalanceTimeoutMs"] = 1


def named_fetch(c, client):
    """A Fetch that names partitions, as the first of a session does."""
    return c.find(FETCH, True, lambda b: b["topics"] and b["sessionEpoch"] > 0, client)


def fetch_edit(partition):
    def edit(body):
        one = dict(body["topics"][0]["partitions"][0], partition=partition)
        body["topics"] = [dict(body["topics"][0], partitions=[one])]
    return edit


@plant("t-eager-fetch-stop")
def _(c):
    fetch = named_fetch(c, "one")[0]
    stream, opened = c.connection(fetch, joined(c, 2, "one").other)
    c.exchange(fetch, opened, fetch_edit(0), stream=stream)


@plant("t-fetch-assigned")
def _(c):
    fetch = named_fetch(c, "two")[0]
    stream, opened = c.connection(fetch, heartbeats(c, 3, "two")[-1])
    c.exchange(fetch, opened, fetch_edit(0), stream=stream)


@plant("t-commit-assigned")
def _(c):
    commit(c, "two", heartbeats(c, 3, "two")[-1], 0, 1, 12, generation=3)


@plant("t-commit-monotonic")
def _(c):
    last = [m for m in c.find(COMMIT, False, client="one") if c.body(m)["topics"]][0]
    request = c.body(last.other)
    partition = request["topics"][0]["partitions"][0]
    index, offset = partition["partitionIndex"], partition["committedOffset"]
    generation = request["generationIdOrMemberEpoch"]
    lower = commit(c, "one", last, index, max(offset - 5, 0), 0, generation)
    assert offset > 0
    commit(c, "one", lower, index, offset, 0, generation)


@plant("t-commit-resume")
def _(c):
    first = [m for m in c.find(FETCH, True, lambda b: b["topics"] and b["sessionEpoch"] <= 0, "two")][0]
    c.body(first)["topics"][0]["partitions"][0]["fetchOffset"] += 1
    c.shift(c.messages[c.messages.index(first) - 1], 10000)


@plant("t-leave-final")
def _(c):
    gone = c.find(LEAVE, False, client="three")[0]
    c.exchange(heartbeats(c, 3, "three")[0].other, gone, None, setter(errorCode=25))


def quiet_gap(c, client):
    """Two heartbeat answers of a client with nothing of it in between."""
    beats = heartbeats(c, 1, client)
    for before, after in zip(beats, beats[1:]):
        between = c.messages[c.messages.index(before) + 1:c.messages.index(after.other)]
        if not [m for m in between if m.api in (COMMIT, JOIN, SYNC, HEARTBEAT, LEAVE)]:
            return before, after
    raise AssertionError("no such gap")


@plant("t-hb-gap", "java-4.1.1_kafka-4.1.1_solo")
def _(c):
    before, after = quiet_gap(c, "one")
    c.shift(before, 7000000 - (after.other.time_us - before.time_us))


@plant("t-commit-not-completing")
def _(c):
    commit(c, "two", joined(c, 3, "two"), 4, 1, 27, generation=3)


# ---- The group -------------------------------------------------------------------------------------------------------------

@plant("t-gen-same-protocol")
def _(c):
    later = max(joined(c, 2, "one"), joined(c, 2, "two"), key=c.messages.index)
    c.body(later)["protocolName"] = "roundrobin"


@plant("t-gen-one-leader")
def _(c):
    c.body(joined(c, 2, "two"))["members"] = copy.deepcopy(c.body(joined(c, 2, "one"))["members"])


@plant("t-leader-list-complete")
def _(c):
    body = c.body(joined(c, 2, "one"))
    body["members"] = [m for m in body["members"] if m["memberId"] != member_of(c, "two")]


@plant("t-protocol-common")
def _(c):
    for client in ("one", "two"):
        c.body(joined(c, 2, client))["protocolName"] = "cooperative-sticky"
        c.body(synced(c, 2, client))["protocolName"] = "cooperative-sticky"
        c.body(synced(c, 2, client).other)["protocolName"] = "cooperative-sticky"
    for member in c.body(joined(c, 2, "one"))["members"]:
        client = "one" if member["memberId"] == member_of(c, "one") else "two"
        offers = c.body(joined(c, 2, client).other)["protocols"]
        member["metadata"] = [p["metadata"] for p in offers if p["name"] == "cooperative-sticky"][0]


def with_tail(encoded):
    return base64.b64encode(base64.b64decode(encoded) + b"\0").decode()


@plant("t-member-metadata-echo")
def _(c):
    for member in c.body(joined(c, 2, "one"))["members"]:
        if member["memberId"] == member_of(c, "two"):
            member["metadata"] = with_tail(member["metadata"])


@plant("t-sync-bytes")
def _(c):
    body = c.body(synced(c, 2, "two"))
    body["assignment"] = with_tail(body["assignment"])


@plant("t-one-owner")
def _(c):
    share(c, 2, "two", assignment_of({TOPIC: [0, 3, 4, 5]}))


@plant("t-coop-transfer")
def _(c):
    sent = {}
    for request in c.find(JOIN):
        body = c.body(request)
        generation = c.body(request.other)["generationId"]
        client = c.client(request)
        owned = OWNED.get(generation - 1, {}).get(client, [])
        metadata = subscription_of(TOPIC, owned, generation - 1 if owned else -1)
        sent[member_of(c, client), generation] = base64.b64encode(metadata).decode()
        body["protocols"] = [{"name": "cooperative-sticky", "metadata": base64.b64encode(metadata).decode()}]
    for answer in c.find(JOIN, False, success):
        body = c.body(answer)
        body["protocolName"] = "cooperative-sticky"
        for member in body["members"]:
            member["metadata"] = sent[member["memberId"], body["generationId"]]
    for answer in c.find(SYNC, False, success):
        c.body(answer)["protocolName"] = c.body(answer.other)["protocolName"] = "cooperative-sticky"


@plant("t-assign-subscribed")
def _(c):
    share(c, 2, "two", assignment_of({TOPIC: [3, 4, 5], "other": [0]}))


@plant("t-assign-complete")
def _(c):
    share(c, 4, "two", assignment_of({TOPIC: [3, 5]}))


@plant("t-assign-exists")
def _(c):
    share(c, 2, "two", assignment_of({TOPIC: [3, 4, 5, 6]}))


@plant("t-join-barrier")
def _(c):
    late, first, own = joined(c, 4, "two").other, joined(c, 4, "one"), joined(c, 4, "two")
    c.drop(late, own)
    c.insert(late, after=first, time_us=first.time_us + 20000)
    c.insert(own, after=late)


@plant("t-stable-follower-fast")
def _(c):
    c.exchange(joined(c, 4, "two").other, before_leave(c, "two"), None, setter(generationId=5))


@plant("t-leader-rejoin")
def _(c):
    c.exchange(joined(c, 4, "one").other, heartbeats(c, 4, "one")[-1])


@plant("t-27-window")
def _(c):
    c.body(heartbeats(c, 4, "one")[0])["errorCode"] = 27


@plant("t-member-evict", "java-4.1.1_kafka-4.1.1_solo")
def _(c):
    before, after = quiet_gap(c, "one")
    c.shift(before, 9500000 - (after.other.time_us - before.time_us))
    like = c.find(COMMIT, True, client="one")[0]
    c.exchange(like, before, commit_edit(0, 1), commit_answer(0, 3), gap_us=4500000)


@plant("t-no-early-evict")
def _(c):
    c.body(heartbeats(c, 3, "three")[-1])["errorCode"] = 25


@plant("t-id-format")
def _(c):
    old = member_of(c, "three")
    for message in list(c.messages):
        if message.api in (JOIN, SYNC, HEARTBEAT, LEAVE, COMMIT, OFFSET_FETCH) and message.other:
            document = c.doc(message)
            changed = json.loads(json.dumps(document).replace(old, "three"))
            changed["header"] = document["header"]
            message.document = changed


@plant("t-79-fresh")
def _(c):
    ask = c.find(JOIN, True, lambda b: b["memberId"] == "", "three")[0]
    before = c.messages[c.messages.index(ask) - 1]
    c.exchange(ask, before, None, setter(memberId=member_of(c, "one")))


@plant("t-max-size", options=("--group-max-size", "2"))
def _(c):
    del c  # the capture has three members: the setting makes it a breach


@plant("t-static-one", "java-4.1.1_kafka-4.1.1_static")
def _(c):
    old = [c.body(m) for m in c.find(JOIN, False, success, "two")][0]
    new = c.find(JOIN, False, success, "two")[-1]
    beats = [m for m in c.find(HEARTBEAT, False, success, "two") if m.stream == new.stream]
    c.exchange(beats[0].other, beats[0], setter(memberId=old["memberId"], generationId=old["generationId"]))


def shown_offset(c, offset):
    """Another client asks for the offset of partition 0, which member one committed."""
    done = [m for m in c.find(COMMIT, False, client="one")][-1]
    like = c.find(OFFSET_FETCH)[0]

    def ask(body):
        topic = body["groups"][0]["topics"][0]
        body["groups"][0]["topics"] = [dict(topic, partitionIndexes=[0])]

    def answer(body):
        topic = body["groups"][0]["topics"][0]
        one = dict(topic["partitions"][0], partitionIndex=0, committedOffset=offset, errorCode=0)
        body["groups"][0]["topics"] = [dict(topic, partitions=[one])]
    made = c.exchange(like, done, ask, answer)
    made.other.document["header"]["clientId"] = "admin"
    return made


@plant("t-offset-fetch-latest")
def _(c):
    shown_offset(c, 1)


@plant("t-offset-fetch-not-failed")
def _(c):
    commit(c, "one", heartbeats(c, 3, "one")[0], 0, 777777, 12, generation=3)
    shown_offset(c, 777777)


@plant("t-commit-mixed")
def _(c):
    answer = [m for m in c.find(COMMIT, False) if len(c.body(m)["topics"][0]["partitions"]) > 1][0]
    c.body(answer)["topics"][0]["partitions"].pop()


# ---- Running -----------------------------------------------------------------------------------------------------------------

def check(path, options):
    done = subprocess.run([REJOIN, "check", path, "--json", *options], capture_output=True)
    return done.returncode, json.loads(done.stdout)


def trace_rules():
    """The trace rules of the rule book, with their strength."""
    with open(os.path.join(ROOT, "proto", "rules.def")) as file:
        return dict(re.findall(r'RJ_RULE\(T_\w+, "(t-[a-z0-9-]+)", "[a-z-]+",\s+RJ_ROLE_TRACE, \w+, RJ_STRENGTH_(\w+)',
                               file.read()))


def try_plant(rule, strength, bases, folder):
    capture, function, options = PLANTS[rule]
    if capture not in bases:
        bases[capture] = Capture(os.path.join(ROOT, "pcaps", capture + ".pcapng"), REJOIN)
        bases[capture].write(os.path.join(folder, "unchanged.pcap"))
        code, found = check(os.path.join(folder, "unchanged.pcap"), ())
        if code != 0 or found["violations"]:
            return f"{capture} written again, unchanged, has {found['violations']}"
    edited = copy.deepcopy(bases[capture])
    function(edited)
    path = os.path.join(folder, rule + ".pcap")
    edited.write(path)
    code, found = check(path, options)
    reported = {violation["rule"] for violation in found["violations"]}
    if reported != {rule}:
        return f"reported {sorted(reported) or 'nothing'}: " + "; ".join(
            f"{v['rule']} frame {v['frames'][0]}: {v['sentence']}" for v in found["violations"][:4])
    wanted = 0 if strength == "WARNING" else 1
    if code != wanted:
        return f"exit {code}, wanted {wanted}"
    if strength == "WARNING" and check(path, (*options, "--strict"))[0] != 1:
        return "--strict does not count the warning"
    return None


def main():
    rules = trace_rules()
    wanted = sys.argv[2:] or sorted(rules)
    failures, bases = 0, {}
    with tempfile.TemporaryDirectory() as folder:
        for rule in wanted:
            problem = try_plant(rule, rules[rule], bases, folder) if rule in PLANTS else "no breach of it is planted"
            if problem:
                failures += 1
                print(f"FAILED {rule}: {problem}")
    print(f"{len(wanted)} rules, {failures} failures")
    return 1 if failures or len(wanted) < 25 and not sys.argv[2:] else 0


sys.exit(main())
