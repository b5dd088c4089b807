#!/usr/bin/env python3
"""Sums up the test presets that ./dev test ran.

report.py [--no-skips] PRESET=EXIT_STATUS...   reads build-PRESET/junit.xml of each

Prints the failed tests with the end of their output, the skipped ones with what would let them run, and as its last
line "N passed, N failed, N skipped". Exit 1 if one failed, or one was skipped under --no-skips.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

LINES = 25                                          # of a failed test's output
FAILURES_IN_FULL = 10                               # then only their names


def results_of(preset, status):
    """Yields (test, "passed" | "failed" | "skipped", output or reason) of one preset."""
    path = pathlib.Path(f"build-{preset}/junit.xml")
    cases = xml.parse(path).getroot().findall("testcase") if path.is_file() else []
    failed = False
    for case in cases:
        name = f"{preset}: {case.get('name')}"
        if case.find("skipped") is not None or case.get("status") == "notrun":
            said = re.search(r"^skipped: (.*)$", case.findtext("system-out") or "", re.M)
            yield name, "skipped", said.group(1) if said else case.find("skipped").get("message", "")
        elif case.get("status") == "run":
            yield name, "passed", ""
        elif case.get("status") != "disabled":
            failed = True
            yield name, "failed", case.findtext("system-out") or ""
    if status != 0 and not failed:
        yield f"{preset}: configure, build or test run", "failed", ""


def main(arguments):
    no_skips = "--no-skips" in arguments
    count = {"passed": 0, "failed": 0, "skipped": 0}
    skipped = {}
    for word in arguments:
        if word.startswith("--"):
            continue
        preset, status = word.split("=")
        for name, result, reason in results_of(preset, int(status)):
            count[result] += 1
            if result == "failed":
                print(f"failed   {name}")
                if count["failed"] <= FAILURES_IN_FULL:
                    for line in reason.rstrip().splitlines()[-LINES:]:
                        print(f"         {line}")
            elif result == "skipped":
                skipped.setdefault(reason or "no reason given", []).append(name)
    for reason, names in sorted(skipped.items()):
        print(f"skipped  {reason}")
        for name in names:
            print(f"         {name}")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or count["passed"] == 0 or (no_skips and count["skipped"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
