#!/usr/bin/env python3
"""Idle virtual connections: what they cost the proxy and the server, and whether each still works afterwards.

usage: idle.py RPCH [--connections 4500] [--seconds 120] [--expect-below PERCENT]

RPCH is the program `rpch`, and `soak_idle` is beside it. Connections are opened through one `rpch proxy` (plain HTTP) to
one `rpch serve`, left alone for the given time, and then make a call each. Prints one line of JSON: CPU time of proxy and
server during the idle time, in percent of one core; resident memory per connection; latency of the calls. Exit 0 if
every call came back and, with --expect-below, the proxy and the server each stayed below that.
"""
import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'interop'))
from lab import Failed, Program  # noqa: E402


def cpu_seconds(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def resident_bytes(pid):
    with open('/proc/%d/statm' % pid) as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('rpch')
    p.add_argument('--connections', type=int, default=4500)
    p.add_argument('--seconds', type=int, default=120)
    p.add_argument('--expect-below', type=float)
    options = p.parse_args()
    holder = os.path.join(os.path.dirname(os.path.abspath(options.rpch)), 'soak_idle')
    started = []
    try:
        server = Program([options.rpch, 'serve', '--http', '127.0.0.1:0'], 1)
        started.append(server)
        proxy = Program([options.rpch, 'proxy', '--listen', '127.0.0.1:0', '--allow-plain', '--auth', 'none',
                         '--valid-ports', '127.0.0.1:%d' % server.ports[0]], 1)
        started.append(proxy)
        watched = {'proxy': proxy.process.pid, 'server': server.process.pid}
        before = {name: resident_bytes(pid) for name, pid in watched.items()}
        binding = 'ncacn_http:127.0.0.1[%d,RpcProxy=127.0.0.1:%d,HttpUseTls=false]' % (server.ports[0], proxy.ports[0])
        with subprocess.Popen([holder, binding, str(options.connections), str(options.seconds)],
                              stdout=subprocess.PIPE, text=True) as idle:
            try:
                if idle.stdout.readline().strip() != 'open':
                    raise Failed('soak_idle opened not all of %d connections' % options.connections)
                memory = {n: (resident_bytes(pid) - before[n]) / options.connections for n, pid in watched.items()}
                began, spent = time.monotonic(), {n: cpu_seconds(pid) for n, pid in watched.items()}
                if idle.stdout.readline().strip() != 'idle time is over':
                    raise Failed('a connection ended while it was idle')
                took = time.monotonic() - began
                spent = {n: cpu_seconds(pid) - spent[n] for n, pid in watched.items()}
                calls = json.loads(idle.stdout.readline() or '{}')
                if idle.wait(60) != 0 or calls.get('connections') != options.connections:
                    raise Failed('not every connection could make a call afterwards')
            finally:
                idle.kill()
        percent = {n: round(100 * s / took, 3) for n, s in spent.items()}
        good = options.expect_below is None or all(x < options.expect_below for x in percent.values())
        print(json.dumps({'connections': options.connections, 'idle_seconds': round(took, 1), 'cpu_percent': percent,
                          'resident_bytes_per_connection': {n: round(b) for n, b in memory.items()},
                          'calls': calls, 'ok': good}))
        for each in reversed(started):
            each.stop()
        started.clear()
        return 0 if good else 1
    except Failed as failure:
        print('idle.py: %s' % failure, file=sys.stderr)
        return 1
    finally:
        for each in started:
            each.kill()


if __name__ == '__main__':
    sys.exit(main())
