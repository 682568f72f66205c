"""The mock beside a broker with Kafka's StandardAuthorizer: principals with different rights send the same requests, in
every version that both have, and the answers are compared field by field.

usage: compare_rights.py REJOIN BROKER_PORT RELEASE [--quick] [-v] [API...]
       compare_rights.py --write-users FILE

The broker is one of ci/kafka RELEASE start --authorizer --users FILE, with the FILE that --write-users wrote.
--quick: only the lowest and the highest version of each API; -v: each difference with the whole answers.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_wire import API_KEYS, Closed, Connection  # noqa: E402

# What each principal may do; the mock reads the lines, the broker gets them by CreateAcls.
RIGHTS = {
    "nothing": [],
    "group-read": ["allow * Read Group prefixed g-"],
    "group-describe": ["allow * Describe Group prefixed g-"],
    "group-delete": ["allow * Delete Group prefixed g-"],
    "one-group": ["allow * All Group g-1"],
    "topic-read": ["allow * Read Topic t-1", "allow * Read Group *"],
    "topic-describe": ["allow * Describe Topic t-1", "allow * Read,Delete Group *"],
    "topic-write": ["allow * Write Topic prefixed t-"],
    "everything-but": ["allow * All Topic *", "allow * All Group *", "deny * Read Topic t-1",
                       "deny * Describe Topic t-2", "deny * Describe Group g-2"],
    "not-from-here": ["allow 10.0.0.1 All Topic *", "allow 10.0.0.1 All Group *"],
    "from-here": ["allow 127.0.0.1 All Topic *", "allow 127.0.0.1 All Group prefixed g"],
    "cluster-describe": ["allow * Describe Cluster"],
    "cluster-create": ["allow * Create Cluster", "allow * Describe Topic *"],
    "topic-create": ["allow * Create,Describe Topic prefixed new-", "allow * DescribeConfigs Topic new-seen"],
    "configs": ["allow * DescribeConfigs Topic t-1", "allow * AlterConfigs Cluster"],
    "topic-delete": ["allow * Delete Topic t-1", "allow * Describe Topic t-2", "allow * Alter Topic t-1"],
    "idempotent": ["allow * IdempotentWrite Cluster"],
    "nowhere-to-write": ["allow * Write Topic prefixed t-", "deny * Write Topic prefixed t"],
    "transactions": ["allow * Write TransactionalId tx-1", "allow * Describe TransactionalId tx-2",
                     "allow * Read Group g-1", "allow * Read Topic t-1"],
}
SUPER = "admin"
PASSWORDS = {name: name + "-secret" for name in (*RIGHTS, SUPER, "alice")}  # alice is the scenarios'
ZERO = "AAAAAAAAAAAAAAAAAAAAAA"


# ---- The requests --------------------------------------------------------------------------------------------------

def partitions(count=2):
    return [{"partitionIndex": i} for i in range(count)]


def topic_key(v, name):
    """A topic by name or, where the version has ids, by id; T:name is replaced by the id that the server gave it."""
    return {"topicId": "T:" + name} if v >= 10 else {"name": name}


def offset_commit(v):
    for topics in (["t-1"], ["t-2"], ["t-1", "t-2", "absent"], ["absent", "t-2", "t-1"]):
        if v >= 10 and "absent" in topics:
            continue
        for group in ("g-1", "g-new", "other", ""):
            yield {"groupId": group, "topics": [{**topic_key(v, t), "partitions": partitions()} for t in topics]}
    yield {"groupId": "g-1", "topics": []}


def offset_fetch(v):
    lists = [["t-1"], ["t-2", "t-1", "absent"], ["absent"]]
    if v >= 10:
        lists = [["t-1"], ["t-2", "t-1"]]
    if v >= 2:
        lists.append(None)
    for topics in lists:
        asked = None if topics is None else [{**topic_key(v, t), "partitionIndexes": [0, 1]} for t in topics]
        if v < 8:
            for group in ("g-1", "g-2", "other"):
                yield {"groupId": group, "topics": asked}
        else:
            for groups in (["g-1"], ["other"], ["other", "g-2", "g-1"]):
                yield {"groups": [{"groupId": group, "topics": asked} for group in groups]}


def group_ids(v):
    return ("g-1", "g-2", "other", "absent", "")


def join_group(v):
    for group in group_ids(v):
        yield {"groupId": group, "sessionTimeoutMs": 10000, "memberId": "nobody", "protocolType": "consumer",
               "protocols": [{"name": "range", "metadata": ""}]}
    yield {"groupId": "other", "sessionTimeoutMs": 1, "memberId": "", "protocolType": "", "protocols": []}


def sync_group(v):
    for group in group_ids(v):
        yield {"groupId": group, "generationId": 1, "memberId": "nobody",
               **({"protocolType": "consumer", "protocolName": "range"} if v >= 5 else {})}
    if v >= 5:
        yield {"groupId": "other", "generationId": 1, "memberId": "nobody"}


def heartbeat(v):
    for group in group_ids(v):
        yield {"groupId": group, "generationId": 1, "memberId": "nobody"}


def leave_group(v):
    for group in group_ids(v):
        if v < 3:
            yield {"groupId": group, "memberId": "nobody"}
        else:
            yield {"groupId": group, "members": [{"memberId": "nobody"}, {"memberId": "", "groupInstanceId": "i"}]}


def find_coordinator(v):
    for key_type in (0, 1) if v >= 1 else (0,):
        keys = ["g-1", "other", "tx-1", "tx-2", ""]
        extra = {"keyType": key_type} if v >= 1 else {}
        if v < 4:
            for key in keys:
                yield {"key": key, **extra}
        else:
            yield {"coordinatorKeys": keys, **extra}


def describe_groups(v):
    for groups in (["g-1"], ["other", "g-2", "g-1", "absent", "g-1"], [""]):
        for flag in (False, True) if v >= 3 else (None,):
            yield {"groups": groups, **({} if flag is None else {"includeAuthorizedOperations": flag})}


def list_groups(v):
    yield {}
    if v >= 4:
        yield {"statesFilter": ["Empty"]}


def delete_groups(v):
    yield {"groupsNames": ["absent"]}
    yield {"groupsNames": ["other-absent", "g-absent", "other-absent", "g-1-absent", "g-absent"]}
    yield {"groupsNames": [""]}


def offset_delete(v):
    for group in ("g-1", "g-absent", "other", ""):
        for topics in (["t-3"], ["t-3", "absent", "t-2"]):
            yield {"groupId": group, "topics": [{"name": t, "partitions": [{"partitionIndex": 7}]} for t in topics]}


def metadata(v):
    base = {"allowAutoTopicCreation": False} if v >= 4 else {"-only-refused": True}
    flags = [{}]
    if v >= 8:
        flags.append({"includeTopicAuthorizedOperations": True})
    if 8 <= v <= 10:
        flags.append({"includeClusterAuthorizedOperations": True})
    for flag in flags:
        yield {"topics": None if v >= 1 else [], **base, **flag}
        yield {"topics": [{"name": name} for name in ("t-1", "t-2", "absent")], **base, **flag}
    if v >= 12:
        yield {"topics": [{"topicId": "T:t-1", "name": None}, {"topicId": "T:t-2", "name": None}], **base}
    if v >= 4:
        yield {"topics": [{"name": "new-by-metadata"}], "allowAutoTopicCreation": True, "-only-refused": True}


def describe_topic_partitions(v):
    yield {"topics": []}
    yield {"topics": [{"name": name} for name in ("absent", "t-1", "t-2")]}


def describe_cluster(v):
    yield {"includeClusterAuthorizedOperations": True}
    yield {"includeClusterAuthorizedOperations": False}


def create_topics(v):
    for name in ("new-made", "new-seen", "t-1", "old-new"):
        yield {"topics": [{"name": name, "numPartitions": 2, "replicationFactor": 1}], "timeoutMs": 9000,
               **({"validateOnly": True} if v >= 1 else {"-only-refused": True})}


def create_partitions(v):
    yield {"topics": [{"name": name, "count": 9, "assignments": None} for name in ("t-1", "t-2", "absent")],
           "timeoutMs": 9000, "validateOnly": True}


def delete_topics(v):
    if v >= 6:
        yield {"topics": [{"name": "absent"}, {"name": "t-2", "-unless": "Delete t-2"}], "timeoutMs": 9000}
        yield {"topics": [{"name": None, "topicId": "T:t-2"}], "timeoutMs": 9000}
    else:
        yield {"topicNames": ["absent", "t-2"], "timeoutMs": 9000}


def describe_configs(v):
    keys = ["retention.ms"]
    yield {"resources": [{"resourceType": 2, "resourceName": name, "configurationKeys": keys}
                         for name in ("t-1", "t-2", "absent")]}


def alter_configs(v):
    yield {"resources": [{"resourceType": 2, "resourceName": name, "configs": [{"name": "retention.ms", "value": "1"}]}
                         for name in ("t-1", "t-2", "absent")], "validateOnly": True}


def incremental_alter_configs(v):
    yield {"resources": [{"resourceType": 2, "resourceName": name,
                          "configs": [{"name": "retention.ms", "configOperation": 0, "value": "1"}]}
                         for name in ("t-1", "t-2", "absent")], "validateOnly": True}


def list_config_resources(v):
    yield {}


def produce(v):
    yield {"acks": 1, "timeoutMs": 1000, "topicData": [
        {**({"topicId": "T:" + t} if v >= 13 else {"name": t}), "partitionData": [{"index": 9, "records": None}]}
        for t in ("t-1", "t-2")]}


def fetch(v):
    asked = [{**({"topicId": "T:" + t} if v >= 13 else {"topic": t}),
              "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1000}]}
             for t in (("t-1", "t-2") if v >= 13 else ("t-1", "t-2", "absent"))]
    yield {"maxWaitMs": 0, "minBytes": 0, "topics": asked}


def list_offsets(v):
    yield {"replicaId": -1, "topics": [{"name": t, "partitions": [{"partitionIndex": 0, "timestamp": -1}]}
                                       for t in ("t-1", "t-2", "absent")]}


def offset_for_leader_epoch(v):
    yield {"topics": [{"topic": t, "partitions": [{"partition": 0, "leaderEpoch": 0}]}
                      for t in ("t-1", "t-2", "absent")]}


def init_producer_id(v):
    yield {"transactionalId": None, "transactionTimeoutMs": 1000}
    yield {"transactionalId": "tx-2", "transactionTimeoutMs": 1000, "-only-refused": True}


def txn_offset_commit(v):
    for txn, group in (("tx-2", "g-1"), ("tx-1", "other"), ("tx-2", "other")):
        yield {"transactionalId": txn, "groupId": group, "producerId": 1, "producerEpoch": 0, "-only-refused": True,
               "topics": [{"name": t, "partitions": partitions(1)} for t in ("t-1", "t-2", "absent")]}


def write_txn_markers(v):
    yield {"markers": [{"producerId": 987654321, "producerEpoch": 0, "transactionResult": False, "coordinatorEpoch": 0,
                        "topics": [{"name": name, "partitionIndexes": [9]} for name in ("t-1", "absent")]}]}


REQUESTS = {
    "OffsetCommit": offset_commit, "OffsetFetch": offset_fetch, "FindCoordinator": find_coordinator,
    "JoinGroup": join_group, "SyncGroup": sync_group, "Heartbeat": heartbeat, "LeaveGroup": leave_group,
    "DescribeGroups": describe_groups, "ListGroups": list_groups, "DeleteGroups": delete_groups,
    "OffsetDelete": offset_delete, "Metadata": metadata, "DescribeTopicPartitions": describe_topic_partitions,
    "DescribeCluster": describe_cluster, "CreateTopics": create_topics, "CreatePartitions": create_partitions,
    "DeleteTopics": delete_topics, "DescribeConfigs": describe_configs, "ListConfigResources": list_config_resources,
    "AlterConfigs": alter_configs, "IncrementalAlterConfigs": incremental_alter_configs,
    "Produce": produce, "Fetch": fetch, "ListOffsets": list_offsets, "OffsetForLeaderEpoch": offset_for_leader_epoch,
    "InitProducerId": init_producer_id, "TxnOffsetCommit": txn_offset_commit,
    "WriteTxnMarkers": write_txn_markers,
}


# ---- Two servers ---------------------------------------------------------------------------------------------------

class Server:
    def __init__(self, rejoin, port):
        self.rejoin, self.port = rejoin, port
        self.connections = {}
        self.topic_ids = {}

    def connect(self, principal):
        if principal not in self.connections:
            connection = Connection(self.rejoin, self.port)
            answer = connection.authenticate_plain(principal, PASSWORDS[principal])
            assert answer["errorCode"] == 0, (principal, answer)
            self.connections[principal] = connection
        return self.connections[principal]

    def ask(self, principal, api, version, body):
        try:
            return self.to_names(self.connect(principal).ask(api, version, self.to_ids(body)))
        except Closed:
            del self.connections[principal]
            return "closed"

    def to_ids(self, value):
        """T:name becomes the topic's id; what begins with a dash is a word to this script."""
        if isinstance(value, dict):
            return {key: self.to_ids(item) for key, item in value.items() if not key.startswith("-")}
        if isinstance(value, list):
            return [self.to_ids(item) for item in value]
        return self.topic_ids[value[2:]] if isinstance(value, str) and value.startswith("T:") else value

    def to_names(self, value):
        if isinstance(value, dict):
            named = {key: self.to_names(item) for key, item in value.items()}
            if named.get("topicId", ZERO) != ZERO and not named["topicId"].startswith("T:"):
                named["topicId"] = "another id"
            return named
        if isinstance(value, list):
            return [self.to_names(item) for item in value]
        for name, topic_id in self.topic_ids.items():
            if value == topic_id:
                return "T:" + name
        return value

    def versions(self):
        answer = self.connect(SUPER).ask("ApiVersions", 3, {"clientSoftwareName": "wire", "clientSoftwareVersion": "1"})
        return {row["apiKey"]: (row["minVersion"], row["maxVersion"]) for row in answer["apiKeys"]}

    def prepare(self):
        admin = self.connect(SUPER)
        admin.ask("CreateTopics", 5, {"topics": [{"name": name, "numPartitions": 3, "replicationFactor": 1}
                                                 for name in ("t-1", "t-2", "t-3")], "timeoutMs": 9000})
        wait(lambda: self.learn_ids(admin))
        wait(lambda: admin.ask("FindCoordinator", 4, {"coordinatorKeys": ["g-1"]})["coordinators"][0]["errorCode"] == 0)
        body = {"transactionalId": None, "transactionTimeoutMs": 1000}
        wait(lambda: admin.ask("InitProducerId", 1, body)["errorCode"] == 0)
        if API_KEYS["AddPartitionsToTxn"] in self.versions():
            wait(lambda: admin.ask("FindCoordinator", 4, {"keyType": 1, "coordinatorKeys": ["tx-1"]})
                 ["coordinators"][0]["errorCode"] == 0)
        for group in ("g-1", "g-2", "other"):
            body = {"groupId": group, "topics": [
                {"name": name, "partitions": [{"partitionIndex": 0, "committedOffset": 42}]}
                for name in ("t-1", "t-2")]}
            wait(lambda: admin.ask("OffsetCommit", 8, body)["topics"][0]["partitions"][0]["errorCode"] == 0)

    def learn_ids(self, admin):
        topics = admin.ask("Metadata", 12, {"topics": [{"name": name} for name in ("t-1", "t-2", "t-3")]})["topics"]
        self.topic_ids = {topic["name"]: topic["topicId"] for topic in topics}
        return all(topic["errorCode"] == 0 for topic in topics)


def wait(is_so, tries=100):
    import time
    for _ in range(tries):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("it does not come about")


def user_lines():
    return "".join(f"{name} {password}\n" for name, password in PASSWORDS.items())


def acl_lines():
    lines = [f"super User:{SUPER}"]
    for name, rights in RIGHTS.items():
        for right in rights:
            what, rest = right.split(" ", 1)
            lines.append(f"{what} User:{name} {rest}")
    return "".join(line + "\n" for line in lines)


OPERATIONS = {"All": 2, "Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Alter": 7, "Describe": 8, "ClusterAction": 9,
              "DescribeConfigs": 10, "AlterConfigs": 11, "IdempotentWrite": 12}
RESOURCES = {"Topic": 2, "Group": 3, "Cluster": 4, "TransactionalId": 5}


def create_acls(server):
    creations = []
    for name, rights in RIGHTS.items():
        for right in rights:
            what, host, operations, resource, *rest = right.split()
            for operation in operations.split(","):
                creations.append({
                    "resourceType": RESOURCES[resource], "resourceName": rest[-1] if rest else "kafka-cluster",
                    "resourcePatternType": 4 if rest[:1] == ["prefixed"] else 3, "principal": "User:" + name,
                    "host": host, "operation": OPERATIONS[operation], "permissionType": 2 if what == "deny" else 3})
    answer = server.connect(SUPER).ask("CreateAcls", 3, {"creations": creations})
    assert all(result["errorCode"] == 0 for result in answer["results"]), answer


# ---- Comparing -----------------------------------------------------------------------------------------------------

# What two clusters cannot have alike, whoever asks.
DIFFERENT = {"throttleTimeMs", "clusterId", "controllerId", "brokers", "host", "port", "nodeId", "producerId", "rack",
             "leaderId", "leaderEpoch", "replicaNodes", "isrNodes", "configs", "currentLeader", "nodeEndpoints",
             "sessionId"}
# Words, which are Kafka's own only where it says no more than that a right is missing.
WORDS = {"errorMessage"}
UNORDERED = {"Metadata", "DescribeTopicPartitions", "DeleteTopics", "CreatePartitions", "DescribeConfigs",
             "ListConfigResources", "Produce", "Fetch", "ListOffsets", "OffsetForLeaderEpoch", "ListGroups",
             "CreateTopics"}
AUTHORIZATION_ERRORS = {29, 30, 31, 53}


def comparable(value, in_order):
    if isinstance(value, dict):
        is_refusal = value.get("errorCode") in AUTHORIZATION_ERRORS
        return {key: comparable(item, in_order) for key, item in value.items()
                if key not in DIFFERENT and (key not in WORDS or is_refusal)
                and not is_internal(item)}
    if isinstance(value, list):
        items = [comparable(item, in_order) for item in value if not is_internal(item)]
        return items if in_order else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    return value


def is_internal(item):
    """Internal topics exist at different moments."""
    return isinstance(item, dict) and item.get("name", "") in ("__consumer_offsets", "__transaction_state")


def is_unordered(api, body, release):
    """Where Kafka gives its answers in the order of a hash map."""
    if release.startswith("3.") and api in ("OffsetCommit", "OffsetFetch"):
        return True
    return api in UNORDERED or (api == "OffsetFetch" and (body.get("topics", 0) is None or any(
        group["topics"] is None for group in body.get("groups", []))))


def without_clusters_own(api, value):
    """ListConfigResources names brokers by number, and has client metrics, groups and internal topics."""
    if api == "ListConfigResources" and "configResources" in value:
        return {**value, "configResources": [row for row in value["configResources"] if row.get("resourceType") == 2
                                              and not row["resourceName"].startswith("__")]}
    return value


def errors_of(value):
    if isinstance(value, dict):
        found = {value["errorCode"]} if "errorCode" in value else set()
        return found.union(*(errors_of(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(errors_of(item) for item in value))
    return set()


def changes_what_is_there(api, principal, body):
    """Whoever may really delete or create does it for everybody behind him: those are asked for their refusals only."""
    if api == "DeleteTopics":
        return principal in (SUPER, "everything-but", "from-here")
    if "-only-refused" in body:
        return principal in (SUPER, "cluster-create", "topic-create", "everything-but", "from-here", "transactions")
    return False


def difference(path, mine, theirs):
    """The first place where they differ."""
    if type(mine) is not type(theirs) or not isinstance(mine, (dict, list)):
        return None if mine == theirs else f"{path}: mock {json.dumps(mine)}, broker {json.dumps(theirs)}"
    keys = mine.keys() | theirs.keys() if isinstance(mine, dict) else range(max(len(mine), len(theirs)))
    for key in sorted(keys):
        if isinstance(mine, dict):
            a, b = mine.get(key, "(absent)"), theirs.get(key, "(absent)")
        else:
            a = mine[key] if key < len(mine) else "(absent)"
            b = theirs[key] if key < len(theirs) else "(absent)"
        found = difference(f"{path}.{key}", a, b)
        if found:
            return found
    return None


def chosen_versions(api, mock_range, broker_range, is_quick):
    low = max(mock_range[0], broker_range[0], 3 if api == "Produce" else 0)
    high = min(mock_range[1], broker_range[1])
    return sorted({low, high}) if is_quick else range(low, high + 1)


def known(release, api, version):
    """Differences that are not of rights; None: there is none."""
    if release.startswith("3.") and api in ("OffsetCommit", "OffsetFetch") and version == 0:
        return "the broker keeps its metadata in KRaft and has no ZooKeeper for version 0: error 35"
    if release.startswith("3.") and api == "OffsetFetch" and version == 1:
        return "the broker leaves out all topics where the group is refused: version 1 has no place for its error"
    return None


def compare(mock, broker, release, options):
    mock_versions, broker_versions = mock.versions(), broker.versions()
    counts = {"requests": 0, "refused": 0, "versions": 0}
    differences = {}
    wanted = [option for option in options if not option.startswith("-")]
    has_transactions = API_KEYS["AddPartitionsToTxn"] in mock_versions
    for api, bodies in REQUESTS.items():
        key = API_KEYS[api]
        if wanted and api not in wanted:
            continue
        if key not in mock_versions or key not in broker_versions:
            print(f"not compared: {api} is not served by both")
            continue
        for version in chosen_versions(api, mock_versions[key], broker_versions[key], "--quick" in options):
            if known(release, api, version):
                print(f"not compared: {api} v{version}: {known(release, api, version)}")
                continue
            counts["versions"] += 1
            for body in bodies(version):
                for principal in (*RIGHTS, SUPER):
                    if changes_what_is_there(api, principal, body) or (
                            not has_transactions and api == "FindCoordinator" and body.get("keyType") == 1):
                        continue
                    answers = [server.ask(principal, api, version, copy.deepcopy(body)) for server in (mock, broker)]
                    counts["requests"] += 1
                    counts["refused"] += bool(errors_of(answers[1]) & AUTHORIZATION_ERRORS)
                    mine, theirs = (comparable(without_clusters_own(api, answer), not is_unordered(api, body, release))
                                    for answer in answers)
                    found = difference("", mine, theirs)
                    if found:
                        differences.setdefault(f"{api} v{version}", []).append((principal, body, found))
                        if "-v" in options:
                            print(api, version, principal, json.dumps(body), *map(json.dumps, answers), sep="\n  ")
    return counts, differences


def main():
    if sys.argv[1] == "--write-users":
        with open(sys.argv[2], "w") as users:
            users.write(user_lines())
        return 0
    rejoin, port, release = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("users", user_lines()), ("acls", acl_lines())):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        process = subprocess.Popen(
            [rejoin, "mock", "--listen", "127.0.0.1:0", "--users", f"{folder}/users", "--acls", f"{folder}/acls",
             "--initial-rebalance-delay-ms", "0", "--kafka-version", ".".join(release.split(".")[:2])],
            stdout=subprocess.PIPE, text=True)
        try:
            mock = Server(rejoin, int(process.stdout.readline().rsplit(":", 1)[1]))
            broker = Server(rejoin, port)
            create_acls(broker)
            mock.prepare()
            broker.prepare()
            counts, differences = compare(mock, broker, release, sys.argv[4:])
        finally:
            process.terminate()
            assert process.wait() == 0
    for where, cases in differences.items():
        principal, body, found = cases[0]
        print(f"DIFFERENT {where} ({len(cases)} requests), first as {principal} with {json.dumps(body)}\n    {found}")
    print(f"{counts['requests']} requests of {len(RIGHTS) + 1} principals in {counts['versions']} versions compared "
          f"with Kafka {release}, {counts['refused']} of them with a refusal by rights; "
          f"{sum(map(len, differences.values()))} differ")
    assert counts["refused"] > counts["requests"] / 5, "hardly anything was refused: the rights did not arrive"
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
