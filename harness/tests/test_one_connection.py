"""Several groups on one connection to the mock; ci/tests.d/56_one_connection asks the same of Kafka."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import one_connection

mock = subprocess.Popen([sys.argv[1], "mock", "--initial-rebalance-delay-ms", "1500", "--min-session-timeout-ms", "1000",
                         "--topic", "t:1"], stdout=subprocess.PIPE, text=True)
try:
    one_connection.check(mock.stdout.readline().split()[1])
finally:
    mock.terminate()
    assert mock.wait(timeout=20) == 0
