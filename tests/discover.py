#!/usr/bin/env python3
"""Writes the ctest entries of one doctest program.

discover.py PROGRAM OUTPUT   one test "<program>:<test case>" for each test case

doctest brings a CMake module for this, which loses test cases whose names hold brackets, and our names cite
sections as "[C706] 12.6". A filter that selects nothing passes in doctest; here it fails.
"""
import pathlib
import subprocess
import sys


def quoted(text):
    """A CMake bracket argument, in which nothing is special."""
    return f"[==[{text}]==]"


def entry(program, case):
    name = quoted(f"{program.name}:{case}")
    selection = quoted("--test-case=" + case.replace(",", "\\,"))
    return (f"add_test({name} {quoted(program)} {selection})\n"
            f"set_tests_properties({name} PROPERTIES TIMEOUT 300 FAIL_REGULAR_EXPRESSION {quoted('test cases: +0')})\n")


def main(program, output):
    listing = subprocess.run([program, "--list-test-cases", "--no-intro=1"], check=True, capture_output=True, text=True)
    cases = [line for line in listing.stdout.splitlines() if line and not line.startswith(("[doctest]", "====="))]
    twice = sorted({case for case in cases if cases.count(case) > 1})
    if twice:
        sys.exit(f"{program}: test cases of one name: {twice}")
    pathlib.Path(output).write_text("".join(entry(pathlib.Path(program), case) for case in cases))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
