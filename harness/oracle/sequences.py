"""Random sequences of operations that mostly do what members, administrators and brokers do. The generator follows the
answers, so that most requests are accepted; the rest is wrong on purpose."""
import base64

GROUPS = ["g", "h"]
PROTOCOLS = ["range", "roundrobin", "sticky", "cooperative-sticky"]
SESSIONS_MS = [6000, 10000, 30000]
REBALANCES_MS = [1000, 6000, 20000, 60000]
APPEND_ERRORS = ["NOT_ENOUGH_REPLICAS", "UNKNOWN_TOPIC_OR_PARTITION", "REQUEST_TIMED_OUT", "NOT_LEADER_OR_FOLLOWER",
                 "KAFKA_STORAGE_ERROR", "MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_FETCH_SIZE",
                 "NETWORK_EXCEPTION", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR", "INVALID_PRODUCER_EPOCH"]
OPERATIONS = ["READ", "DELETE", "DESCRIBE", "WRITE", "ALL"]

# What a sequence is about: how often it is drawn, what is added to the usual operations (or replaces their weight),
# and settings. "last" is done once and only "any_request" follows: time must not pass in a state that no broker has.
THEMES = {
    "plain": {"weight": 30},
    "static": {"weight": 10, "instances": 0.9, "ops": {"odd_request": 10}},
    "replicas": {"weight": 6, "waits": True, "ops": {"commit_log": 14, "unload": 3, "fetch_any": 4, "commit_any": 6}},
    "appends": {"weight": 8, "ops": {"fail_append": 14, "transaction": 4}},
    "transactions": {"weight": 6, "ops": {"transaction": 25, "reload": 2, "fetch_any": 8, "advance": 8}},
    "retention": {"weight": 8, "retention": [1, 1, 5], "ops": {"transaction": 4, "commit_any": 12, "fetch_any": 6,
                                                               "wait_long": 8, "leave": 6}},
    "rights": {"weight": 5, "ops": {"deny": 9, "any_request": 16, "transaction": 4, "admin": 14, "leave": 5}},
    "strangers": {"weight": 3, "ops": {"any_request": 50, "odd_request": 10}},
    "loading": {"weight": 5, "ops": {"unload": 5, "load": 8, "any_request": 14}},
    "limits": {"weight": 5, "max_size": [1, 2, 3], "ops": {"max_size": 4, "reload": 4, "new_member": 14}},
    "delay": {"weight": 6, "delay": [500, 3000, 10000, 400000], "ops": {"advance": 24, "leave": 6, "new_member": 10}},
    "patience": {"weight": 6, "sessions": [6000, 600000, 1800000], "rebalances": [0, -1, 1000, 600000, 600000, 900000],
                 "delay": [0, 3000, 400000], "ops": {"wait_five_minutes": 10, "advance": 8}},
    "topics": {"weight": 5, "ops": {"world": 10, "by_id": 20, "admin": 12, "fail_append": 3, "recreate": 4}},
    "votes": {"weight": 4, "duplicates": 0.1, "shuffles": 0.8},
    "dead": {"weight": 6, "last": "force_dead", "instances": 0.5},
    "inactive": {"weight": 3, "last": "inactive"},
}
TOPIC_IDS = {"t": "AAAAAAAAAAAAAAAAAAAABg", "u": "AAAAAAAAAAAAAAAAAAAABw"}
# Of topics that were deleted and made anew.
NEW_TOPIC_IDS = {"u": ["AAAAAAAAAAAAAAAAAAAACA", "AAAAAAAAAAAAAAAAAAAACQ"],
                 "t": ["AAAAAAAAAAAAAAAAAAAACg", "AAAAAAAAAAAAAAAAAAAACw"]}


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
    def __init__(self, rng, seed, theme=None):
        self.rng, self.seed = rng, seed
        self.protocol_type = rng.choices(["consumer", "connect"], [12, 1])[0]
        self.name = theme or rng.choices(list(THEMES), [one["weight"] for one in THEMES.values()])[0]
        self.theme = THEMES[self.name]
        self.members = []
        self.connection = self.correlation = self.names = 0
        self.pending = {}  # connection -> (member, what)
        self.unanswered = set()  # connections
        self.started = 0
        self.queue = []  # what comes next, whatever is drawn
        self.last_at = rng.randint(18, 36) if "last" in self.theme else None
        self.is_over = False
        self.wants_empty = False
        self.status = "active"  # unloaded, loading
        self.waits = self.theme.get("waits", False)  # the log is replicated only when told
        self.topics = ["t", "u"]
        self.transactions = []
        ops = {"step_member": 60, "advance": 14, "new_member": 6, "odd_request": 6, "admin": 6, "leave": 2, "world": 3,
               "transaction": 2, "any_request": 1}
        ops.update(self.theme.get("ops", {}))
        self.choices = [getattr(self, name) for name in ops]
        self.weights = list(ops.values())

    # ---- One operation

    def next(self):
        self.started += 1
        if self.started == 1:
            return self.config()
        if self.started == 2:
            return self.set_topics()
        if self.started == self.last_at:
            self.is_over = True
            return getattr(self, self.theme["last"])()
        if self.queue:
            return self.queue.pop(0)()
        if self.is_over:
            return self.any_request()
        return self.rng.choices(self.choices, self.weights)[0]()

    def config(self):
        op = {"op": "config", "seed": self.seed, "records": True, "trace": True,
              "initial_delay_ms": self.rng.choice(self.theme.get("delay", [0, 0, 0, 500, 3000]))}
        if "max_size" in self.theme or self.rng.random() < 0.1:
            op["max_size"] = self.rng.choice(self.theme.get("max_size", [2, 3, 4]))
        if "retention" in self.theme or self.rng.random() < 0.2:
            op["offsets_retention_minutes"] = self.rng.choice(self.theme.get("retention", [1, 5]))
        if self.waits:
            op["auto_commit"] = False
        if "by_id" in self.theme.get("ops", {}):
            op["props"] = {"unstable.api.versions.enable": "true"}
        return op

    def set_topics(self):
        return {"op": "topics", "topics": [{"name": name, "id": TOPIC_IDS[name], "partitions": 3}
                                           for name in self.topics]}

    def commit_log(self):
        return {"op": "commit"}

    def request(self, api, version, body, member=None, what=None, client="c", save=None):
        self.correlation += 1
        self.connection += 1
        self.unanswered.add(self.connection)
        if member is not None:
            self.pending[self.connection] = (member, what)
        op = {"op": "request", "conn": self.connection, "corr": self.correlation, "api": api, "version": version,
              "client_id": client if self.rng.random() < 0.99 else None, "body": body}
        if save:
            op["save"] = save
        return op

    # ---- Members

    def new_member(self):
        if len(self.members) >= 6 and self.rng.random() < 0.8:
            return self.step_member()
        self.names += 1
        is_static = self.rng.random() < self.theme.get("instances", 0.35)
        instance = f"i{self.rng.randint(1, 3)}" if is_static else None
        member = Member(self.rng.choices(GROUPS, [5, 1])[0], f"m{self.names}", instance)
        self.choose_settings(member)
        self.members.append(member)
        return self.join(member, "")

    def choose_settings(self, member):
        member.session_ms = self.rng.choice(self.theme.get("sessions", SESSIONS_MS))
        member.rebalance_ms = self.rng.choice(self.theme.get("rebalances", REBALANCES_MS))
        if member.instance and member.rebalance_ms <= 0:
            member.rebalance_ms = 1000  # with absent static members alone Kafka's timer would fire for ever
        count = self.rng.choice([1, 1, 2, 3])
        names = PROTOCOLS[:count]
        if self.rng.random() < self.theme.get("shuffles", 0.15):
            names = self.rng.sample(PROTOCOLS[:3] if "shuffles" in self.theme else PROTOCOLS, count)
        if self.rng.random() < self.theme.get("duplicates", 0):
            names = names + names[:1]
        topics = self.rng.choice([["t"], ["t", "u"], ["u"]])
        member.protocols = [{"name": name, "metadata": subscription(topics)} for name in names]

    def join(self, member, member_id, version=None):
        low = 5 if member.instance else 0
        version = version if version is not None else self.rng.choice([low, 9, 9, self.rng.randint(low, 9)])
        body = {"groupId": member.group, "sessionTimeoutMs": member.session_ms, "memberId": member_id,
                "protocolType": self.protocol_type, "protocols": member.protocols}
        if version >= 1:
            body["rebalanceTimeoutMs"] = member.rebalance_ms
        if version >= 5:
            body["groupInstanceId"] = member.instance
        if version >= 8:
            body["reason"] = self.rng.choice([None, None, "a reason"])
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
            body.update({"protocolType": self.protocol_type, "protocolName": member.protocol or "range"})
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
        topics = self.rng.choices([["t"], ["u"], ["t", "u"], ["t", "gone"], ["gone"]], [10, 4, 4, 2, 1])[0]
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
            partition = {"partitionIndex": index, "committedOffset": self.rng.randint(-1, 50),
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
        leavers = [member] + self.rng.sample(self.members, self.rng.choice([0, 0, min(2, len(self.members))]))
        return self.leave_of(leavers)

    def leave_of(self, leavers):
        version = self.rng.randint(0, 5)
        if version < 3:
            leavers = leavers[:1]
            body = {"groupId": leavers[0].group, "memberId": leavers[0].id}
        else:
            body = {"groupId": leavers[0].group, "members": [self.identity(one, version) for one in leavers]}
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
            one["reason"] = self.rng.choice([None, "bye"])
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
            lambda: self.other_protocol(member),
            lambda: self.bad_join(member), lambda: self.anonymous_commit(member.group),
        ])()

    def other_protocol(self, member):
        op = self.sync(member)
        if op["version"] >= 5:
            op["body"].update(self.rng.choice([{"protocolName": "other"}, {"protocolName": None},
                                               {"protocolType": None}, {"protocolType": "other"}]))
        return op

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
        version = self.rng.randint(1, 9)
        topics = self.rng.choice([[{"name": "t", "partitionIndexes": [0, 1, 2]},
                                   {"name": "gone", "partitionIndexes": [0]}],
                                  [{"name": "u", "partitionIndexes": [1, 2]}], []])
        if version >= 2 and self.rng.random() < 0.5:
            topics = None
        if version < 8:
            body = {"groupId": group, "topics": topics}
        else:
            body = {"groups": []}
            for name in [group] + ([name for name in GROUPS if name != group] if self.rng.random() < 0.3 else []):
                one = {"groupId": name, "topics": topics}
                if version >= 9:
                    one.update({"memberId": self.rng.choice([None, "m"]), "memberEpoch": -1})
                body["groups"].append(one)
        if version >= 7:
            body["requireStable"] = self.rng.random() < 0.5
        return self.request(9, version, body)

    def admin(self):
        group = self.rng.choices(GROUPS + ["simple", "none"], [6, 2, 1, 1])[0]
        return self.rng.choice([
            lambda: self.fetch(group), lambda: self.fetch(group),
            lambda: self.describe(group),
            lambda: self.request(16, 5, {"statesFilter": self.rng.choice([[], ["stable"], ["Empty"], ["x", "dead"]]),
                                         "typesFilter": self.rng.choice([[], ["Classic"], ["consumer"]])}),
            lambda: self.request(16, self.rng.choice([0, 1, 2, 3]), {}),
            lambda: self.delete_group(group),
            lambda: self.delete_offsets(group),
            lambda: self.anonymous_commit(group),
        ])()

    def describe(self, group):
        version = self.rng.randint(0, 6)
        body = {"groups": [group] + (["none"] if self.rng.random() < 0.2 else [])}
        if version >= 3:
            body["includeAuthorizedOperations"] = self.rng.random() < 0.3
        return self.request(15, version, body)

    def delete_offsets(self, group):
        names = self.rng.sample(["t", "u", "gone"], self.rng.choice([1, 1, 2]))
        return self.request(47, 0, {"groupId": group, "topics": [
            {"name": name, "partitions": [{"partitionIndex": index} for index in self.rng.sample([0, 1, 3], 2)]}
            for name in names]})

    def delete_group(self, group):
        if self.waits:
            return self.fetch(group)  # Kafka waits for earlier writes before it looks (the part about share groups)
        return self.request(42, self.rng.choice([0, 1, 2]), {"groupsNames": [group]})

    def transaction(self):
        if self.waits:
            return self.step_member()  # a marker would wait too
        if self.transactions and self.rng.random() < 0.5 and not self.is_over and self.status == "active":
            group, producer = self.transactions.pop(self.rng.randrange(len(self.transactions)))
            return {"op": "end_txn", "group": group, "producer_id": producer, "producer_epoch": 0,
                    "commit": self.rng.random() < 0.7}
        member = self.rng.choice(self.members) if self.members and self.rng.random() < 0.6 else None
        group = member.group if member else self.rng.choice(GROUPS + GROUPS + [""])
        version = self.rng.choice([0, 1, 2, 3, 4, 5]) if member is None else self.rng.choice([3, 4, 5])
        return self.txn_commit(group, version, member)

    def txn_commit(self, group, version, member=None):
        producer = self.rng.choice([7, 8])
        self.transactions.append((group, producer))
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
            return self.fail_append()
        if roll < 0.45 and not self.waits:
            return self.reload()
        if roll < 0.6:
            return {"op": "disconnect", "conn": self.rng.randint(1, max(1, self.connection))}
        if roll < 0.8:
            return {"op": "topics", "topics": [{"name": self.rng.choice(["t", "u"]),
                                                "partitions": self.rng.choice([3, 4])}]}
        if roll < 0.9:
            return {"op": "topics", "topics": [], "delete": ["u"]}
        return {"op": "topics", "topics": [{"name": "u", "id": self.rng.choice(NEW_TOPIC_IDS["u"]),
                                            "partitions": 3}]}

    def recreate(self):
        """A topic is deleted and made anew, and sometimes the record that takes its offsets away cannot be written."""
        new_id = self.rng.choice(NEW_TOPIC_IDS["t"])
        again = {"op": "topics", "topics": [{"name": "t", "id": new_id, "partitions": 3}]}
        self.queue = [self.fail_append, lambda: again, lambda: self.by_id(new_id), lambda: self.by_id(new_id)]
        return self.by_id(TOPIC_IDS["t"])

    def fail_append(self):
        return {"op": "fail_append", "count": 1, "error": self.rng.choice(APPEND_ERRORS)}

    def reload(self):
        for member in self.members:
            member.state = "stable" if member.state in ("joining", "syncing") else member.state
        return {"op": "reload"}

    def unload(self):
        if self.status != "active":
            return self.load()
        self.status = "unloaded"
        self.queue = [self.any_request] * 4
        return {"op": "unload"}

    def load(self):
        if self.status == "active":
            return self.step_member()
        if self.status == "unloaded" and self.rng.random() < 0.7 and not self.waits:
            self.status = "loading"
            # A transaction of an old client is answered differently just here.
            self.queue = [self.any_request] * 7 + [lambda: self.txn_commit("g", self.rng.choice([0, 1]))
                                                   if self.rng.random() < 0.5 else self.any_request()]
            return {"op": "load_begin"}
        op = {"op": "load_end" if self.status == "loading" else "load"}
        self.status = "active"
        self.reload()
        return op

    def max_size(self):
        self.queue = self.rng.choice([[self.reload], []])
        return {"op": "max_size", "value": self.rng.choice([1, 1, 2, 3, 100])}

    def deny(self):
        if self.rng.random() < 0.4:
            return {"op": "deny", "rules": []}
        rule = {"type": self.rng.choice(["GROUP", "GROUP", "TOPIC", "CLUSTER", "TRANSACTIONAL_ID"]),
                "op": self.rng.choice(OPERATIONS)}
        if self.rng.random() < 0.4:
            rule["name"] = {"GROUP": "g", "TOPIC": "t"}.get(rule["type"], "tx")
        rules = [rule]
        if self.rng.random() < 0.5:
            rules.append({"type": "CLUSTER", "op": "DESCRIBE"})
        self.queue = self.rng.choices(
            [self.any_request, lambda: self.request(16, self.rng.randint(0, 5), {}), lambda: self.describe("g"),
             lambda: self.delete_group("g"), lambda: self.delete_offsets("g"), self.leave, self.fetch_any,
             self.commit_any, lambda: self.as_is(self.heartbeat, self.somebody())], k=3)
        return {"op": "deny", "rules": rules}

    def somebody(self):
        return self.rng.choice(self.members) if self.members else self.stranger("g")

    def force_dead(self):
        if self.rng.random() < 0.5 and not self.wants_empty:
            return {"op": "force_dead", "group": "g"}
        # Empty with members, in which one JoinGroup has a defined answer: what it leaves behind nobody looks at.
        self.wants_empty = True
        members = [member for member in self.members if member.group == "g"]
        followers = [member for member in members
                     if member.state in ("joined", "stable") and member.generation > 0 and not member.is_leader]
        if (self.unanswered or not followers) and self.started < 45:
            self.last_at, self.is_over = self.started + 1, False  # later, when there is one and nobody waits
            if not self.unanswered or self.rng.random() < 0.5:
                return self.step_member()
            return {"op": "advance", "to_next": True}
        if self.unanswered:
            return {"op": "force_dead", "group": "g"}
        members = members or [self.stranger("g")]
        if followers and self.rng.random() < 0.8:
            member = self.rng.choice(followers)  # the rarest of those who may come
            member_id = member.id
        else:
            member = self.rng.choice(members)
            member_id = "" if member.instance and self.rng.random() < 0.7 else member.id
        self.queue = [lambda: self.as_is(self.join, member, member_id, 9)] + [lambda: self.fetch("none")] * 99
        return {"op": "force_dead", "group": "g", "state": "EMPTY"}

    def inactive(self):
        return {"op": "inactive"}

    # ---- Any request of anybody

    def any_request(self):
        group = self.rng.choices(["g", "h", "none", "simple", ""], [12, 2, 1, 1, 2])[0]
        if self.members and self.rng.random() < (0.9 if self.is_over else 0.7):
            member = self.rng.choice(self.members)
        else:
            member = self.stranger(group)
        return self.rng.choice([
            lambda: self.as_is(self.join, member, member.id), lambda: self.as_is(self.join, member, ""),
            lambda: self.as_is(self.sync, member), lambda: self.as_is(self.heartbeat, member),
            lambda: self.as_is(self.leave_of, [member]), lambda: self.as_is(self.commit, member),
            lambda: self.anonymous_commit(group), lambda: self.fetch(group), lambda: self.describe(group),
            lambda: self.request(16, self.rng.randint(0, 5), {}), lambda: self.delete_group(group),
            lambda: self.delete_offsets(group), self.transaction,
        ])()

    def stranger(self, group):
        member = Member(group, "stranger", self.rng.choice([None, None, "i1"]))
        self.choose_settings(member)
        member.id = self.rng.choice(["", "nobody"])
        return member

    def as_is(self, send, member, *more):
        """Sends without expecting anything: what the member does next does not hang on the answer."""
        members = member if isinstance(member, list) else [member]
        states = [one.state for one in members]
        op = self.fixed_sync(send(member, *more))
        for one, state in zip(members, states):
            one.state = state
        return op

    def by_id(self, topic_id=None):
        """Commits and fetches by topic id."""
        topic_id = topic_id or self.rng.choice([*TOPIC_IDS.values(), *NEW_TOPIC_IDS["t"], *NEW_TOPIC_IDS["u"]])
        if self.rng.random() < 0.5:
            return self.request(9, 10, {"groups": [{"groupId": self.rng.choice(["g", "simple"]), "memberId": None,
                                                    "memberEpoch": -1, "topics": [
                                                        {"topicId": topic_id, "partitionIndexes": [0, 1, 2]}]}],
                                        "requireStable": self.rng.random() < 0.5})
        member = self.rng.choice(self.members) if self.members and self.rng.random() < 0.6 else None
        topic = self.commit_topic("t", 10, "")
        del topic["name"]
        topic["topicId"] = topic_id
        return self.request(8, 10, {"groupId": member.group if member else "simple",
                                    "memberId": member.id if member else "",
                                    "generationIdOrMemberEpoch": member.generation if member else -1,
                                    "groupInstanceId": member.instance if member else None, "topics": [topic]})

    def fetch_any(self):
        return self.fetch(self.rng.choice(["g", "g", "h", "simple", "none"]))

    def commit_any(self):
        if self.members and self.rng.random() < 0.6:
            return self.as_is(self.commit, self.rng.choice(self.members))
        return self.anonymous_commit(self.rng.choice(["g", "h", "simple"]))

    def wait_long(self):
        return {"op": "advance", "ms": self.rng.choice([60000, 120000, 600000, 600000, 1200000])}

    def wait_five_minutes(self):
        return {"op": "advance", "ms": self.rng.choice([100000, 200000, 299000, 299999, 300000, 600000])}

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
            self.unanswered.discard(answer.get("conn"))
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
