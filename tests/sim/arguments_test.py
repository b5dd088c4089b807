#!/usr/bin/env python3
"""rpch-sim refuses what is no number, and a run that replaces too little fails.

usage: arguments_test.py PROGRAM
"""
import subprocess
import sys

CASES = [
    (["--seeds", "abc"], 2, "--seeds takes a number"),
    (["--seeds", "10x"], 2, "--seeds takes a number"),
    (["--seeds", "-1"], 2, "--seeds takes a number"),
    (["--seeds", ""], 2, "--seeds takes a number"),
    (["--seeds", "99999999999999999999"], 2, "--seeds takes a number"),
    (["--seed", "0x1"], 2, "--seed takes a number"),
    (["--from", " 1"], 2, "--from takes a number"),
    (["--seeds", "0"], 2, "no seed to run"),
    (["--seeds"], 2, "rpch-sim --seed N"),
    (["--no-such-option"], 2, "rpch-sim --seed N"),
    (["--case", "no case has this name"], 2, "no case"),
    (["--seed", "1", "--recycles-at-least", "2", "--replacements-of-each", "100000"], 1, "too few replacements: IN_R1"),
]

wrong = 0
for arguments, code, text in CASES:
    ran = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, timeout=60)
    if ran.returncode != code or text not in ran.stdout + ran.stderr:
        print(f"{arguments}: exit code {ran.returncode} instead of {code}, or no \"{text}\"")
        print(ran.stdout + ran.stderr)
        wrong += 1
print(f"{len(CASES) - wrong} of {len(CASES)}")
sys.exit(1 if wrong else 0)
