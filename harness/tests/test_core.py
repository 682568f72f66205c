#!/usr/bin/env python3
"""`rejoin core` on operations that are wrong: each is answered, ended by its `done` line, and the next one goes on."""
import json
import subprocess
import sys

BAD = [
    ("{", "error"), ('{"op":1}', "error"), ('{"op":"nope"}', "error"), ('{"op":"request"}', "close"),
    ('{"op":"request","api":11,"version":99}', "close"), ('{"op":"request","api":3,"version":1}', "close"),
    ('{"op":"request","hex":"zz"}', "close"), ('{"op":"request","hex":"000b0009000000010000"}', "close"),
    ('{"op":"request","api":11,"version":9,"body":{"groupId":7}}', "error"),
    ('{"op":"request","api":11,"version":9,"body":[]}', "body"), ('{"op":"decode"}', "error"),
    ('{"op":"decode","api":11,"version":9,"hex":"00"}', "error"), ('{"op":"force_dead"}', "error"),
    ('{"op":"topics","topics":[{}]}', None), ('{"op":"topics","delete":[1]}', None), ('{"op":"fail_append"}', None),
    ('{"op":"end_txn"}', "end_txn"), ('{"op":"deny","rules":[{}]}', None), ('{"op":"config","uuids":["x",7]}', None),
    ('{"op":"request","api":12,"version":4,"body":{"groupId":"g","generationId":1,"memberId":"m"}}', "body"),
]


def main():
    text = "\n".join(line for line, _ in BAD) + "\n"
    done = subprocess.run([sys.argv[1], "core"], input=text, capture_output=True, text=True, check=False, timeout=60)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    failed = done.returncode != 0
    for number, (line, expected) in enumerate(BAD, 1):
        lines = []
        while answers:
            lines.append(answers.pop(0))
            if "done" in lines[-1]:
                break
        good = lines and lines[-1].get("done") == number
        good = good and (expected is None if len(lines) == 1 else expected in lines[0])
        if not good:
            failed = True
            print(f"{line}: expected {expected}, got {lines}")
    missing = subprocess.run([sys.argv[1], "core", "/nonexistent"], capture_output=True, text=True, check=False)
    if missing.returncode != 3 or "/nonexistent" not in missing.stderr:
        failed = True
        print(f"a file that is not there: exit code {missing.returncode}, {missing.stderr!r}")
    print(f"{len(BAD)} bad operations")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
