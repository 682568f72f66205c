"""Settings of topics: set by CreateTopics, AlterConfigs and IncrementalAlterConfigs, told by DescribeConfigs, with the
errors and messages of Kafka; and still there when a mock with a data directory was killed.

    test_mock_topic_configs.py REJOIN [--broker PORT]

With --broker it asks a real Kafka 4.x the same questions and expects the same answers, which is where they are from."""
import atexit
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import expectations  # noqa: E402
import kafka_wire  # noqa: E402
from expectations import check  # noqa: E402

REJOIN = os.path.abspath(sys.argv[1])
BROKER = int(sys.argv[3]) if sys.argv[2:3] == ["--broker"] else None
TOPIC, BROKER_RESOURCE, OWN, DEFAULT = 2, 4, 1, 5
SET, DELETE, APPEND, SUBTRACT = range(4)
INVALID_CONFIG, INVALID_REQUEST, UNKNOWN_TOPIC = 40, 42, 3
POLICIES = "String must be one of: compact, delete"


class Server:
    def __init__(self, port):
        self.connection = kafka_wire.Connection(REJOIN, port)

    def create(self, name, configs, validate_only=False, version=7):
        topic = {"name": name, "numPartitions": 1, "replicationFactor": 1,
                 "configs": [{"name": key, "value": value} for key, value in configs]}
        return self.connection.ask("CreateTopics", version, {"topics": [topic], "timeoutMs": 9000,
                                                             "validateOnly": validate_only})["topics"][0]

    def describe(self, name, keys=None, version=4):
        asked = {"resourceType": TOPIC, "resourceName": name, "configurationKeys": keys}
        return self.connection.ask("DescribeConfigs", version, {"resources": [asked]})["results"][0]

    def own(self, name):
        if BROKER is not None:
            time.sleep(0.3)  # until the broker has read it from the controller's log
        return {row["name"]: row["value"] for row in self.describe(name)["configs"] if row["configSource"] == OWN}

    def alter(self, api, version, resources, validate_only=False):
        answer = self.connection.ask(api, version, {"resources": resources, "validateOnly": validate_only})
        return [(row["errorCode"], row["errorMessage"]) for row in answer["responses"]]

    def change(self, name, *operations, kind=TOPIC, **options):
        configs = [{"name": key, "configOperation": operation, "value": value} for key, operation, value in operations]
        resource = {"resourceType": kind, "resourceName": name, "configs": configs}
        return self.alter("IncrementalAlterConfigs", 1, [resource], **options)[0]

    def replace(self, name, configs, kind=TOPIC, **options):
        resource = {"resourceType": kind, "resourceName": name,
                    "configs": [{"name": key, "value": value} for key, value in configs]}
        return self.alter("AlterConfigs", 2, [resource], **options)[0]


def invalid(value, name, why):
    return INVALID_CONFIG, f"Invalid value {value} for configuration {name}: {why}"


def check_creation(server, prefix):
    seen = server.create(prefix, [("retention.ms", "1000"), ("cleanup.policy", "compact, delete")])
    told = {row["name"]: (row["value"], row["configSource"], row["readOnly"]) for row in seen["configs"]}
    check("created", (seen["errorCode"], seen["numPartitions"], told["retention.ms"], told["cleanup.policy"],
                      told["segment.bytes"]),
          (0, 1, ("1000", OWN, False), ("compact, delete", OWN, False), ("1073741824", DEFAULT, False)))
    check("created in order", [row["name"] for row in seen["configs"]], sorted(told))
    check("created own", server.own(prefix), {"retention.ms": "1000", "cleanup.policy": "compact,delete"})
    row = server.describe(prefix, ["retention.ms"])["configs"]
    check("asked for one", [(r["name"], r["configType"], r["readOnly"]) for r in row], [("retention.ms", 5, False)])
    for name, configs, expected in (
            ("unknown", [("no.such", "1")], (INVALID_CONFIG, "Unknown topic config name: no.such")),
            ("word", [("retention.ms", "soon")], invalid("soon", "retention.ms", "Not a number of type LONG")),
            ("range", [("min.insync.replicas", "0")], invalid("0", "min.insync.replicas", "Value must be at least 1")),
            ("policy", [("cleanup.policy", "shred")], invalid("shred", "cleanup.policy", POLICIES)),
            ("null", [("retention.ms", None)],
             (INVALID_CONFIG, "Null value not supported for topic configs: retention.ms"))):
        seen = server.create(f"{prefix}-{name}", configs)
        check(f"create {name}", (seen["errorCode"], seen["errorMessage"]), expected)
        check(f"not created {name}", server.describe(f"{prefix}-{name}")["errorCode"], UNKNOWN_TOPIC)
    twice = [("retention.ms", "1"), ("retention.ms", " 2 ")]
    check("create twice", server.create(f"{prefix}-twice", twice)["errorCode"], 0)
    check("the last counts", server.own(f"{prefix}-twice"), {"retention.ms": "2"})
    seen = server.create(f"{prefix}-not", twice, validate_only=True)
    check("validated", [row["value"] for row in seen["configs"] if row["configSource"] == OWN], [" 2 "])
    check("only validated", server.describe(f"{prefix}-not")["errorCode"], UNKNOWN_TOPIC)


# name, operation, value; error and message; what cleanup.policy and retention.ms are then
CHANGES = [
    (("retention.ms", SET, "2000"), (0, None), {"retention.ms": "2000"}),
    (("no.such", SET, "1"), (INVALID_CONFIG, "Unknown topic config name: no.such"), {"retention.ms": "2000"}),
    (("no.such", DELETE, None), (0, None), {"retention.ms": "2000"}),
    (("retention.ms", SET, None), (INVALID_REQUEST, "Null value not supported for : retention.ms"),
     {"retention.ms": "2000"}),
    (("retention.ms", SET, "x"), invalid("x", "retention.ms", "Not a number of type LONG"), {"retention.ms": "2000"}),
    (("retention.ms", DELETE, None), (0, None), {}),
    (("cleanup.policy", APPEND, "compact"), (0, None), {"cleanup.policy": "delete,compact"}),
    (("cleanup.policy", APPEND, "compact"), (0, None), {"cleanup.policy": "delete,compact"}),
    (("cleanup.policy", APPEND, "x"), invalid("x", "cleanup.policy", POLICIES), {"cleanup.policy": "delete,compact"}),
    (("cleanup.policy", SUBTRACT, "delete"), (0, None), {"cleanup.policy": "compact"}),
    (("cleanup.policy", SUBTRACT, "compact"), (0, None), {"cleanup.policy": ""}),
    (("cleanup.policy", APPEND, None), (INVALID_REQUEST, "Null value not supported for : cleanup.policy"),
     {"cleanup.policy": ""}),
    (("retention.ms", APPEND, "1"), (INVALID_CONFIG, "Can't APPEND to key retention.ms because its type is not LIST."),
     {"cleanup.policy": ""}),
    (("retention.ms", SUBTRACT, "1"),
     (INVALID_CONFIG, "Can't SUBTRACT to key retention.ms because its type is not LIST."), {"cleanup.policy": ""}),
    (("no.such", APPEND, "1"), (INVALID_CONFIG, "Can't APPEND to key no.such because its type is not LIST."),
     {"cleanup.policy": ""}),
    (("retention.ms", 7, "1"), (-1, None), {"cleanup.policy": ""}),
]

# value, the message behind "Invalid value V for configuration NAME: " or None; what is told of it
VALUES = [
    ("compression.type", "none", "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer", None),
    ("message.timestamp.type", "LogAppendTime", None, "LogAppendTime"),
    ("message.timestamp.type", "", "String must be one of: CreateTime, LogAppendTime", None),
    ("unclean.leader.election.enable", "TRUE", None, "true"),
    ("unclean.leader.election.enable", "yes", "Expected value to be either true or false", None),
    ("min.cleanable.dirty.ratio", ".25", None, "0.25"),
    ("min.cleanable.dirty.ratio", "2", "Value must be no more than 1", None),
    ("min.cleanable.dirty.ratio", "abc", "Not a number of type DOUBLE", None),
    ("segment.bytes", "1", "Value must be at least 1048576", None),
    ("retention.bytes", "-2", None, "-2"),
    ("retention.ms", "+5", None, "5"),
    ("retention.ms", " -1 ", None, "-1"),
    ("retention.ms", "0x5", "Not a number of type LONG", None),
    ("retention.ms", "", "Not a number of type LONG", None),
    ("index.interval.bytes", "99999999999", "Not a number of type INT", None),
    ("flush.ms", "9223372036854775808", "Not a number of type LONG", None),
    ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1", None),
    ("compression.zstd.level", "99", "Value must be no more than 22", None),
    ("leader.replication.throttled.replicas", "*", None, "*"),
    ("leader.replication.throttled.replicas", "0:1,1:0", None, "0:1,1:0"),
    ("cleanup.policy", " compact , delete ", None, "compact,delete"),
    ("cleanup.policy", "compact,,delete", POLICIES, None),
]


def check_changes(server, prefix):
    server.create(prefix, [])
    for operation, expected, own in CHANGES:
        check(f"change {operation}", server.change(prefix, operation), expected)
        check(f"after {operation}", server.own(prefix), own)
    for name, value, why, told in VALUES:
        code, message = server.change(prefix, (name, SET, value))
        if why is None:
            check(f"set {name} {value!r}", (code, message, server.own(prefix).get(name)), (0, None, told))
        else:
            check(f"set {name} {value!r}", (code, message[-len(why):]), (INVALID_CONFIG, why))
    server.replace(prefix, [])
    check("all or nothing", server.change(prefix, ("retention.ms", SET, "10"), ("segment.bytes", SET, "x")),
          invalid("x", "segment.bytes", "Not a number of type INT"))
    check("two that conflict",
          server.change(prefix, ("min.compaction.lag.ms", SET, "10"), ("max.compaction.lag.ms", SET, "5")),
          (INVALID_CONFIG, "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"))
    check("a key twice", server.change(prefix, ("retention.ms", SET, "1"), ("retention.ms", DELETE, None)),
          (INVALID_REQUEST, "Error due to duplicate config keys"))
    check("validated", server.change(prefix, ("retention.ms", SET, "9"), validate_only=True), (0, None))
    check("nothing of these", server.own(prefix), {})
    check("no such topic", server.change("absent", ("retention.ms", SET, "1")),
          (UNKNOWN_TOPIC, "The topic 'absent' does not exist."))
    check("its settings first", server.change("absent", ("x", SET, "1")),
          (INVALID_CONFIG, "Unknown topic config name: x"))
    check("no name", server.change("", ("retention.ms", SET, "1")),
          (INVALID_REQUEST, "Default topic resources are not allowed."))
    check("no such type", server.change("x", ("retention.ms", SET, "1"), kind=3),
          (INVALID_REQUEST, "Unknown resource type 3"))


def check_replacing(server, prefix):
    server.create(prefix, [("cleanup.policy", "compact")])
    check("replace", server.replace(prefix, [("retention.ms", "3000")]), (0, None))
    check("replaced", server.own(prefix), {"retention.ms": "3000"})
    for what, configs, expected in (
            ("null", [("retention.ms", None)], (INVALID_REQUEST, "Null value not supported for : retention.ms")),
            ("twice", [("retention.ms", "1"), ("retention.ms", "2")],
             (INVALID_REQUEST, "Error due to duplicate config keys")),
            ("unknown", [("no.such", "1")], (INVALID_CONFIG, "Unknown topic config name: no.such"))):
        check(f"replace {what}", server.replace(prefix, configs), expected)
    check("validated", server.replace(prefix, [], validate_only=True), (0, None))
    check("still there", server.own(prefix), {"retention.ms": "3000"})
    check("replace by none", server.replace(prefix, []), (0, None))
    check("none", server.own(prefix), {})


# ---- The mock alone --------------------------------------------------------------------------------------------------

class Mock:
    def __init__(self, *options):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([REJOIN, "mock", *options], stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        env={**os.environ, "MALLOC_PERTURB_": "65"})  # memory is not zero
        atexit.register(self.process.kill)
        self.server = Server(int(self.process.stdout.readline().split()[1].split(",")[0].rsplit(":", 1)[1]))

    def kill(self):
        """As kill -9 does; what it said."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.seek(0)
        return self.log.read()


def own_after(options, topic):
    mock = Mock(*options)
    own = mock.server.own(topic)
    mock.kill()
    return own


def check_mock():
    mock = Mock("--brokers", "3")
    seen = mock.server.change("0", ("log.retention.ms", SET, "1"), kind=BROKER_RESOURCE)
    check("a broker's", seen[0], INVALID_REQUEST)
    asked = {"resourceType": TOPIC, "resourceName": "t", "configs": []}
    check("a resource twice", mock.server.alter("AlterConfigs", 2, [asked, {**asked, "resourceName": "u"}, asked]),
          [(INVALID_REQUEST, "Each resource must appear at most once."),
           (UNKNOWN_TOPIC, "The topic 'u' does not exist."),
           (INVALID_REQUEST, "Each resource must appear at most once.")])
    mock.kill()
    mock = Mock("--kafka-version", "3.9")
    check("of 3.9", mock.server.create("t", [("message.downconversion.enable", "false"), ("segment.bytes", "14")])
          ["errorCode"], 0)
    check("kept", mock.server.own("t"), {"message.downconversion.enable": "false", "segment.bytes": "14"})
    mock.kill()


def replication_factor(server, topic):
    seen = server.connection.ask("Metadata", 12, {"topics": [{"name": topic}]})
    return len(seen["topics"][0]["partitions"][0]["replicaNodes"])


def check_restarts():
    with tempfile.TemporaryDirectory() as folder:
        options = ("--data-dir", folder, "--brokers", "3")
        mock = Mock(*options)
        own = {"cleanup.policy": "compact", "retention.ms": "-1", "min.cleanable.dirty.ratio": "0.25"}
        topic = {"name": "made", "numPartitions": 2, "replicationFactor": 3,
                 "configs": [{"name": key, "value": value} for key, value in own.items()]}
        mock.server.connection.ask("CreateTopics", 7, {"topics": [topic], "timeoutMs": 9000})
        mock.server.create("plain", [])
        mock.kill()
        mock = Mock(*options)
        check("created, killed", (mock.server.own("made"), mock.server.own("plain")), (own, {}))
        check("replicas, killed", replication_factor(mock.server, "made"), 3)
        for value in range(20):
            mock.server.change("made", ("retention.ms", SET, str(value)), ("cleanup.policy", APPEND, "delete"))
            mock.server.replace("plain", [("flush.ms", str(value))])
            mock.kill()
            mock = Mock(*options)
            own.update({"retention.ms": str(value), "cleanup.policy": "compact,delete"})
            check(f"changed to {value}, killed", (mock.server.own("made"), mock.server.own("plain")),
                  (own, {"flush.ms": str(value)}))
        mock.server.change("made", *((key, DELETE, None) for key in own))
        check("nothing was said", mock.kill(), "")
        check("none left", own_after(options, "made"), {})
        # A directory of before there were settings, and one with a setting that this release does not know.
        path = os.path.join(folder, "cluster.json")
        with open(path, encoding="utf-8") as file:
            cluster = json.load(file)
        for topic in cluster["topics"]:
            if topic["name"] == "made":
                del topic["configs"]
            elif topic["name"] == "plain":
                topic["configs"] = {"flush.ms": "7", "message.format.version": "2.8"}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(cluster, file)
        mock = Mock(*options)
        check("old directory", (mock.server.own("made"), mock.server.own("plain")), ({}, {"flush.ms": "7"}))
        said = mock.kill()
        check("told", re.sub(r"^.*/", "", said), "cluster.json: topic plain: Unknown topic config name: "
              "message.format.version; the setting goes\n")


def main():
    mock = Mock() if BROKER is None else None
    server = mock.server if mock else Server(BROKER)
    prefix = f"configs-{os.getpid()}"
    check_creation(server, prefix + "-made")
    check_changes(server, prefix + "-changed")
    check_replacing(server, prefix + "-replaced")
    if mock:
        mock.kill()
        check_mock()
        check_restarts()
    print(f"{expectations.failures} differences")
    expectations.leave()


main()
