"""What is asked, in order: each session has a topic, a transactional id and a group of its own."""
import time

from wire import batch, error_codes

UNKNOWN = 987654321


class Session:
    """Short names for the requests of one session."""

    def __init__(self, wire, name, releases):
        self.wire, self.name, self.releases = wire, name, releases
        self.topic, self.transactional_id, self.group = f"topic-{name}", f"txn-{name}", f"group-{name}"

    def create_topic(self):
        self.wire.exchange("CreateTopics", 5, {"topics": [{"name": self.topic, "numPartitions": 2, "replicationFactor": 1,
                           "assignments": [], "configs": []}], "timeoutMs": 10000, "validateOnly": False})
        for key, key_type in ((self.transactional_id, 1), (self.group, 0)):
            while self.wire.exchange("FindCoordinator", 1, {"key": key, "keyType": key_type})["errorCode"]:
                time.sleep(0.05)  # the first question makes the internal topics
        asked = {"replicaId": -1, "isolationLevel": 0, "topics": [{"name": self.topic, "partitions": [
            {"partitionIndex": i, "currentLeaderEpoch": -1, "timestamp": -1} for i in range(2)]}]}
        while set(error_codes(self.wire.exchange("ListOffsets", 4, asked))) != {0}:
            time.sleep(0.05)
        time.sleep(0.1)  # leader and metadata of a broker come to know a topic one after the other

    def init(self, label, version=4, patient=True, **fields):
        body = {"transactionalId": self.transactional_id, "transactionTimeoutMs": 60000, **fields}
        answer = self.wire.ask(label, "InitProducerId", version, body, patient)
        return answer["producerId"], answer["producerEpoch"]

    def add(self, label, producer, version=3, partitions=(0,), topic=None, transactional_id=None, more=(), verify=False):
        topics = [{"name": topic or self.topic, "partitions": list(partitions)}, *more]
        name = self.transactional_id if transactional_id is None else transactional_id
        if version < 4:
            body = {"v3AndBelowTransactionalId": name, "v3AndBelowProducerId": producer[0],
                    "v3AndBelowProducerEpoch": producer[1], "v3AndBelowTopics": topics}
        else:
            body = {"transactions": [{"transactionalId": name, "producerId": producer[0], "producerEpoch": producer[1],
                                      "verifyOnly": verify, "topics": topics}]}
        return self.wire.ask(label, "AddPartitionsToTxn", version, body)

    def add_offsets(self, label, producer, version=3, transactional_id=None, group=None):
        body = {"transactionalId": self.transactional_id if transactional_id is None else transactional_id,
                "producerId": producer[0], "producerEpoch": producer[1],
                "groupId": self.group if group is None else group}
        return self.wire.ask(label, "AddOffsetsToTxn", version, body)

    def end(self, label, producer, commit, version=3, transactional_id=None):
        body = {"transactionalId": self.transactional_id if transactional_id is None else transactional_id,
                "producerId": producer[0], "producerEpoch": producer[1], "committed": commit}
        answer = self.wire.ask(label, "EndTxn", version, body)
        return answer.get("producerId", -1), answer.get("producerEpoch", -1)

    def produce(self, label, producer, sequence, version=9, values=("a",), partition=0, transactional=True,
                transactional_id=None):
        records = batch(values, producer[0], producer[1], sequence, transactional)
        name = (self.transactional_id if transactional_id is None else transactional_id) if transactional else None
        body = {"transactionalId": name, "acks": -1, "timeoutMs": 5000, "topicData": [{"name": self.topic, "partitionData": [
                {"index": partition, "records": records}]}]}
        return self.wire.ask(label, "Produce", version, body)

    def fetch(self, label, committed, partition=0, version=11, offset=0):
        asked = {"partition": partition, "fetchOffset": offset, "partitionMaxBytes": 1 << 20}
        body = {"replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1 << 20, "isolationLevel": int(committed),
                "topics": [{"topic": self.topic, "partitions": [asked]}]}
        if version >= 11:
            asked.update({"currentLeaderEpoch": -1, "logStartOffset": -1})
            body.update({"sessionId": 0, "sessionEpoch": -1, "forgottenTopicsData": [], "rackId": ""})
        return self.wire.ask(label, "Fetch", version, body)

    def list_offsets(self, label, committed, timestamp=-1, partition=0):
        body = {"replicaId": -1, "isolationLevel": int(committed), "topics": [{"name": self.topic, "partitions": [
            {"partitionIndex": partition, "currentLeaderEpoch": -1, "timestamp": timestamp}]}]}
        return self.wire.ask(label, "ListOffsets", 4, body)

    def commit_offset(self, label, producer, offset, version=3, member="", generation=-1, instance=None, group=None,
                      topic=None, metadata="", partition=0, transactional_id=None):
        asked = {"partitionIndex": partition, "committedOffset": offset, "committedMetadata": metadata}
        if version >= 2:
            asked["committedLeaderEpoch"] = -1
        body = {"transactionalId": self.transactional_id if transactional_id is None else transactional_id,
                "groupId": self.group if group is None else group, "producerId": producer[0],
                "producerEpoch": producer[1], "topics": [{"name": topic or self.topic, "partitions": [asked]}]}
        if version >= 3:
            body.update({"memberId": member, "generationId": generation, "groupInstanceId": instance})
        return self.wire.ask(label, "TxnOffsetCommit", version, body)

    def plain_commit(self, label, offset, partition=0):
        body = {"groupId": self.group, "generationIdOrMemberEpoch": -1, "memberId": "", "topics": [
            {"name": self.topic, "partitions": [{"partitionIndex": partition, "committedOffset": offset,
                                                 "committedLeaderEpoch": -1, "committedMetadata": ""}]}]}
        return self.wire.ask(label, "OffsetCommit", 7, body)

    def offsets(self, label, stable, partitions=(0,), group=None):
        body = {"groupId": group or self.group, "topics": [{"name": self.topic, "partitionIndexes": list(partitions)}],
                "requireStable": stable}
        return self.wire.ask(label, "OffsetFetch", 7, body)

    def describe(self, label, transactional_id=None):
        name = self.transactional_id if transactional_id is None else transactional_id
        return self.wire.ask(label, "DescribeTransactions", 0, {"transactionalIds": [name]})

    def producers(self, label, partition=0, topic=None):
        return self.wire.ask(label, "DescribeProducers", 0,
                             {"topics": [{"name": topic or self.topic, "partitionIndexes": [partition]}]})

    def mark(self, label, producer, commit, coordinator_epoch=0, topics=None, version=1, protocol=None):
        """What kafka-transactions.sh abort sends, and one broker to another: the end of a transaction."""
        topics = [{"name": self.topic, "partitionIndexes": [0]}] if topics is None else topics
        marker = {"producerId": producer[0], "producerEpoch": producer[1], "transactionResult": commit,
                  "topics": topics, "coordinatorEpoch": coordinator_epoch,
                  **({} if protocol is None else {"transactionVersion": protocol})}
        return self.wire.ask(label, "WriteTxnMarkers", version, {"markers": [marker]}, patient=False)

    def settled(self):
        """Waits until the markers of the last transaction are written."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            states = self.wire.exchange("DescribeTransactions", 0, {"transactionalIds": [self.transactional_id]})
            if not states["transactionStates"][0]["transactionState"].startswith("Prepare"):
                return
            time.sleep(0.01)


def init_producer_id(s):
    s.init("empty transactional id", transactionalId="")
    s.init("timeout 0", transactionTimeoutMs=0)
    s.init("timeout above the broker's", transactionTimeoutMs=900001)
    s.init("no transactional id", transactionalId=None)
    s.init("no transactional id, again", transactionalId=None)
    first = s.init("first")
    s.init("second: the epoch goes up", 3)
    s.init("third, version 0", 0)
    s.init("a producer id without an epoch", producerId=first[0], producerEpoch=-1)
    s.init("an epoch without a producer id", producerId=-1, producerEpoch=3)
    s.init("goes on with its epoch", producerId=first[0], producerEpoch=2)
    s.init("asks again with the epoch before", producerId=first[0], producerEpoch=2)
    s.init("an old epoch", producerId=first[0], producerEpoch=0)
    s.init("an old epoch, version 3", 3, producerId=first[0], producerEpoch=0)
    s.init("an epoch from the future", producerId=first[0], producerEpoch=9)
    s.init("another producer id", producerId=UNKNOWN, producerEpoch=0)
    s.init("another starts: no going on behind it")
    s.init("the epoch before it is fenced now", producerId=first[0], producerEpoch=3)
    s.init("a new one with an id it brings", transactionalId=f"{s.transactional_id}-new", producerId=UNKNOWN, producerEpoch=5)


def add_partitions(s):
    s.add("nobody knows the transactional id", (UNKNOWN, 0), transactional_id="txn-nobody")
    s.add("empty transactional id", (UNKNOWN, 0), transactional_id="")
    producer = s.init("begin")
    second = s.init("begin again")
    for version in (1, 3):
        s.add(f"old epoch v{version}", producer, version)
        s.add(f"epoch from the future v{version}", (producer[0], 7), version)
        s.add(f"another producer id v{version}", (UNKNOWN, 1), version)
        s.add_offsets(f"offsets, old epoch v{version}", producer, version)
        s.add_offsets(f"offsets, another producer id v{version}", (UNKNOWN, 1), version)
    s.add_offsets("offsets, nobody knows the transactional id", second, transactional_id="txn-nobody")
    s.add_offsets("offsets, empty transactional id", second, transactional_id="")
    s.add("unknown topic beside a known one", second, more=[{"name": "no-such-topic", "partitions": [0]}])
    s.add("unknown partition", second, partitions=(0, 99))
    s.describe("nothing was added")
    s.add("two partitions", second, 0, (0, 1))
    s.add("again", second, 3, (0, 1))
    s.add_offsets("offsets", second, 0)
    s.add_offsets("offsets again", second, 3)
    s.add_offsets("offsets of the group with the empty id", second, 3, group="")
    s.describe("ongoing")
    s.end("abort", second, False)
    s.settled()
    s.describe("aborted")


def add_partitions_batched(s):
    producer = s.init("begin")
    s.add("verify what was not added", producer, 4, verify=True)
    s.add("add", producer, 4)
    s.add("verify one of two", producer, 4, (0, 1), verify=True)
    s.add("verify with an old epoch", (producer[0], -1), 4, verify=True)
    s.add("verify with another producer id", (UNKNOWN, 0), 4, verify=True)
    s.add("verify, nobody knows it", producer, 4, verify=True, transactional_id="txn-nobody")
    s.add("verify, empty transactional id", producer, 4, verify=True, transactional_id="")
    s.add("add, empty transactional id", producer, 4, transactional_id="")
    s.add("add with an epoch from the future", (producer[0], 5), 5)
    s.add("add in version 5", producer, 5, (0, 1))
    s.add("unknown partition", producer, 5, (0, 99))
    s.end("commit", producer, True)


def end_version_1(s, version=4):
    s.end("nobody knows the transactional id", (UNKNOWN, 0), True, version, "txn-nobody")
    s.end("empty transactional id", (UNKNOWN, 0), True, version, "")
    producer = s.init("begin")
    s.end("commit of nothing", producer, True, version)
    s.end("abort of nothing", producer, False, version)
    s.add("first transaction", producer)
    s.end("old epoch, version 1", (producer[0], -1), True, 1)
    s.end("epoch from the future", (producer[0], 1), True, version)
    s.end("another producer id", (UNKNOWN, 0), True, version)
    s.end("commit", producer, True, version)
    s.settled()
    s.describe("committed")
    s.end("commit again", producer, True, version)
    s.end("abort after the commit", producer, False, version)
    s.add("second transaction", producer)
    s.end("abort", producer, False, version)
    s.settled()
    s.end("abort again", producer, False, version)
    s.end("commit after the abort", producer, True, version)
    s.add("third transaction", producer)
    s.init("begin in the middle: the transaction is given up first", patient=False)
    s.settled()
    s.describe("given up")
    s.end("the old one commits", producer, True, version)
    s.end("the old one commits, version 1", producer, True, 1)
    s.init("begin again")
    s.add("the old one adds", producer)
    s.fetch("nothing was written", False)


def end_version_2(s, version=5):
    s.end("nobody knows the transactional id", (UNKNOWN, 0), True, version, "txn-nobody")
    s.end("empty transactional id", (UNKNOWN, 0), True, version, "")
    producer = s.init("begin")
    s.end("commit of nothing", producer, True, version)
    s.end("abort of nothing, epoch before", (producer[0], -1), False, version)
    after = s.end("abort of nothing", producer, False, version)
    s.settled()
    s.end("the same again: asked twice", producer, False, version)
    s.end("commit with the epoch before", producer, True, version)
    s.end("commit after the abort", after, True, version)
    third = s.end("abort after the abort", after, False, version)
    s.settled()
    s.add("a transaction", third)
    s.end("epoch before", after, True, version)
    s.end("epoch from the future", (third[0], 9), True, version)
    s.end("another producer id", (UNKNOWN, third[1]), True, version)
    fourth = s.end("commit", third, True, version)
    s.settled()
    s.describe("committed")
    s.end("the same again: asked twice", third, True, version)
    s.end("abort with the epoch before", third, False, version)
    s.end("commit after the commit", fourth, True, version)
    fifth = s.end("abort after the commit", fourth, False, version)
    s.settled()
    s.add("another", fifth)
    s.init("begin in the middle: the transaction is given up first", patient=False)
    s.settled()
    s.describe("given up")
    s.end("the old one commits", fifth, True, version)
    s.add("the old one adds", fifth)
    s.init("begin again")


def end_mixed(s):
    """A producer that ends its transactions with the old version and then with the new one."""
    producer = s.init("begin")
    s.add("first", producer)
    s.end("commit, old version", producer, True, 4)
    s.settled()
    s.add("second", producer)
    after = s.end("commit, new version", producer, True, 5)
    s.settled()
    s.add("third", after)
    s.end("abort, old version", after, False, 4)
    s.settled()
    s.end("abort again, new version", after, False, 5)
    s.settled()
    s.describe("the end")


def produce(s):
    producer = s.init("begin")
    s.produce("not added", producer, 0)
    s.add("add", producer)
    s.produce("first", producer, 0, values=("a0", "a1"))
    s.produce("the same again", producer, 0, values=("a0", "a1"))
    s.produce("a gap", producer, 7)
    s.produce("not transactional within the transaction", producer, 2, transactional=False)
    s.produce("an old epoch", (producer[0], -1), 2)
    s.produce("partition that was not added", producer, 0, partition=1)
    s.fetch("uncommitted sees it", False)
    s.fetch("committed does not", True)
    s.fetch("committed behind the stable end", True, offset=1)
    s.list_offsets("end, uncommitted", False)
    s.list_offsets("end, committed", True)
    s.list_offsets("by time, committed", True, 1)
    s.list_offsets("newest record, committed", True, -2)
    s.producers("while it is open")
    s.end("commit", producer, True, 3)
    s.settled()
    s.fetch("committed sees it", True)
    s.producers("after the marker")
    s.add("second transaction", producer)
    s.produce("second", producer, 2, values=("b0",))
    s.end("abort", producer, False, 3)
    s.settled()
    s.fetch("committed is told what was aborted", True)
    s.fetch("committed, from behind the first", True, offset=3)
    s.fetch("uncommitted", False)
    s.list_offsets("end, committed", True)
    s.produce("after the end: not in a transaction", producer, 3)
    s.produce("not transactional, after the end", producer, 3, values=("c0",), transactional=False)
    second = s.init("a second producer: the first is fenced")
    s.add("the second adds", second)
    s.produce("the second with a sequence that is not 0", second, 5)
    s.produce("the second", second, 0, values=("d0",))
    s.produce("the first writes", producer, 4)
    s.produce("the first writes, not transactional", producer, 4, transactional=False)
    s.end("the second commits", second, True, 3)
    s.settled()
    s.fetch("all of it", True)
    s.producers("at the end")
    s.producers("unknown topic", topic="no-such-topic")
    s.producers("unknown partition", partition=99)


def overlap(s):
    """Two producers in one partition: the older open transaction holds the stable end back."""
    slow = s.init("slow")
    fast = s.init("fast", transactionalId=f"{s.transactional_id}-fast")
    s.add("slow adds", slow)
    s.produce("slow writes", slow, 0, values=("s0",))
    s.add("fast adds", fast, transactional_id=f"{s.transactional_id}-fast")
    s.produce("fast writes", fast, 0, values=("f0",), transactional_id=f"{s.transactional_id}-fast")
    s.end("fast aborts", fast, False, 3, transactional_id=f"{s.transactional_id}-fast")
    time.sleep(0.3)
    s.fetch("committed waits for slow", True)
    s.produce("somebody without a producer id", (-1, -1), -1, values=("p0",), transactional=False)
    s.end("slow commits", slow, True, 3)
    s.settled()
    s.fetch("committed", True)
    s.fetch("uncommitted", False)
    s.fetch("committed, version 4", True, version=4)


def produce_version_11(s):
    producer = s.init("begin")
    s.produce("not added", producer, 0, version=11)
    s.end("abort of nothing", producer, False, 4)


def produce_adds(s):
    producer = s.init("begin")
    s.produce("adds by itself", producer, 0, version=12, values=("a0",))
    s.describe("added")
    s.produce("more", producer, 1, version=12, values=("a1",))
    s.produce("old version, another partition", producer, 0, version=11, partition=1)
    s.produce("without a transactional id", producer, 2, version=12, transactional_id="")
    s.produce("epoch from the future", (producer[0], 5), 0, version=12, partition=1)
    s.produce("another producer id", (UNKNOWN, 0), 0, version=12, partition=1)
    s.produce("nobody knows the transactional id", producer, 0, version=12, partition=1, transactional_id="txn-nobody")
    after = s.end("commit", producer, True, 5)
    s.settled()
    s.fetch("committed", True)
    s.produce("the epoch before", producer, 2, version=12)
    s.produce("the epoch before, old version", producer, 2, version=11)
    s.produce("sequence that is not 0", after, 2, version=12)
    s.produce("second transaction", after, 0, version=12, values=("b0",))
    third = s.end("abort", after, False, 5)
    s.settled()
    s.fetch("committed", True)
    s.producers("after it")
    s.produce("third transaction, partition 1 from sequence 3", third, 3, version=12, partition=1)
    s.produce("third transaction", third, 0, version=12, values=("c0",))
    s.init("another begins", patient=False)
    s.settled()
    s.describe("given up")
    s.produce("the one before writes on", third, 1, version=12)
    s.fetch("committed", True)
    s.producers("at the end")


def commit_offsets(s):
    producer = s.init("begin")
    s.commit_offset("not added", producer, 5)
    s.add_offsets("add", producer)
    s.commit_offset("nobody's group, anonymous", producer, 5)
    s.commit_offset("the same again", producer, 6)
    s.offsets("stable is wanted", True)
    s.offsets("stable is not wanted", False)
    s.commit_offset("unknown topic", producer, 5, topic="no-such-topic")
    s.commit_offset("unknown partition", producer, 5, partition=99)
    s.commit_offset("metadata too large", producer, 5, metadata="x" * 4097)
    s.commit_offset("empty group id", producer, 5, group="")
    s.commit_offset("a generation of nobody's group", producer, 5, generation=1, group=f"{s.group}-none")
    s.commit_offset("a member of the empty group", producer, 7, member="m")
    s.commit_offset("an instance of the empty group", producer, 7, instance="i")
    s.commit_offset("a generation of the empty group", producer, 7, generation=0)
    s.commit_offset("another producer id", (UNKNOWN, 0), 7)
    s.commit_offset("nobody knows the transactional id", producer, 7, transactional_id="txn-nobody", partition=1)
    s.end("commit", producer, True)
    s.settled()
    s.offsets("committed", True)
    s.add_offsets("second", producer)
    s.commit_offset("an offset to give up", producer, 9, version=0)
    s.commit_offset("another partition", producer, 2, version=2, partition=1)
    s.offsets("open", True, (0, 1))
    s.end("abort", producer, False)
    s.settled()
    s.offsets("given up", True, (0, 1))
    s.add_offsets("third", producer)
    s.commit_offset("transactional", producer, 20)
    s.plain_commit("a plain one meanwhile", 15)
    s.offsets("open", True)
    s.offsets("the plain one is seen", False)
    s.end("commit", producer, True)
    s.settled()
    s.offsets("the plain one came later and stays", True)
    second = s.init("another begins")
    s.commit_offset("the one before", producer, 30)
    s.add_offsets("the new one adds", second)
    s.commit_offset("the new one", second, 31)
    s.end("commit", second, True)
    s.settled()
    s.offsets("the new one's", True)


def join(s):
    body = {"groupId": s.group, "sessionTimeoutMs": 10000, "rebalanceTimeoutMs": 10000, "memberId": "",
            "protocolType": "consumer", "protocols": [{"name": "range", "metadata": ""}]}
    answer = s.wire.ask("join", "JoinGroup", 3, body)
    return answer["memberId"], answer["generationId"]


def sync(s, member, generation):
    s.wire.ask("sync", "SyncGroup", 2, {"groupId": s.group, "generationId": generation, "memberId": member,
                                        "assignments": [{"memberId": member, "assignment": ""}]})


def commit_offsets_of_members(s):
    producer = s.init("begin")
    s.add_offsets("add", producer)
    member, generation = join(s)
    s.commit_offset("the leader has not synced", producer, 1, member=member, generation=generation)
    sync(s, member, generation)
    s.commit_offset("the member", producer, 2, member=member, generation=generation)
    s.commit_offset("anonymous", producer, 3)
    s.commit_offset("version 2 has no member", producer, 3, version=2)
    s.commit_offset("generation before", producer, 4, member=member, generation=generation - 1)
    s.commit_offset("generation behind", producer, 4, member=member, generation=generation + 1)
    s.commit_offset("no generation", producer, 4, member=member)
    s.commit_offset("another member", producer, 4, member="nobody", generation=generation)
    s.commit_offset("no member, a generation", producer, 4, generation=generation)
    s.commit_offset("an instance that nobody has", producer, 4, member=member, generation=generation, instance="i")
    s.end("commit", producer, True)
    s.settled()
    s.offsets("the anonymous one came last", True)


def commit_offsets_of_a_fenced_one(s):
    """3.9.1 refuses it, and forgets the offset that its successor has committed."""
    producer = s.init("begin")
    second = s.init("another begins")
    s.add_offsets("the new one adds", second)
    s.commit_offset("the new one", second, 31)
    s.commit_offset("the one before", producer, 30)
    s.offsets("open", True)
    s.end("commit", second, True)
    s.settled()
    s.offsets("the new one's", True)


def commit_offsets_with_a_later_epoch(s):
    """3.9.1 takes it, and then refuses the marker of the transaction for ever: its epoch is an older one."""
    producer = s.init("begin")
    s.add_offsets("add", producer)
    s.commit_offset("as it should be", producer, 5)
    s.commit_offset("epoch from the future", (producer[0], 4), 7)
    s.end("commit", producer, True)
    s.settled()
    s.offsets("committed", True)


def commit_offsets_version_4(s):
    producer = s.init("begin")
    s.commit_offset("not added", producer, 5, version=4)
    s.end("abort of nothing", producer, False, 4)


def commit_offsets_adds(s):
    producer = s.init("begin")
    s.commit_offset("adds by itself", producer, 5, version=5)
    s.describe("added")
    s.commit_offset("epoch from the future", (producer[0], 3), 6, version=5)
    s.commit_offset("another producer id", (UNKNOWN, 0), 6, version=5)
    s.commit_offset("nobody knows the transactional id", producer, 6, version=5, transactional_id="txn-nobody")
    s.offsets("open", True)
    after = s.end("commit", producer, True, 5)
    s.settled()
    s.offsets("committed", True)
    s.commit_offset("epoch before", producer, 7, version=5)
    s.commit_offset("epoch before, old version", producer, 7, version=4)
    s.commit_offset("second", after, 8, version=5)
    s.end("abort", after, False, 5)
    s.settled()
    s.offsets("given up", True)


def time_runs_out(s):
    """Needs a broker that looks for such transactions every 100 ms."""
    producer = s.init("begin", transactionTimeoutMs=400)
    s.add("add", producer)
    s.produce("write", producer, 0, values=("a0",))
    time.sleep(1.2)
    s.settled()
    s.describe("given up")
    s.fetch("aborted", True)
    s.produce("writes on", producer, 1)
    s.add("adds on", producer)
    s.end("commits", producer, True)
    s.end("commits, version 1", producer, True, 1)
    s.init("goes on with its epoch", producerId=producer[0], producerEpoch=producer[1])
    s.describe("the end")


def write_markers(s):
    producer = s.init("begin")
    s.add("add", producer, partitions=(0, 1))
    s.produce("write", producer, 0, values=("a0", "a1"))
    s.produce("write elsewhere", producer, 0, partition=1, values=("b0",))
    s.mark("no such topic or partition", producer, False, topics=[
        {"name": s.topic, "partitionIndexes": [7]}, {"name": "topic-nobody", "partitionIndexes": [0]}])
    s.mark("abort", producer, False)
    s.fetch("aborted", True)
    s.producers("aborted")
    s.list_offsets("aborted", True)
    s.describe("the coordinator knows nothing of it")
    s.produce("goes on", producer, 2, values=("a2",))
    s.mark("no epoch", (producer[0], producer[1] - 1), False)
    s.mark("by a later coordinator", producer, True, 5)
    s.producers("by a later coordinator")
    s.mark("by a coordinator of before", producer, True, 4)
    s.mark("by the same again", producer, False, 5)
    s.mark("later epoch", (producer[0], producer[1] + 3), False, 5)
    s.producers("later epoch")
    s.produce("the epoch of before", producer, 3)
    s.produce("a sequence of the later epoch", (producer[0], producer[1] + 3), 0, transactional=False)
    s.mark("nobody knows the producer", (UNKNOWN, 3), True, 2)
    s.producers("of one that nobody knows")
    s.mark("both partitions", producer, True, 9, topics=[{"name": s.topic, "partitionIndexes": [1, 0]}])
    s.fetch("all", False)
    s.fetch("committed elsewhere", True, partition=1)
    s.end("commit", producer, True)


def write_markers_of_offsets(s):
    """The partition of __consumer_offsets ends like any other, and the group's coordinator is told."""
    producer = s.init("begin")
    partition = java_hash(s.group) % 50
    s.add_offsets("add", producer)
    s.commit_offset("pending", producer, 5)
    s.offsets("pending", True)
    s.mark("abort", producer, False, topics=[{"name": "__consumer_offsets", "partitionIndexes": [partition]}])
    s.offsets("aborted", True)
    s.commit_offset("again", producer, 6)
    s.mark("commit", producer, True, topics=[{"name": "__consumer_offsets", "partitionIndexes": [partition]}])
    s.offsets("committed", True)
    s.end("abort", producer, False)


def write_markers_version_2(s):
    producer = s.init("begin")
    later, latest = (producer[0], producer[1] + 1), (producer[0], producer[1] + 2)
    s.add("add", producer)
    s.produce("write", producer, 0)
    for label, who, protocol, coordinator_epoch in (
            ("the epoch that is open", producer, 2, 0), ("a protocol that nobody knows", producer, 3, 0),
            ("by a coordinator of before", producer, 2, -1), ("no protocol", producer, -1, 0),
            ("a later epoch", later, 2, 0), ("again", later, 2, 0), ("the epoch before", producer, 2, 0),
            ("the epoch before, older protocol", producer, 1, 0), ("later still", latest, 2, 0),
            ("again, older protocol", latest, 1, 0), ("nobody knows the producer", (UNKNOWN, 0), 2, 0)):
        s.mark(label, who, False, coordinator_epoch, version=2, protocol=protocol)
    s.fetch("aborted", True)


def write_markers_of_older_protocols(s):
    producer = s.init("begin")
    s.add("add", producer)
    for protocol in (0, 1):
        s.produce(f"write, {protocol}", producer, protocol)
        s.mark(f"the epoch that is open, {protocol}", producer, True, version=2, protocol=protocol)
    s.mark("closed", producer, True, version=2, protocol=2)
    s.fetch("committed", True)


def java_hash(text):
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xffffffff
    return abs(value - (1 << 32) if value >> 31 else value)


def write_no_markers(s):
    s.mark("no topic", (UNKNOWN, 0), False, topics=[])
    body = {"markers": [{"producerId": producer, "producerEpoch": 0, "transactionResult": True, "topics": [
        {"name": s.topic, "partitionIndexes": [0]}], "coordinatorEpoch": 0} for producer in (UNKNOWN + 1, UNKNOWN + 2)]}
    answer = s.wire.exchange("WriteTxnMarkers", 1, body)
    answer["markers"].sort(key=lambda one: one["producerId"])
    s.wire.told.append({"step": "two producers", "request": "WriteTxnMarkers v1", "answer": s.wire.plain(answer)})
    s.fetch("two markers", False)


def list_transactions(s):
    other = f"{s.transactional_id}-other"
    producer = s.init("begin")
    s.init("other", transactionalId=other)
    s.add("add", producer)

    def listed(label, version=0, **filters):
        body = {"stateFilters": [], "producerIdFilters": [], **filters}
        answer = s.wire.exchange("ListTransactions", version, body)
        answer["transactionStates"] = sorted((one for one in answer["transactionStates"]
                                              if one["transactionalId"].startswith(s.transactional_id)),
                                             key=lambda one: one["transactionalId"])
        s.wire.told.append({"step": label, "request": f"ListTransactions v{version}", "answer": s.wire.plain(answer)})

    listed("all")
    listed("ongoing", stateFilters=["Ongoing"])
    listed("empty, and a state that nobody knows", stateFilters=["Empty", "Asleep"])
    listed("by producer", producerIdFilters=[producer[0]])
    listed("by a producer that nobody knows", producerIdFilters=[UNKNOWN])
    listed("open for an hour", 1, durationFilter=3600000)
    s.describe("nobody", "txn-nobody")
    s.describe("empty", "")
    s.end("abort", producer, False)


# name: (the first release that it is for, what is asked)
SESSIONS = {one.__name__: (since, one) for since, one in [
    ("3.9", init_producer_id), ("3.9", add_partitions), ("3.9", add_partitions_batched), ("3.9", end_version_1),
    ("3.9", produce), ("3.9", overlap), ("3.9", produce_version_11), ("3.9", commit_offsets),
    ("3.9", commit_offsets_of_members), ("3.9", commit_offsets_version_4), ("3.9", time_runs_out),
    ("3.9", list_transactions), ("4.0", end_version_2), ("4.0", end_mixed), ("4.0", produce_adds),
    ("4.0", commit_offsets_adds), ("4.0", commit_offsets_with_a_later_epoch),
    ("4.0", commit_offsets_of_a_fenced_one),
    ("3.9", write_markers), ("3.9", write_markers_of_offsets), ("3.9", write_no_markers),
    ("4.2", write_markers_version_2), ("4.2", write_markers_of_older_protocols)]}
