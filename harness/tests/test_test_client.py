"""rejoin test-client as a command: what passes nothing, exit codes, expectations, evidence, and what derives from
results.json."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

REJOIN = str(pathlib.Path(sys.argv[1]).resolve())
HONEST = f"exec:{REJOIN} consume"
WRONG = f"exec:{REJOIN} consume --misbehave keep-id-after-25"
WRONG_CASE = "join/25-forgets-its-id"
# As drivers do: the canary is refused, the rest is run by the command.
SHELL = "exec:sh -c 'case $REJOIN_CASE in canary/*) exit 89;; esac; {}'"


class TestClient(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.out = pathlib.Path(self.folder.name) / "out"
        self.addCleanup(self.folder.cleanup)

    def run_suite(self, driver, *arguments):
        done = subprocess.run([REJOIN, "test-client", "--driver", driver, "--out", str(self.out), "--seed", "7",
                               *arguments], capture_output=True, text=True)
        path = self.out / "results.json"
        self.results = json.loads(path.read_text()) if path.exists() else None
        self.stderr = done.stderr
        self.stdout = done.stdout
        return done.returncode

    def results_of(self):
        return {case["id"]: case["result"] for case in self.results["cases"]}

    def expectations(self, **fields):
        path = pathlib.Path(self.folder.name) / "expectations.json"
        path.write_text(json.dumps([{"id": WRONG_CASE, "result": "FAIL", "reason": "known", **fields}]))
        return "--expectations", str(path)

    # ---- who passes nothing

    def test_a_driver_that_does_nothing_passes_nothing(self):
        self.assertEqual(self.run_suite("exec:/bin/true"), 1)
        self.assertEqual(set(self.results_of().values()), {"SKIPPED"})
        self.assertIn("89", self.results["void"])

    def test_a_driver_that_only_knows_the_canary_passes_nothing(self):
        self.assertEqual(self.run_suite(SHELL.format("exit 0")), 1)
        self.assertEqual(set(self.results_of().values()), {"SKIPPED"})
        self.assertIn("smoke", self.results["void"])

    def test_a_driver_that_supports_nothing_passes_nothing(self):
        self.assertEqual(self.run_suite("exec:sh -c 'exit 89'"), 1)
        self.assertEqual(set(self.results_of().values()), {"SKIPPED"})

    def test_a_command_that_is_not_there_is_said_so(self):
        self.assertEqual(self.run_suite("exec:/no/such/command"), 1)
        self.assertIn("not found", self.results["void"])

    def test_a_driver_without_its_pieces_tests_nothing(self):
        self.assertEqual(self.run_suite("exec:sh -c 'echo SKIPPED: needs more; exit 77'"), 5)
        self.assertIn("needs more", self.results["void"])

    def test_without_reports_delivery_is_inconclusive(self):
        silent = SHELL.format(f"exec {REJOIN} consume >/dev/null")
        self.assertEqual(self.run_suite(silent, "delivery/*"), 5)
        self.assertEqual(set(self.results_of().values()), {"INCONCLUSIVE"})

    # ---- kinds of results

    def test_a_client_that_dies_is_a_crash(self):
        dies = SHELL.format(f"case $REJOIN_CASE in smoke/*) exec {REJOIN} consume;; esac; "
                            f"{REJOIN} consume & sleep 0.5; kill -KILL $!; kill -SEGV $$")
        self.assertEqual(self.run_suite(dies, "join/names-its-topics", "leave/on-close"), 1)
        self.assertIn("CRASH", self.results_of().values())

    def test_a_client_that_does_not_end_hangs(self):
        stays = SHELL.format(f"case $REJOIN_CASE in smoke/*) exec {REJOIN} consume;; esac; trap : TERM; "
                             f"{REJOIN} consume & while :; do sleep 1; done")
        self.assertEqual(self.run_suite(stays, "join/names-its-topics"), 1)
        self.assertEqual(self.results_of(), {"join/names-its-topics": "HANG"})

    # ---- expectations

    def test_an_expected_failure_does_not_fall_short(self):
        self.assertEqual(self.run_suite(WRONG, WRONG_CASE, *self.expectations(contains="same member id")), 0)
        self.assertEqual(self.results["cases"][0]["overlay"], "XFAIL")

    def test_a_failure_in_another_way_falls_short(self):
        self.assertEqual(self.run_suite(WRONG, WRONG_CASE, *self.expectations(contains="something else")), 1)

    def test_an_expectation_of_what_passes_is_stale(self):
        self.assertEqual(self.run_suite(HONEST, WRONG_CASE, *self.expectations()), 2)
        self.assertEqual(self.results["cases"][0]["overlay"], "XPASS")

    def test_an_expired_expectation_is_stale(self):
        self.assertEqual(self.run_suite(HONEST, WRONG_CASE, *self.expectations(expires="2020-01-01")), 2)

    def test_an_expectation_for_no_case_is_stale(self):
        self.assertEqual(self.run_suite(HONEST, WRONG_CASE, *self.expectations(id="no/such-case")), 2)

    def test_an_unreadable_expectations_file_is_usage(self):
        path = pathlib.Path(self.folder.name) / "bad.json"
        path.write_text('[\n  {"id": }\n]')
        self.assertEqual(self.run_suite(HONEST, WRONG_CASE, "--expectations", str(path)), 3)
        self.assertIn("bad.json:2:", self.stderr)

    # ---- usage

    def test_wrong_usage(self):
        for arguments in (["--no-such-flag"], ["--jobs", "none"], ["no/such-case"]):
            self.assertEqual(self.run_suite(HONEST, *arguments), 3, arguments)
        self.assertEqual(self.run_suite("telnet:x"), 3)

    # ---- what is left behind

    def test_a_failure_leaves_evidence_and_a_pass_takes_it_away(self):
        self.assertEqual(self.run_suite(WRONG, WRONG_CASE), 1)
        folder = self.out / "join__25-forgets-its-id"
        self.assertLessEqual({"verdict.txt", "timeline.txt", "faults.json", "repro.sh", "case.pcapng",
                              "client-1.stdout", "client-1.stderr"}, {path.name for path in folder.iterdir()})
        self.assertIn("cl-join-25-reset", (folder / "verdict.txt").read_text())
        self.assertIn("UNKNOWN_MEMBER_ID", (folder / "timeline.txt").read_text())
        self.judge_pace((folder / "timeline.txt").read_text())
        check = subprocess.run([REJOIN, "check", "--json", str(folder / "case.pcapng")], capture_output=True, text=True)
        self.assertGreater(json.loads(check.stdout)["requests"], 10)
        again = subprocess.run([str(folder / "repro.sh"), str(self.out / "again")], capture_output=True, text=True)
        self.assertEqual(again.returncode, 1, again.stdout + again.stderr)
        self.assertEqual(self.run_suite(HONEST, WRONG_CASE), 0)
        self.assertFalse(folder.exists())

    def judge_pace(self, timeline):
        """Answers on the way to the coordinator take a millisecond, as a broker's do, and never less."""
        asked, took = {}, []
        for line in timeline.splitlines():
            found = re.match(r"#(\d+) +\+ +([\d.]+) s  (-->|<--) .*(?:ApiVersions|FindCoord)(?:.*to #(\d+))?", line)
            if found and found[3] == "-->":
                asked[found[1]] = float(found[2])
            elif found:
                took.append(float(found[2]) - asked[found[4]])
        self.assertGreaterEqual(len(took), 2)
        self.assertGreaterEqual(min(took), 0.0009)  # of times that are told in whole milliseconds

    def test_reports_derive_from_the_results(self):
        self.assertEqual(self.run_suite(WRONG, "join/25*", "join/79*"), 1)
        suite = xml.etree.ElementTree.parse(self.out / "junit.xml").getroot().find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("2", "1"))
        self.assertIn("join/25-forgets-its-id", (self.out / "summary.md").read_text())
        page = (self.out / "index.html").read_text()
        self.assertNotIn("http://", page)
        self.assertNotIn("src=", page)
        again = pathlib.Path(self.folder.name) / "again"
        done = subprocess.run([REJOIN, "report", "--out", str(again), str(self.out / "results.json")])
        self.assertEqual(done.returncode, 1)
        for name in ("junit.xml", "summary.md", "index.html"):
            self.assertEqual((again / name).read_text(), (self.out / name).read_text(), name)

    def test_reports_are_compared(self):
        self.run_suite(HONEST, WRONG_CASE)
        before = pathlib.Path(self.folder.name) / "before.json"
        before.write_text((self.out / "results.json").read_text())
        self.run_suite(WRONG, WRONG_CASE)
        done = subprocess.run([REJOIN, "report", "--compare", str(before), str(self.out / "results.json")],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("PASS -> FAIL", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
