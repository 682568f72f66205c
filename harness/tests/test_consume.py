"""rejoin consume: groups on the mock, and what the command line refuses."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import consume_group

REJOIN = sys.argv[1]
failures = 0


def check(what, got, expected):
    global failures
    if got != expected:
        failures += 1
        print(f"{what}: {got!r} instead of {expected!r}")


def run(*options, env=None):
    return subprocess.run([REJOIN, "consume", *options], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(env or {})})


def test_usage():
    needed = ["--bootstrap", "127.0.0.1:1", "--group", "g", "--topic", "t"]
    for wrong, said in ((["--bootstrap", "nowhere"], "HOST:PORT"), (["--assignor", "best"], "roundrobin"),
                        (["--misbehave", "x"], "--list-misbehaviours"), (["--max-version", "Nothing:1"], "JoinGroup:3"),
                        (["--commit", "never"], "manual"), (["--duration-ms", "-1"], "number"), (["--no-such"], ""),
                        (["extra"], "options only")):
        result = run(*needed, *wrong)
        check(f"exit of {wrong}", result.returncode, 3)
        check(f"{said} in what {wrong} says", said in result.stderr, True)
    check("without anything", run().returncode, 3)
    check("help", run("--help").returncode, 0)
    listed = run("--list-misbehaviours").stdout.splitlines()
    check("at least 14 misbehaviours", len(listed) >= 14, True)
    rules = open("proto/rules.def", encoding="utf-8").read()
    for line in listed:
        check(f"rule of {line}", f'"{line.split()[1]}"' in rules, True)


def test_driver():
    """A case of an unknown area and another protocol are unsupported; the environment stands in for flags."""
    env = {"REJOIN_BOOTSTRAP": "127.0.0.1:1", "REJOIN_GROUP": "g", "REJOIN_TOPICS": "t"}
    check("canary", run(env={**env, "REJOIN_CASE": "canary-17/f"}).returncode, 89)
    check("protocol", run(env={**env, "REJOIN_PROTOCOL": "consumer"}).returncode, 89)
    check("environment", run("--duration-ms", "100", env={**env, "REJOIN_CASE": "join/x"}).stdout,
          '{"event":"closed","records":0}\n')


def with_mock(test):
    mock = subprocess.Popen([REJOIN, "mock", "--listen", "127.0.0.1:0", "--topic", "six:6", "--brokers", "3",
                             "--initial-rebalance-delay-ms", "0"], stdout=subprocess.PIPE, text=True)
    try:
        test(mock.stdout.readline().split()[1].split(",")[0])
    finally:
        mock.terminate()
        check("exit of the mock", mock.wait(timeout=10), 0)


def scales(bootstrap):
    for assignor in ("range", "cooperative-sticky"):
        check("scale 1-2-3-2-1", consume_group.scale(REJOIN, bootstrap, "six", assignor), None)


test_usage()
test_driver()
with_mock(scales)
sys.exit(failures != 0)
