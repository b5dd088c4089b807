#!/usr/bin/env python3
"""Runs the benchmarks of a build folder.

usage: run.py BUILD              codecs and framing: instructions, then times
       run.py BUILD --compare    the whole way, beside raw relays and gRPC, in one run, then each level of RPC security
                                 beside Samba (where it is installed, as root), in another; further words
                                 (--rounds N, --window MILLISECONDS) are handed on

Ends with 1 when a program failed or a goal with a verdict was missed.
"""
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run(words):
    print('\n== ' + ' '.join(os.path.relpath(word) if os.path.isabs(word) else word for word in words), flush=True)
    return subprocess.run(words).returncode == 0


def parts(build):
    good = [run(['sh', os.path.join(HERE, 'rts', 'count_instructions.sh')])]
    good += [run([program]) for program in sorted(glob.glob(os.path.join(build, '*_bench')))]
    return all(good)


def compare(build, words):
    whole_way = os.path.join(build, 'e2e', 'e2e')
    program = whole_way if os.path.exists(whole_way) else os.path.join(build, 'relay', 'raw_relays')
    grpc = os.path.join(build, 'peers', 'grpc_echo')
    good = run([program] + (['--grpc', grpc] if os.path.exists(grpc) else []) + words)
    levels = os.path.join(build, 'e2e', 'levels')
    if not os.path.exists(levels):
        return good
    samba = ['--samba', os.path.join(HERE, 'peers', 'samba_peer.py')]
    has_samba = os.geteuid() == 0 and os.path.exists('/usr/sbin/samba')
    if not has_samba:
        print('no rows of Samba: it is not installed, or this is not root')
    return run([levels] + (samba if has_samba else []) + words) and good


def main():
    words = sys.argv[1:]
    if not words or words[0].startswith('-'):
        print(__doc__, file=sys.stderr)
        return 2
    build = os.path.join(words[0], 'bench')
    good = compare(build, words[2:]) if words[1:2] == ['--compare'] else parts(build)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
