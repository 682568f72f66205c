"""The suite is seen to fail: the honest reference client passes every case; each wrong one falls short in a case that
names the rule which it breaks."""
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile

REJOIN = sys.argv[1]

# The case in which each wrong client must fall short. WARN is enough where the rule is a SHOULD.
CASES = {
    "keep-id-after-25": "join/25-forgets-its-id", "old-generation-commit": "commit/uses-the-current-generation",
    "heartbeat-promised-id": "heartbeat/not-before-join-succeeded", "never-leave": "leave/on-close",
    "ignore-16": "heartbeat/16-keeps-its-membership",
    "ignore-heartbeat-27": "heartbeat/27-joins-again-with-its-id",
    "drop-id-on-27": "heartbeat/27-joins-again-with-its-id", "omit-empty-members": "sync/leader-assigns-everyone",
    "follower-assigns": "sync/follower-sends-an-empty-list", "hot-loop": "join/14-without-end-is-not-a-loop",
    "empty-id-after-79": "join/79-rejoins-with-the-given-id",
    "commit-between-join-and-sync": "commit/not-between-join-and-sync",
    "fetch-revoked": "group/fetches-only-what-it-owns", "fatal-14": "join/14-waits-and-retries",
    "ignore-heartbeat-25": "heartbeat/25-forgets-its-id", "ignore-heartbeat-22": "heartbeat/22-joins-again",
    "drop-id-on-22": "sync/22-joins-again", "rejoin-after-82": "join/82-stops",
    "no-heartbeats": "heartbeat/keeps-its-cadence", "leave-static": "static/stays-on-close",
    "heartbeat-after-leave": "leave/nothing-after-it", "keep-on-revoke": "group/eager-claims-nothing",
    "sync-wrong-generation": "sync/carries-what-join-gave", "two-joins": "join/one-at-a-time",
    "commit-unowned": "commit/only-what-it-owns", "no-instance-id": "static/carries-its-instance-id",
    "ignore-commit-errors": "commit/looks-at-every-partition",
    "skip-commit-before-revoke": "commit/before-the-rejoin",
}
ONLY_WARNED = {"drop-id-on-22", "leave-static", "skip-commit-before-revoke"}


def run_suite(out, flags, *cases):
    done = subprocess.run([REJOIN, "test-client", "--driver", f"exec:{REJOIN} consume {flags}", "--out", str(out),
                           "--jobs", "8", "--seed", "7", *cases], capture_output=True, text=True)
    if not (out / "results.json").exists():
        raise SystemExit(f"test-client left with {done.returncode} and no result: {done.stderr[-2000:]}")
    return done.returncode, json.loads((out / "results.json").read_text()), done.stdout


def judge(folder, name, rule):
    """What is wrong; empty when the wrong client is found out."""
    case = CASES.get(name)
    if case is None:
        return f"{name}: no case is known to find it"
    status, results, _ = run_suite(folder / name, f"--misbehave {name}", case)
    found = results["cases"][0]
    wanted = "WARN" if name in ONLY_WARNED else "FAIL"
    if found["result"] != wanted or status != (0 if name in ONLY_WARNED else 1):
        return f"{name}: {case} gave {found['result']} (status {status}), not {wanted}: {found['seen']}"
    if found["rule"]["id"] != rule:
        return f"{name} breaks {rule}, but {case} names {found['rule']['id']}"
    return ""


def main():
    listed = [line.split()[:2] for line in
              subprocess.run([REJOIN, "consume", "--list-misbehaviours"], capture_output=True, text=True,
                             check=True).stdout.splitlines()]
    complaints = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        status, results, printed = run_suite(folder / "honest", "")
        short = [c for c in results["cases"] if c["result"] not in ("PASS", "INFO")]
        if status != 0 or short or results["summary"]["PASS"] < 60:
            complaints.append(f"the honest client left with {status}:\n{printed}")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            complaints += filter(None, pool.map(lambda row: judge(folder, *row), listed))
    print("\n".join(complaints) or f"the honest client kept {results['summary']['PASS']} cases, "
                                   f"{len(listed)} wrong clients were found out")
    sys.exit(bool(complaints) or len(listed) < 10)


if __name__ == "__main__":
    main()
