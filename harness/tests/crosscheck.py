#!/usr/bin/env python3
"""Compares what tshark's Kafka dissector makes of the group messages of captures with what we make of them.

Usage: crosscheck.py REJOIN KNOWN CAPTURE...     KNOWN: the differences that are understood, one a line:
api kind versions field | who is right | how that is known
"""
import base64
import collections
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_pcap import Capture

APIS = {8: "OffsetCommit", 9: "OffsetFetch", 10: "FindCoordinator", 11: "JoinGroup", 12: "Heartbeat", 13: "LeaveGroup",
        14: "SyncGroup"}
# tshark's fields -> ours, in the order of the wire
FIELDS = {
    "consumer_group": ["groupId"], "session_timeout": ["sessionTimeoutMs"],
    "rebalance_timeout": ["rebalanceTimeoutMs"], "member_id": ["memberId"],
    "consumer_group_instance": ["groupInstanceId"], "protocol_type": ["protocolType"],
    "protocol_name": ["protocolName", "protocols.name"], "protocol_metadata": ["protocols.metadata"],
    "group_leader_id": ["leader"], "member_metadata": ["members.metadata"], "generation_id": ["generationId",
                                                                                             "generationIdOrMemberEpoch"],
    "member_assignment": ["assignment"], "throttle_time": ["throttleTimeMs"], "error": ["errorCode"],
    "topic_name": ["topics.name"], "partition_id": ["partitionIndex", "partitionIndexes"],
    "offset": ["committedOffset"], "leader_epoch": ["committedLeaderEpoch"],
    "metadata": ["committedMetadata", "partitions.metadata"], "retention_time": ["retentionTimeMs"],
    "require_stable_offset": ["requireStable"], "coordinator_key": ["key", "coordinatorKeys"],
    "coordinator_type": ["keyType"], "error_message": ["errorMessage"], "node_id": ["nodeId"], "host": ["host"],
    "port": ["port"],
}
SKIPPED = {"len", "request_key", "response_key", "api_key", "request.version", "response.version", "api_version",
           "correlation_id", "client_id", "request_frame", "response_frame", "unsupported_api_version",
           "tagged_field_tag", "tagged_field_data", "reassembled_in"}
BYTES = {"protocol_metadata", "member_metadata", "member_assignment"}


def dissected(path):
    """(source port, target port, correlation id) -> [(field, value), ...] in order, with ("malformed", "") at the end."""
    done = subprocess.run(["tshark", "-n", "-r", path, "-d", "tcp.port==9092,kafka", "-Y", "kafka", "-T", "pdml"],
                          capture_output=True, check=True)
    found = collections.defaultdict(list)
    for packet in ElementTree.fromstring(done.stdout).iter("packet"):
        ports = [next(f.get("show") for f in packet.iter("field") if f.get("name") == name)
                 for name in ("tcp.srcport", "tcp.dstport")]
        for proto in packet.iter("proto"):
            if proto.get("name") != "kafka":
                continue
            fields = [(f.get("name")[6:], f.get("show")) for f in proto.iter("field")
                      if f.get("name", "").startswith("kafka.")]
            correlation = next((value for name, value in fields if name == "correlation_id"), None)
            if correlation is None:
                continue
            if any(p.get("name") == "_ws.malformed" for p in proto.iter("proto")) or \
                    any(f.get("name") == "_ws.malformed" for f in packet.iter("proto")) or \
                    any(f.get("name") == "_ws.malformed" for f in packet.iter("field")):
                fields.append(("malformed", ""))
            found[int(ports[0]), int(ports[1]), int(correlation)].append(fields)
    return found


def leaves(value, path=""):
    """Ours: (path without indexes, value) in the order of the wire."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


def shown(field, value):
    """Our value as tshark shows it."""
    if value is None:
        return "[ Null ]"
    if field in BYTES:
        return base64.b64decode(value).hex(":")
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def same(field, theirs, ours):
    if theirs == ours:
        return True
    try:
        return int(theirs, 0) == int(ours, 0)
    except ValueError:
        return field in BYTES and theirs.lower() in ("", "<missing>") and ours == ""


def compare_message(capture, message, fields, count, differ):
    body = list(leaves(capture.body(message)))
    names = [name for name, _ in fields if name not in SKIPPED]
    for name in dict.fromkeys(names):
        theirs = [value for field, value in fields if field == name]
        if name == "malformed":
            differ(message, "malformed", "", "")
            continue
        if name not in FIELDS:
            differ(message, name, theirs[0], "(no field of ours is known for it)")
            continue
        ours = [shown(name, value) for path, value in body
                if any(path == wanted or path.endswith("." + wanted) for wanted in FIELDS[name])]
        for index in range(max(len(theirs), len(ours))):
            left = theirs[index] if index < len(theirs) else None
            right = ours[index] if index < len(ours) else None
            count[left is not None and right is not None and same(name, left, right)] += 1
            if left is None or right is None or not same(name, left, right):
                differ(message, name, left, right)


class Known:
    """The list of understood differences."""

    def __init__(self, path):
        self.rows = []
        with open(path) as file:
            for number, line in enumerate(file, 1):
                line = line.strip()
                if not line or line.startswith("#"):
                    continue
                what, right, how = (part.strip() for part in line.split("|"))
                api, kind, versions, field = what.split()
                low, _, high = versions.partition("-")
                assert right in ("ours", "tshark", "both") and how, f"{path}:{number}: who is right, and how is it known?"
                self.rows.append([api, kind, int(low), int(high or low), field, 0, number])

    def covers(self, api, kind, version, field):
        for row in self.rows:
            if row[0] == api and row[1] == kind and row[2] <= version <= row[3] and row[4] in (field, "*"):
                row[5] += 1
                return True
        return False


def main():
    rejoin, known = sys.argv[1], Known(sys.argv[2])
    count, messages, undissected, unknown = collections.Counter(), collections.Counter(), 0, []
    for path in sys.argv[3:]:
        capture, theirs = Capture(path, rejoin), dissected(path)

        def differ(message, field, left, right, path=path):
            kind = "request" if message.is_request else "response"
            if not known.covers(APIS[message.api], kind, message.version, field):
                unknown.append((os.path.basename(path), APIS[message.api], kind, message.version, message.correlation,
                                field, left, right))
        for message in capture.messages:
            if message.api not in APIS or message.other is None:
                continue
            client, server = message.stream
            key = (client, server, message.correlation) if message.is_request else (server, client, message.correlation)
            if not theirs.get(key):
                undissected += 1
                continue
            fields = theirs[key].pop(0)
            messages[APIS[message.api], "request" if message.is_request else "response", message.version] += 1
            compare_message(capture, message, fields, count, differ)
    for row in sorted(messages.items()):
        print("  %-16s %-8s v%-2d %5d messages" % (*row[0], row[1]))
    print(f"{sum(messages.values())} group messages, {sum(count.values())} fields compared, {count[True]} equal, "
          f"{count[False]} differ, {undissected} messages that tshark does not show")
    kinds = collections.Counter((row[1], row[2], row[3], row[5]) for row in unknown)
    for kind, times in sorted(kinds.items()):
        print("UNKNOWN KIND %s %s %d %s: %d times" % (*kind, times))
    for row in unknown[:40]:
        print("UNKNOWN DIFFERENCE %s: %s %s v%d, correlation id %d: %s: tshark %r, ours %r" % row)
    stale = [row for row in known.rows if row[5] == 0]
    for row in stale:
        print(f"STALE: line {row[6]} of {os.path.basename(sys.argv[2])} ({row[0]} {row[1]} {row[4]}) explains nothing")
    print(f"{len(unknown)} differences are not explained, {sum(row[5] for row in known.rows)} are")
    return 1 if unknown else 2 if stale else 0 if messages else 5


sys.exit(main())
