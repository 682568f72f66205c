"""kcat -G as a driver: see harness/drivers/README.md. Turns what kcat prints into JSON lines."""
import json
import os
import re
import signal
import subprocess
import sys
import threading

AREAS = {"smoke", "join", "sync", "heartbeat", "commit", "offset-fetch", "coordinator", "leave", "static", "group",
         "cooperative", "version", "delivery"}
UNSUPPORTED = 89
SETTINGS = {"REJOIN_CLIENT_ID": "client.id", "REJOIN_INSTANCE_ID": "group.instance.id",
            "REJOIN_ASSIGNOR": "partition.assignment.strategy", "REJOIN_SESSION_TIMEOUT_MS": "session.timeout.ms",
            "REJOIN_HEARTBEAT_INTERVAL_MS": "heartbeat.interval.ms",
            "REJOIN_REBALANCE_TIMEOUT_MS": "max.poll.interval.ms",
            "REJOIN_COMMIT_INTERVAL_MS": "auto.commit.interval.ms"}
REBALANCED = re.compile(r"% Group \S+ rebalanced(?: \(memberid .*?\))?: (assigned|revoked|incrementally assigned|"
                        r"incrementally revoked)[^:]*:? ?(.*)")
PARTITION = re.compile(r"(\S+) \[(\d+)\]")
lock = threading.Lock()


def say(**event):
    with lock:
        print(json.dumps(event), flush=True)


def is_supported(env):
    area, _, rest = env.get("REJOIN_CASE", "").partition("/")
    known = not rest or area in AREAS
    return known and env.get("REJOIN_PROTOCOL", "classic") == "classic" and env.get("REJOIN_ASSIGNOR") != "sticky"


def command(env):
    # -E: as an application that goes on after a transient error would
    line = ["kcat", "-b", env["REJOIN_BOOTSTRAP"], "-G", env["REJOIN_GROUP"], "-u", "-E", "-J",
            "-X", "auto.offset.reset=earliest"]
    for variable, name in SETTINGS.items():
        if env.get(variable):
            line += ["-X", f"{name}={env[variable]}"]
    return line + env["REJOIN_TOPICS"].split(",")


def report_log(stream):
    for line in stream:
        sys.stderr.write(line)
        sys.stderr.flush()
        match = REBALANCED.search(line)
        if match:
            topics = {}
            for topic, partition in PARTITION.findall(match.group(2)):
                topics.setdefault(topic, []).append(int(partition))
            say(event="revoked" if "revoked" in match.group(1) else "assigned", partitions=topics)
        elif line.startswith("% ERROR") or line.startswith("% FATAL"):
            say(event="error", message=line.strip("% \n"), fatal=line.startswith("% FATAL"))


def report_records(stream):
    for line in stream:
        record = json.loads(line)
        say(event="record", topic=record["topic"], partition=record["partition"], offset=record["offset"],
            value=record.get("payload"))


def main():
    if not is_supported(os.environ):
        sys.exit(UNSUPPORTED)
    kcat = subprocess.Popen(command(os.environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace")
    signal.signal(signal.SIGTERM, lambda *_: kcat.terminate())
    log = threading.Thread(target=report_log, args=(kcat.stderr,))
    log.start()
    report_records(kcat.stdout)
    log.join()
    status = kcat.wait()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
