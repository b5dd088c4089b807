#!/usr/bin/python3
"""Runs Samba's tests of raw PDUs (python3-samba) against 127.0.0.1, and prints a verdict for each.

    samba_raw.py NAME ...      the cases of these names

A line a case: `VERDICT NAME` and, for those that do not pass, where and why. Samba's settings and
the user come from the environment (raw_test.py)."""
import sys
import traceback
import unittest

from samba.tests.dcerpc import raw_protocol


class Verdicts(unittest.TestResult):
    def tell(self, verdict, test, why=None):
        last = ''
        if why:
            frames = [f for f in traceback.extract_tb(why[2]) if f.filename == raw_protocol.__file__]
            last = ' line %s: %s' % (','.join(str(f.lineno) for f in frames), str(why[1]).split('\n')[0][:150])
        print(verdict, test.id().rsplit('.', 1)[1] + last, flush=True)

    def addSuccess(self, test):
        self.tell('passed', test)

    def addFailure(self, test, why):
        self.tell('failed', test, why)

    addError = addFailure

    def addSkip(self, test, reason):
        self.tell('skipped', test)


def main():
    unittest.TestSuite(map(raw_protocol.TestDCERPC_BIND, sys.argv[1:])).run(Verdicts())


if __name__ == '__main__':
    main()
