"""What a test expected and got, and how it leaves."""
import sys

failures = 0


def check(what, got, expected):
    global failures
    if got != expected:
        failures += 1
        print(f"{what}:\n  got      {got!r}\n  expected {expected!r}")


def leave():
    sys.exit(1 if failures else 0)
