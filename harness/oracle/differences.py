"""What lock-step leaves of a difference: the shrunk session as JSON lines, and beside it a scenario that fails on the
core and passes once the core does what Kafka's coordinator did."""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FROM_SESSION = os.path.join(HERE, "..", "scenarios", "from-session")
ERRORS = os.path.join(HERE, "..", "..", "proto", "include", "rejoin", "errors.h")
FIELDS = {"generationId": "generation", "protocolName": "protocol"}  # their names in a scenario
UNNAMED = "join-new-empty"  # where no rule was met at the difference: any, for a human to replace


def write_session(directory, seed, operations, difference):
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"difference-{seed}.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"# seed {seed}: operation {difference[0] + 1}\n# core:   {difference[1]}\n"
                   f"# oracle: {difference[2]}\n")
        file.write("\n".join(operations) + "\n")
    return path


def rule_of(answers):
    """The rule that refused, or else the last that was met."""
    met = [rule for line in answers for rule in json.loads(line).get("trace", {}).get("rules", {})] if answers else []
    refused = re.findall(r'"rule":"([a-z0-9-]+)"', "\n".join(answers))
    return (refused or met or [UNNAMED])[-1]


def error_names():
    with open(ERRORS, encoding="utf-8") as file:
        return {int(code): name for name, code in re.findall(r"X\((\w+), (-?\d+)\)", file.read())}


def body_of(line):
    try:
        return json.loads(line).get("body") or {}
    except ValueError:
        return {}


def errors_in(value):
    """All error codes of an answer, those of its topics, members and groups too."""
    if isinstance(value, list):
        return {code for one in value for code in errors_in(one)}
    if not isinstance(value, dict):
        return set()
    own = {value["errorCode"]} if "errorCode" in value else set()
    return own.union(*(errors_in(one) for one in value.values()))


def changes(core, kafka):
    """[(what the scenario says, what it must say)]"""
    ours, theirs, names = body_of(core), body_of(kafka), error_names()
    if errors_in(ours) != errors_in(theirs) and len(errors_in(ours)) == len(errors_in(theirs)) == 1:
        yield names[errors_in(ours).pop()], names[errors_in(theirs).pop()]
    for field, word in FIELDS.items():
        if field in ours and field in theirs and ours[field] != theirs[field]:
            yield f"{word}={ours[field]}", f"{word}={theirs[field]}"


def expect_kafkas(lines, core, kafka):
    """Puts Kafka's answer in place of the core's in the last line that has it."""
    for wrong, right in changes(core, kafka):
        said = re.compile(rf"(?<=[\s=]){re.escape(wrong)}(?=\s|$)")
        for index in reversed(range(1, len(lines))):
            if said.search(lines[index]):
                lines[index] = re.sub(r" ![a-z0-9-]+", "", said.sub(right, lines[index]))
                break
    return lines


def write_scenario(rejoin, without, session, answers, difference):
    """The path of the scenario, or why there is none."""
    folder = session[:-len(".jsonl")]
    done = subprocess.run([sys.executable, FROM_SESSION, "--rejoin", rejoin, "--rule", rule_of(answers), "--kind", "keeps",
                           session, folder], capture_output=True, text=True, check=False)
    made = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names if name.endswith(".scn")]
    if done.returncode != 0 or not made:
        return None, (done.stdout + done.stderr).strip()
    with open(made[0], encoding="utf-8") as file:
        lines = file.read().splitlines()
    if without is None:  # otherwise it was made of the whole core's answers, which are right
        lines = expect_kafkas(lines, difference[1], difference[2])
    lines[1:1] = [f"# core: {difference[1]}", f"# Kafka: {difference[2]}"]
    path = folder + ".scn"
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.remove(made[0])
    os.removedirs(os.path.dirname(made[0]))
    knock_out = ["--without", without] if without else []
    failed = subprocess.run([rejoin, "run", *knock_out, path], capture_output=True, text=True, check=False)
    return path, "fails on the core" if failed.returncode == 1 else "passes on the core: put in what Kafka answers"
