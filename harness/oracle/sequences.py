"""Random sequences of operations that mostly do what members, administrators and brokers do. The generator follows the
answers, so that most requests are accepted; the rest is wrong on purpose."""
import base64

GROUPS = ["g", "h"]
PROTOCOLS = ["range", "roundrobin", "sticky", "cooperative-sticky"]
SESSIONS_MS = [6000, 10000, 30000]
REBALANCES_MS = [1000, 6000, 20000, 60000]
APPEND_ERRORS = ["NOT_ENOUGH_REPLICAS", "UNKNOWN_TOPIC_OR_PARTITION", "REQUEST_TIMED_OUT", "NOT_LEADER_OR_FOLLOWER",
                 "KAFKA_STORAGE_ERROR", "MESSAGE_TOO_LARGE", "NETWORK_EXCEPTION", "COORDINATOR_LOAD_IN_PROGRESS",
                 "NOT_COORDINATOR", "INVALID_PRODUCER_EPOCH"]
TOPIC_IDS = {"t": "AAAAAAAAAAAAAAAAAAAABg", "u": "AAAAAAAAAAAAAAAAAAAABw"}
NEW_TOPIC_IDS = ["AAAAAAAAAAAAAAAAAAAACA", "AAAAAAAAAAAAAAAAAAAACQ"]  # of a topic that was deleted and made anew


def subscription(topics):
    """A ConsumerProtocolSubscription of version 1, as base64."""
    data = b"\0\1" + len(topics).to_bytes(4, "big")
    for topic in topics:
        data += len(topic).to_bytes(2, "big") + topic.encode()
    return base64.b64encode(data + b"\xff\xff\xff\xff" + b"\0\0\0\0").decode()


class Member:
    def __init__(self, group, name, instance):
        self.group, self.name, self.instance = group, name, instance
        self.id = "$" + name
        self.generation = 0
        self.state = "new"  # new, promised, joining, joined, syncing, stable
        self.is_leader = False
        self.others = []
        self.protocol = None
        self.session_ms = self.rebalance_ms = 0
        self.protocols = []


class Generator:
    def __init__(self, rng, seed):
        self.rng, self.seed = rng, seed
        self.members = []
        self.connection = self.correlation = self.names = 0
        self.pending = {}  # connection -> (member, what)
        self.started = 0
        self.waits = rng.random() < 0.06  # the log is replicated only when told
        self.topics = ["t", "u"]
        self.transactions = []

    # ---- One operation

    def next(self):
        self.started += 1
        if self.started == 1:
            return self.config()
        if self.started == 2:
            return self.set_topics()
        return self.pick()()

    def pick(self):
        choices = [(self.step_member, 60), (self.advance, 14), (self.new_member, 6), (self.odd_request, 6),
                   (self.admin, 6), (self.leave, 2), (self.world, 3), (self.transaction, 2)]
        if self.waits:
            choices.append((self.commit_log, 14))
        return self.rng.choices([choice for choice, _ in choices], [weight for _, weight in choices])[0]

    def config(self):
        op = {"op": "config", "seed": self.seed, "records": True, "trace": True,
              "initial_delay_ms": self.rng.choice([0, 0, 0, 500, 3000])}
        if self.rng.random() < 0.2:
            op["max_size"] = self.rng.choice([1, 2, 3])
        if self.rng.random() < 0.3:
            op["offsets_retention_minutes"] = self.rng.choice([1, 5])
        if self.waits:
            op["auto_commit"] = False
        return op

    def set_topics(self):
        return {"op": "topics", "topics": [{"name": name, "id": TOPIC_IDS[name], "partitions": 3}
                                           for name in self.topics]}

    def commit_log(self):
        return {"op": "commit"}

    def request(self, api, version, body, member=None, what=None, client="c", save=None):
        self.correlation += 1
        self.connection += 1
        if member is not None:
            self.pending[self.connection] = (member, what)
        op = {"op": "request", "conn": self.connection, "corr": self.correlation, "api": api, "version": version,
              "client_id": client, "body": body}
        if save:
            op["save"] = save
        return op

    # ---- Members

    def new_member(self):
        if len(self.members) >= 6 and self.rng.random() < 0.8:
            return self.step_member()
        self.names += 1
        instance = f"i{self.rng.randint(1, 3)}" if self.rng.random() < 0.35 else None
        member = Member(self.rng.choices(GROUPS, [5, 1])[0], f"m{self.names}", instance)
        self.choose_settings(member)
        self.members.append(member)
        return self.join(member, "")

    def choose_settings(self, member):
        member.session_ms = self.rng.choice(SESSIONS_MS)
        member.rebalance_ms = self.rng.choice(REBALANCES_MS)
        count = self.rng.choice([1, 1, 2, 3])
        names = self.rng.sample(PROTOCOLS, count) if self.rng.random() < 0.15 else PROTOCOLS[:count]
        topics = self.rng.choice([["t"], ["t", "u"], ["u"]])
        member.protocols = [{"name": name, "metadata": subscription(topics)} for name in names]

    def join(self, member, member_id, version=None):
        low = 5 if member.instance else 0
        version = version if version is not None else self.rng.choice([low, 4 if low == 0 else 5, 5, 7, 9, 9, 9])
        body = {"groupId": member.group, "sessionTimeoutMs": member.session_ms, "memberId": member_id,
                "protocolType": "consumer", "protocols": member.protocols}
        if version >= 1:
            body["rebalanceTimeoutMs"] = member.rebalance_ms
        if version >= 5:
            body["groupInstanceId"] = member.instance
        if version >= 8:
            body["reason"] = None
        member.state = "joining"
        return self.request(11, version, body, member, "join", client="c-" + member.name,
                            save={member.name: "/memberId"})

    def sync(self, member, generation=None, **changes):
        version = self.rng.choice([3, 4, 5, 5]) if member.instance else self.rng.choice([0, 1, 2, 3, 4, 5, 5, 5])
        assignments = []
        if member.is_leader or self.rng.random() < 0.1:
            assignments = [{"memberId": other, "assignment": base64.b64encode(other[-4:].encode()).decode()}
                           for other in member.others if self.rng.random() < 0.97]
        body = {"groupId": member.group, "generationId": member.generation if generation is None else generation,
                "memberId": member.id, "assignments": assignments}
        if version >= 3:
            body["groupInstanceId"] = member.instance
        if version >= 5:
            body.update({"protocolType": "consumer", "protocolName": member.protocol or "range"})
        body.update(changes)
        return self.request(14, version, body, member, "sync")

    def heartbeat(self, member, generation=None):
        version = self.rng.choice([3, 4]) if member.instance else self.rng.choice([0, 1, 2, 3, 4])
        body = {"groupId": member.group, "generationId": member.generation if generation is None else generation,
                "memberId": member.id}
        if version >= 3:
            body["groupInstanceId"] = member.instance
        return self.request(12, version, body, member, "heartbeat")

    def commit(self, member, generation=None, metadata=""):
        version = self.rng.choice([7, 8, 9]) if member.instance else self.rng.choice([2, 3, 5, 6, 7, 8, 9, 9])
        topics = self.rng.choices([["t"], ["u"], ["t", "u"], ["t", "gone"]], [5, 2, 2, 1])[0]
        body = {"groupId": member.group, "memberId": member.id,
                "generationIdOrMemberEpoch": member.generation if generation is None else generation,
                "topics": [self.commit_topic(name, version, metadata) for name in topics]}
        if version >= 7:
            body["groupInstanceId"] = member.instance
        if 2 <= version <= 4:
            body["retentionTimeMs"] = self.rng.choice([-1, -1, 60000])
        return self.request(8, version, body, member, "commit")

    def commit_topic(self, name, version, metadata):
        partitions = []
        for index in self.rng.sample(range(4 if self.rng.random() < 0.1 else 3), self.rng.choice([1, 2])):
            partition = {"partitionIndex": index, "committedOffset": self.rng.randint(0, 99),
                         "committedMetadata": metadata}
            if version >= 6:
                partition["committedLeaderEpoch"] = self.rng.choice([-1, 3])
            partitions.append(partition)
        return {"name": name, "partitions": partitions}

    def step_member(self):
        """What a well-behaved client would do next."""
        if not self.members:
            return self.new_member()
        member = self.rng.choice(self.members)
        if member.state == "new":
            return self.join(member, "")
        if member.state == "promised":
            return self.join(member, member.id, version=self.rng.choice([4, 5, 7, 9]))
        if member.state == "joined":
            return self.sync(member)
        if member.state in ("joining", "syncing"):
            return self.impatient(member)
        return self.live(member)

    def impatient(self, member):
        """Its request is parked: others go on, it may time out and repeat itself."""
        roll = self.rng.random()
        if roll < 0.15:
            return self.join(member, member.id)
        if roll < 0.25:
            return self.heartbeat(member)
        if roll < 0.35 and member.state == "syncing":
            return self.sync(member)
        ready = [other for other in self.members if other.state not in ("joining", "syncing")]
        if not ready:
            return self.advance()
        member = self.rng.choice(ready)
        return {"new": lambda: self.join(member, ""), "promised": lambda: self.join(member, member.id, 9),
                "joined": lambda: self.sync(member)}.get(member.state, lambda: self.live(member))()

    def live(self, member):
        roll = self.rng.random()
        if roll < 0.35:
            return self.heartbeat(member)
        if roll < 0.6:
            return self.commit(member)
        if roll < 0.68:
            return self.sync(member)
        if roll < 0.76:
            return self.join(member, member.id)
        if roll < 0.84:
            self.choose_settings(member)
            return self.join(member, member.id)
        if member.instance and roll < 0.95:
            return self.join(member, "")  # a static member that comes back
        return self.fetch(member.group)

    def leave(self):
        if not self.members:
            return self.advance()
        member = self.rng.choice(self.members)
        version = self.rng.choice([0, 1, 2, 3, 4, 5, 5])
        if version < 3:
            body = {"groupId": member.group, "memberId": member.id}
            leavers = [member]
        else:
            leavers = self.rng.sample(self.members, min(len(self.members), self.rng.choice([1, 1, 2])))
            body = {"groupId": member.group, "members": [self.identity(one, version) for one in leavers]}
        for one in leavers:
            one.state = "new"
        return self.request(13, version, body)

    def identity(self, member, version):
        one = {"memberId": member.id, "groupInstanceId": member.instance}
        if member.instance and self.rng.random() < 0.3:
            one["memberId"] = ""
        elif self.rng.random() < 0.1:
            one["groupInstanceId"] = self.rng.choice([None, "i1", "i9"])
        if version >= 5:
            one["reason"] = None
        return one

    # ---- What goes wrong

    def odd_request(self):
        if not self.members:
            return self.new_member()
        member = self.rng.choice(self.members)
        wrong = member.generation + self.rng.choice([-1, 1, 7])
        return self.rng.choice([
            lambda: self.heartbeat(member, wrong), lambda: self.sync(member, wrong),
            lambda: self.commit(member, wrong), lambda: self.commit(member, metadata="x" * 4097),
            lambda: self.as_somebody(member, self.heartbeat), lambda: self.as_somebody(member, self.sync),
            lambda: self.as_somebody(member, self.commit), lambda: self.as_somebody(member, self.rejoin),
            lambda: self.with_instance(member, self.heartbeat), lambda: self.with_instance(member, self.rejoin),
            lambda: self.with_instance(member, self.sync), lambda: self.with_instance(member, self.commit),
            lambda: self.sync(member, protocolName="other") if self.rng.random() < 0.5 else self.heartbeat(member),
            lambda: self.bad_join(member), lambda: self.anonymous_commit(member.group),
        ])()

    def rejoin(self, member):
        return self.join(member, member.id)

    def as_somebody(self, member, send):
        other = Member(member.group, member.name + "x", member.instance if self.rng.random() < 0.5 else None)
        other.id = self.rng.choice(["nobody", "", "$m1", "$m2"])
        other.generation, other.protocols = member.generation, member.protocols
        other.session_ms, other.rebalance_ms, other.protocol = 6000, 6000, member.protocol
        return self.fixed_sync(send(other))

    def with_instance(self, member, send):
        other = Member(member.group, member.name + "y", self.rng.choice(["i1", "i2", "i9"]))
        other.id, other.generation, other.protocols = member.id, member.generation, member.protocols
        other.session_ms, other.rebalance_ms, other.protocol = 6000, 6000, member.protocol
        return self.fixed_sync(send(other))

    def fixed_sync(self, op):
        self.pending.pop(op["conn"], None)
        op.pop("save", None)
        return op

    def bad_join(self, member):
        other = Member(member.group, member.name + "z", None)
        self.choose_settings(other)
        op = self.join(other, self.rng.choice(["", member.id]), version=9)
        change = self.rng.choice([{"sessionTimeoutMs": 5999}, {"sessionTimeoutMs": 1800001}, {"groupId": ""},
                                  {"protocolType": "connect"}, {"protocolType": ""}, {"protocols": []},
                                  {"protocols": [{"name": "own", "metadata": "AA=="}]}])
        op["body"].update(change)
        return self.fixed_sync(op)

    def anonymous_commit(self, group):
        version = self.rng.choice([2, 5, 8, 9])
        body = {"groupId": self.rng.choice([group, "simple", ""]), "memberId": "",
                "generationIdOrMemberEpoch": self.rng.choice([-1, -1, -1, 3]),
                "topics": [self.commit_topic("t", version, "")]}
        return self.request(8, version, body)

    # ---- Administrators, brokers, time

    def fetch(self, group):
        version = self.rng.choice([1, 2, 5, 7, 8, 9])
        topics = [{"name": "t", "partitionIndexes": [0, 1, 2]}, {"name": "gone", "partitionIndexes": [0]}]
        if version >= 2 and self.rng.random() < 0.5:
            topics = None
        if version < 8:
            body = {"groupId": group, "topics": topics}
        else:
            one = {"groupId": group, "topics": topics}
            if version >= 9:
                one.update({"memberId": None, "memberEpoch": -1})
            body = {"groups": [one]}
        if version >= 7:
            body["requireStable"] = self.rng.random() < 0.5
        return self.request(9, version, body)

    def admin(self):
        group = self.rng.choices(GROUPS + ["simple", "none"], [6, 2, 1, 1])[0]
        return self.rng.choice([
            lambda: self.fetch(group), lambda: self.fetch(group),
            lambda: self.request(15, self.rng.choice([0, 3, 4, 5, 6]), {"groups": [group]}),
            lambda: self.request(16, 5, {"statesFilter": self.rng.choice([[], ["stable"], ["Empty"]]),
                                         "typesFilter": []}),
            lambda: self.request(16, self.rng.choice([0, 3]), {}),
            lambda: self.delete_group(group),
            lambda: self.request(47, 0, {"groupId": group, "topics": [
                {"name": self.rng.choice(["t", "u", "gone"]), "partitions": [{"partitionIndex": 0},
                                                                           {"partitionIndex": 3}]}]}),
            lambda: self.anonymous_commit(group),
        ])()

    def delete_group(self, group):
        if self.waits:
            return self.fetch(group)  # Kafka waits for earlier writes before it looks (the part about share groups)
        return self.request(42, self.rng.choice([0, 1, 2]), {"groupsNames": [group]})

    def transaction(self):
        if self.waits:
            return self.step_member()  # a marker would wait too
        if self.transactions and self.rng.random() < 0.5:
            group, producer = self.transactions.pop(self.rng.randrange(len(self.transactions)))
            return {"op": "end_txn", "group": group, "producer_id": producer, "producer_epoch": 0,
                    "commit": self.rng.random() < 0.7}
        member = self.rng.choice(self.members) if self.members and self.rng.random() < 0.6 else None
        group = member.group if member else self.rng.choice(GROUPS)
        producer = self.rng.choice([7, 8])
        self.transactions.append((group, producer))
        version = self.rng.choice([0, 2, 3, 4, 5]) if member is None else self.rng.choice([3, 4, 5])
        topic = {"name": "t", "partitions": [{"partitionIndex": self.rng.randint(0, 2),
                                              "committedOffset": self.rng.randint(0, 99), "committedMetadata": ""}]}
        if version >= 2:
            topic["partitions"][0]["committedLeaderEpoch"] = -1
        body = {"transactionalId": "tx", "groupId": group, "producerId": producer, "producerEpoch": 0,
                "topics": [topic]}
        if version >= 3:
            body.update({"generationId": member.generation if member else -1, "memberId": member.id if member else "",
                         "groupInstanceId": member.instance if member else None})
        return self.request(28, version, body)

    def world(self):
        roll = self.rng.random()
        if roll < 0.25:
            return {"op": "fail_append", "count": 1, "error": self.rng.choice(APPEND_ERRORS)}
        if roll < 0.45 and not self.waits:
            for member in self.members:
                member.state = "stable" if member.state in ("joining", "syncing") else member.state
            return {"op": "reload"}
        if roll < 0.6:
            return {"op": "disconnect", "conn": self.rng.randint(1, max(1, self.connection))}
        if roll < 0.8:
            return {"op": "topics", "topics": [{"name": self.rng.choice(["t", "u"]),
                                                "partitions": self.rng.choice([3, 4])}]}
        if roll < 0.9:
            return {"op": "topics", "topics": [], "delete": ["u"]}
        return {"op": "topics", "topics": [{"name": "u", "id": self.rng.choice(NEW_TOPIC_IDS),
                                            "partitions": 3}]}

    def advance(self):
        # With writes on their way Kafka has more timers: one for each operation that waits its turn.
        if self.rng.random() < 0.5 and not self.waits:
            return {"op": "advance", "to_next": True}
        return {"op": "advance", "ms": self.rng.choices(
            [1, 499, 500, 999, 1000, 2999, 3000, 5000, 5999, 6000, 10000, 30000, 60000, 600000],
            [5, 5, 5, 5, 5, 5, 5, 4, 3, 3, 2, 1, 1, 2])[0]}

    # ---- Answers

    def learn(self, answers):
        for answer in answers:
            member, what = self.pending.get(answer.get("conn"), (None, None))
            if member is None or "body" not in answer:
                continue
            if not answer.get("no_reply"):
                self.pending.pop(answer["conn"])
            self.learn_one(member, what, answer["body"])

    def learn_one(self, member, what, body):
        error = body.get("errorCode", 0)
        if what == "join":
            self.learn_join(member, body, error)
        elif error in (25, 82):
            member.state = "new"
        elif what == "sync":
            member.state = "stable" if error == 0 else "rejoin" if error in (27, 22) else member.state
            if member.state == "rejoin":
                member.state = "promised"
        elif what == "heartbeat" and error in (27, 22):
            member.state = "promised"  # joins again under its id

    def learn_join(self, member, body, error):
        if error == 0:
            member.state, member.generation = "joined", body["generationId"]
            member.is_leader = body["leader"] == body["memberId"]
            member.protocol = body.get("protocolName")
            member.others = [one["memberId"] for one in body["members"]]
            if body.get("skipAssignment"):
                member.state = "stable"
        elif error == 79:
            member.state = "promised"
        else:
            member.state = "new"
