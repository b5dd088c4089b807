#!/usr/bin/env python3
"""Throughput with channels of short life against channels of long life, in one run.

usage: ratio.py RPCH [--rounds 5] [--bytes 512MiB] [--short 1MiB] [--long 1GiB] [--goal 0.8] [soak.py's options]

Runs soak.py with either lifetime in turn, so that what else the machine does hits both alike, and prints the ratio of
each round, its median, and one line of JSON. Exit 0 if every byte came back and the median is at least the goal.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('rpch')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--bytes', default='512MiB')
    p.add_argument('--short', default='1MiB')
    p.add_argument('--long', default='1GiB')
    p.add_argument('--goal', type=float, default=0.8)
    options, more = p.parse_known_args()
    soak = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'soak.py')

    def speed(lifetime):
        ran = subprocess.run([sys.executable, soak, options.rpch, '--bytes', options.bytes, '--lifetime', lifetime, *more],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = json.loads(ran.stdout.splitlines()[-1]) if ran.stdout else {}
        if ran.returncode != 0 or not said.get('ok'):
            sys.exit('ratio.py: soak.py --lifetime %s failed: %s' % (lifetime, ran.stdout))
        return said['mover']['mb_per_s_each_way']

    ratios = []
    for i in range(options.rounds):
        order = [options.short, options.long] if i % 2 == 0 else [options.long, options.short]
        got = {lifetime: speed(lifetime) for lifetime in order}
        ratios.append(got[options.short] / got[options.long])
        print('round %d: %s %.1f MB/s, %s %.1f MB/s each way, ratio %.2f' % (
            i + 1, options.short, got[options.short], options.long, got[options.long], ratios[-1]), file=sys.stderr)
    median = statistics.median(ratios)
    print(json.dumps({'short': options.short, 'long': options.long, 'ratio': round(median, 3), 'min': round(min(ratios), 3),
                      'max': round(max(ratios), 3), 'rounds': options.rounds, 'ok': median >= options.goal}))
    return 0 if median >= options.goal else 1


if __name__ == '__main__':
    sys.exit(main())
