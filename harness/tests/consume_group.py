"""Groups of `rejoin consume` on any broker: what each member prints, followed as it comes.

consume_group.py REJOIN HOST:PORT TOPIC [ASSIGNOR...]   scales 1-2-3-2-1 on a topic of six partitions; exit 0 or 1
"""
import json
import signal
import subprocess
import sys
import threading
import time


class Member:
    def __init__(self, rejoin, bootstrap, group, topic, *options):
        self.owned, self.records, self.events, self.log = set(), [], [], []
        self.process = subprocess.Popen(
            [rejoin, "consume", "--bootstrap", bootstrap, "--group", group, "--topic", topic, "--json",
             "--heartbeat-interval-ms", "300", "--session-timeout-ms", "10000", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.log.append(line)
            if not line.startswith("{"):
                continue
            event = json.loads(line)
            if event["event"] == "record":
                self.records.append((event["partition"], event["offset"], event["value"]))
                continue
            numbers = {p for list_ in event.get("partitions", {}).values() for p in list_}
            if event["event"] == "assigned":
                self.owned |= numbers
            elif event["event"] in ("revoked", "lost"):
                self.owned -= numbers
            self.events.append(event)

    def close(self):
        """Exit status of a clean close."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=15)
        self.thread.join(timeout=5)
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def settled(members, partitions):
    owned = [member.owned for member in members]
    return sum(map(len, owned)) == len(set().union(*owned)) == partitions and all(
        len(o) in (partitions // len(members), -(-partitions // len(members))) for o in owned)


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            time.sleep(0.2)  # and it stays so
            if condition():
                return True
        time.sleep(0.05)
    return False


def scale(rejoin, bootstrap, topic, assignor, partitions=6):
    """None, or what went wrong."""
    members, gone = [], []
    try:
        for step in (1, 2, 3, -1, -1):
            if step > 0:
                members.append(Member(rejoin, bootstrap, "scale-" + assignor, topic, "--assignor", assignor,
                                      "--client-id", f"c{len(members)}"))
            else:
                gone.append(members.pop(0))
                if gone[-1].close() != 0:
                    return f"{assignor}: a member ended with {gone[-1].process.returncode}: {gone[-1].log[-5:]}"
            if not wait_until(lambda: settled(members, partitions), 30):
                return f"{assignor}: {len(members)} members own {[sorted(m.owned) for m in members]}"
        errors = [e for m in members + gone for e in m.events if e["event"] in ("error", "lost")]
        return f"{assignor}: {errors}" if errors else None
    finally:
        for member in members:
            member.kill()


if __name__ == "__main__":
    failed = [scale(sys.argv[1], sys.argv[2], sys.argv[3], a)
              for a in sys.argv[4:] or ["range", "roundrobin", "sticky", "cooperative-sticky"]]
    for failure in filter(None, failed):
        print(failure)
    sys.exit(any(failed))
