"""Prints a line for each test of a JUnit file that CTest wrote: passed|failed|skipped, a tab, its name, a tab, why."""
import re
import sys
import xml.etree.ElementTree


def reason(case):
    """The last line that says why: a skipped test prints 'SKIPPED: why'."""
    text = case.findtext("system-out") or ""
    said = re.findall(r"^SKIPPED: (.+)$", text, re.MULTILINE)
    if said:
        return said[-1]
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def main():
    for case in xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        if case.find("failure") is not None or case.get("status") == "fail":
            verdict = "failed"
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            verdict = "skipped" if case.get("status") != "disabled" else "failed"
        else:
            verdict = "passed"
        print(verdict, case.get("name"), "" if verdict == "passed" else reason(case), sep="\t")


if __name__ == "__main__":
    main()
