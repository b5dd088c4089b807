#!/usr/bin/env python3
"""Moves bytes through channels of short life, by one proxy or by a farm whose proxies are restarted meanwhile.

usage: soak.py RPCH [--form one|farm] [--bytes 64MiB] [--lifetime 1GiB] [--window 256KiB] [--pending 64]
               [--size 16KiB] [--connections 1] [--tls] [--limit SECONDS] [--seed N] [--expect-replaced N]
               [--proxies 3] [--every 50] [--drain SECONDS] [--haproxy-threads N] [--keep-logs FOLDER]

  one    mover -> proxy -> server: every successor meets its predecessor (IN_R2, OUT_R2)
  farm   mover -> HAProxy -> proxies -> server, IN and OUT apart: a proxy is given IN channels or OUT channels, never
         both. Whenever --every channels have been replaced, one proxy of the side that has more is drained (HAProxy
         sends it nothing new, SIGTERM, its exit awaited) and started again on the other side. So a process carries
         one kind of channel in all its life, each proxy has its turn on either side, and of three proxies the two
         that are not being drained carry one kind each. On the side with one proxy a successor meets its predecessor
         (IN_R2, OUT_R2); where there are two, or one is being drained, it may not (IN_R1, OUT_R1).

With --tls the mover speaks HTTPS to what is in front: the only proxy, or HAProxy, which then ends TLS.
RPCH is the program `rpch`, and `soak_mover` is beside it. Sizes may end in KiB, MiB, GiB. Prints progress to stderr
and one line of JSON to stdout. Everything is on 127.0.0.1.

Exit 0 if every byte came back, every proxy ended cleanly and without cutting a channel off, and at least
--expect-replaced channels of each way were replaced. With a farm the logs of the proxies must also show that
- no channel was opened or replaced at a process that had carried one of the other kind;
- all four kinds of replacement happened;
- each proxy was restarted twice at least, and all together once for every 4 times --every channels replaced;
- at a quarter of these restarts at least a channel was open.
Exit 1 if not; 77 if HAProxy is needed and not installed.
"""
import argparse
import collections
import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import Failed, Program, beside, free_port, make_certificate  # noqa: E402  (the folder comes first)

# What the proxies log, and under which name it is counted.
COUNTED = {
    'in_opened': re.compile(r'\bIN channel of .* open$'),
    'out_opened': re.compile(r'\bOUT channel of .* open$'),
    'in_successors_elsewhere': re.compile(r'\bIN channel of .* open, in place of another$'),
    'out_successors_elsewhere': re.compile(r'\bOUT channel of .* open, in place of another$'),
    'in_r1': re.compile(r'\bIN channel of .* replaced at another proxy$'),
    'in_r2': re.compile(r'\bIN channel of .* replaced at this proxy$'),
    'out_r1': re.compile(r'\bOUT channel of .* replaced at another proxy$'),
    'out_r2': re.compile(r'\bOUT channel of .* replaced at this proxy$'),
}
KINDS = 'in_r1', 'in_r2', 'out_r1', 'out_r2'
# Where a channel begins to be at a proxy: IN_R1 and OUT_R1 are told by the predecessor's proxy, too.
OPENED = 'in_opened', 'out_opened'
SUCCEEDED = 'in_successors_elsewhere', 'out_successors_elsewhere', 'in_r2', 'out_r2'
STOPPED = re.compile(r'stopping; connections open: [1-9]')
CUT_OFF = re.compile(r'closing connections that are open: ([0-9]+)')

HAPROXY = """global
    maxconn 400
    nbthread {threads}
    stats socket {room}/admin level admin
    log stdout format raw local0
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-request 30s
    log global
    option httplog
    option http-no-delay
    option redispatch 1
    retries 5
    http-reuse never
    balance roundrobin
frontend front
    bind 127.0.0.1:{port}{tls}
    use_backend out if {{ method RPC_OUT_DATA }}
    default_backend in
backend in
{ins}
backend out
{outs}
"""


def size(text):
    found = re.fullmatch(r'([0-9]+)(KiB|MiB|GiB)?', text)
    if not found:
        raise argparse.ArgumentTypeError('%r is no size' % text)
    return int(found.group(1)) << {None: 0, 'KiB': 10, 'MiB': 20, 'GiB': 30}[found.group(2)]


def read_options():
    about, usage, *rest = __doc__.split('\n\n')
    p = argparse.ArgumentParser(usage=usage.replace('usage: ', '', 1), description='\n\n'.join([about, *rest]),
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('rpch')
    p.add_argument('--form', choices=('one', 'farm'), default='one')
    p.add_argument('--bytes', type=size, default=64 << 20)
    p.add_argument('--lifetime', type=size, default=1 << 30)
    p.add_argument('--window', type=size, default=256 << 10)
    p.add_argument('--pending', type=int, default=64)
    p.add_argument('--size', type=size, default=16 << 10)
    p.add_argument('--connections', type=int, default=1)
    p.add_argument('--proxies', type=int)
    p.add_argument('--haproxy-threads', type=int, default=1)
    p.add_argument('--tls', action='store_true')
    p.add_argument('--every', type=int, default=50, help='channels replaced between two restarts')
    p.add_argument('--drain', type=int, default=60)
    p.add_argument('--limit', type=int, default=600)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--expect-replaced', type=int, help='at least so many IN and so many OUT channels')
    p.add_argument('--keep-logs')
    options = p.parse_args()
    options.mover = beside(options.rpch, 'soak_mover')
    if options.proxies is None:
        options.proxies = {'one': 1, 'farm': 3}[options.form]
    if (options.proxies < 3) != (options.form == 'one'):
        p.error('a farm has three proxies at least')
    if options.expect_replaced is None:
        # each way more goes than the contents, and a channel is replaced before it is full
        options.expect_replaced = options.bytes // options.lifetime
    return options


class Counts:
    """What became of the log lines of all proxies, those that were restarted included."""

    def __init__(self, keep):
        self.lock = threading.Lock()
        self.found = dict.fromkeys(COUNTED, 0)
        self.apart = dict.fromkeys(OPENED + SUCCEEDED, 0)   # of those, how many were alone with their kind
        self.busy = 0                                       # processes that had channels open when they were stopped
        self.cut_off = 0
        self.kept = open(os.path.join(keep, 'rpch.log'), 'w') if keep else None

    def taker(self, name):
        """Takes the log of one process, from its start to its end."""
        kinds = set()                                       # of the channels this process has carried

        def take(line):
            with self.lock:
                if self.kept and line:
                    print('%.3f' % time.time(), name, line, file=self.kept, flush=True)
                if name == 'server':
                    return
                for what, pattern in COUNTED.items():
                    if pattern.search(line):
                        kinds.add(what.split('_')[0])
                        self.found[what] += 1
                        if what in self.apart:
                            self.apart[what] += len(kinds) == 1
                self.busy += bool(STOPPED.search(line))
                cut = CUT_OFF.search(line)
                self.cut_off += int(cut.group(1)) if cut else 0
        return take

    def replaced(self, *ways):
        return sum(self.found[way + kind] for way in ways for kind in ('_r1', '_r2'))

    def were_apart(self, which):
        """How many of those channels were at a process that carried no other kind, and how many there were."""
        return sum(self.apart[what] for what in which), sum(self.found[what] for what in which)


class Proxy:
    """One place of the farm: a process on a port that stays the same when it is restarted."""

    def __init__(self, name, options, target, counts, tls):
        self.name, self.counts, self.port = name, counts, 0
        self.words = [options.rpch, 'proxy', '--valid-ports', '127.0.0.1:%d' % target, '--auth', 'none',
                      *(('--cert', tls[0], '--key', tls[1]) if tls else ('--allow-plain',)), '--channel-lifetime', str(min(options.lifetime, 1 << 31)),
                      '--receive-window', str(options.window), '--drain', str(options.drain)]
        self.start()

    def start(self):
        for again in range(20, -1, -1):
            try:
                self.program = Program(self.words + ['--listen', '127.0.0.1:%d' % self.port], 1,
                                       take_log=self.counts.taker(self.name))
                self.port = self.program.ports[0]
                return
            except Failed:                                  # somebody's connection may have got the port meanwhile
                if self.port == 0 or not again:
                    raise
                time.sleep(0.2)

    def stop(self, wait):
        self.program.stop(wait)


class Balancer:
    """HAProxy in front of the proxies."""

    def __init__(self, room, proxies, threads, tls):
        self.room = room
        if tls:
            with open(os.path.join(room, 'both.pem'), 'w') as both:
                for part in tls:
                    with open(part) as file:
                        both.write(file.read())
        half = (len(proxies) + 1) // 2
        self.sides = {'in': proxies[:half], 'out': proxies[half:]}      # the proxy that came last stands last
        self.port = free_port()
        with open(os.path.join(room, 'haproxy.cfg'), 'w') as out:
            out.write(HAPROXY.format(room=room, port=self.port, threads=threads,
                                     tls=' ssl crt %s/both.pem alpn http/1.1' % room if tls else '', ins=self.lines('in', proxies),
                                     outs=self.lines('out', proxies)))
        with open(os.path.join(room, 'haproxy.log'), 'w') as log:
            self.process = subprocess.Popen(['haproxy', '-db', '-f', os.path.join(room, 'haproxy.cfg')],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        give_up = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    raise Failed('HAProxy did not come up:\n' + self.said())
                time.sleep(0.05)

    def lines(self, side, proxies):
        """Every proxy, for it may come to either side; the admin socket enables those that are on the other now."""
        return '\n'.join('    server %s 127.0.0.1:%d%s' % (
            proxy.name, proxy.port, '' if proxy in self.sides[side] else ' disabled') for proxy in proxies)

    def next_in_turn(self):
        """The proxy that is longest on the larger side, its side and the other."""
        larger, smaller = sorted(self.sides, key=lambda side: -len(self.sides[side]))
        return self.sides[larger][0], larger, smaller

    def next_is_busy(self):
        proxy, side, _ = self.next_in_turn()
        for server in csv.DictReader(self.ask('show stat %s 4 -1' % side).splitlines()):
            if server['svname'] == proxy.name:
                return int(server['scur']) > 0
        raise Failed('HAProxy does not know %s' % proxy.name)

    def take_out(self):
        """Nothing new goes to the next proxy; it, and the side it is to come back to."""
        proxy, side, other = self.next_in_turn()
        self.set(side, proxy, 'drain')
        self.sides[side].remove(proxy)
        return proxy, other

    def put(self, proxy, side):
        self.set(side, proxy, 'ready')
        self.sides[side].append(proxy)

    def set(self, side, proxy, state):
        said = self.ask('set server %s/%s state %s' % (side, proxy.name, state))
        if said:
            raise Failed('HAProxy: ' + said)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(os.path.join(self.room, 'admin'))
            admin.sendall(command.encode() + b'\n')
            with admin.makefile() as answer:
                return answer.read().strip()

    def said(self):
        with open(os.path.join(self.room, 'haproxy.log'), errors='replace') as file:
            return file.read()[-2000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Soak:
    def __init__(self, options):
        self.options = options
        self.room = tempfile.mkdtemp(prefix='rpch_soak.')
        self.running = []
        self.restarts = collections.Counter()
        self.mover = None

    def start(self):
        o = self.options
        self.counts = Counts(o.keep_logs)
        server = Program([o.rpch, 'serve', '--http', '127.0.0.1:0'], 1, take_log=self.counts.taker('server'))
        self.running.append(server)
        self.target = server.ports[0]
        tls = None
        if o.tls:
            tls = os.path.join(self.room, 'cert.pem'), os.path.join(self.room, 'key.pem')
            make_certificate(*tls)
        self.proxies, self.front = [], None
        for number in range(o.proxies):
            self.proxies.append(Proxy('p%d' % number, o, self.target, self.counts, tls if o.form == 'one' else None))
        if o.form != 'one':
            self.front = Balancer(self.room, self.proxies, o.haproxy_threads, tls)
        at = self.front.port if self.front else self.proxies[0].port
        binding = 'ncacn_http:127.0.0.1[%d,HttpUseTls=%s,RpcProxy=127.0.0.1:%d]' % (
            self.target, 'true' if o.tls else 'false', at)
        words = [o.mover, binding, *(('--insecure', '1') if o.tls else ())]
        for name in ('bytes', 'pending', 'size', 'connections', 'lifetime', 'window', 'limit', 'seed'):
            words += ['--' + name, str(getattr(o, name))]
        self.mover = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def restart_in_turn(self):
        while self.replaced_more():
            began = time.monotonic()
            proxy, side = self.front.take_out()
            proxy.stop(self.options.drain + 10)
            took = time.monotonic() - began
            proxy.start()
            self.front.put(proxy, side)
            self.restarts[proxy.name] += 1
            print('%s was drained in %.2f s and is back for %s' % (proxy.name, took, side.upper()), file=sys.stderr)

    def replaced_more(self):
        """Waits until the next proxy is to be restarted, and carries a channel; or until the mover ends, in its limit."""
        goal = self.counts.replaced('in', 'out') + self.options.every
        while self.mover.poll() is None:
            if self.counts.replaced('in', 'out') >= goal and self.front.next_is_busy():
                return True
            time.sleep(0.005)
        return False

    def wrong_with_the_farm(self, proxies, busy):
        counts, wrong = self.counts, []
        said = []
        for which, name in ((OPENED, 'openings'), (SUCCEEDED, 'successors')):
            apart, all_of_them = counts.were_apart(which)
            said.append('%d of %d %s' % (apart, all_of_them, name))
            if apart != all_of_them:
                wrong.append('%d %s were at a proxy that had carried the other kind' % (all_of_them - apart, name))
        print('apart: ' + ' and '.join(said), file=sys.stderr)
        for what in OPENED:                                 # else a line of the log is not known any more
            if counts.found[what] != self.options.connections:
                wrong.append('%s is %d, not %d' % (what, counts.found[what], self.options.connections))
        wrong += ['%s never happened' % kind.upper() for kind in KINDS if not counts.found[kind]]
        wrong += ['%s was restarted %d times, not twice' % (proxy.name, self.restarts[proxy.name])
                  for proxy in proxies if self.restarts[proxy.name] < 2]
        fewest = counts.replaced('in', 'out') // (4 * self.options.every)
        if self.restarts.total() < fewest:
            wrong.append('%d restarts, not %d' % (self.restarts.total(), fewest))
        if 4 * busy < self.restarts.total():
            wrong.append('at %d of %d restarts only was a channel open' % (busy, self.restarts.total()))
        return wrong

    def run(self):
        self.start()
        if self.options.form == 'farm':
            self.restart_in_turn()
        said, _ = self.mover.communicate()
        summary = {'form': self.options.form, 'lifetime': self.options.lifetime, 'window': self.options.window,
                   'restarts': self.restarts, 'restarts_with_channels': self.counts.busy, 'mover': json.loads(said) if said else None}
        wrong = [] if self.mover.returncode == 0 else ['the mover ended with %d' % self.mover.returncode]
        # How the proxies end after the mover is no matter.
        busy_before, cut_before = self.counts.busy, self.counts.cut_off
        proxies = self.proxies
        wrong += self.stop()
        summary.update(self.counts.found)
        for way in ('in', 'out'):
            replaced = self.counts.replaced(way)
            if replaced < self.options.expect_replaced:
                wrong.append('%d %s channels were replaced, not %d' % (
                    replaced, way.upper(), self.options.expect_replaced))
        if self.options.form == 'farm':
            wrong += self.wrong_with_the_farm(proxies, busy_before)
        if cut_before:
            wrong.append('%d connections were cut off when a proxy was drained' % cut_before)
        summary['wrong'] = wrong
        summary['ok'] = not wrong
        return summary

    def stop(self):
        """Ends what runs; what went wrong with it."""
        wrong = []
        if self.mover is not None and self.mover.poll() is None:
            self.mover.kill()
            self.mover.wait()
        if getattr(self, 'front', None):
            self.front.stop()
        for one in [*(proxy.program for proxy in getattr(self, 'proxies', ())), *self.running]:
            try:
                one.stop(self.options.drain + 10)
            except Failed as failed:
                wrong.append(str(failed))
        self.proxies, self.running, self.front = [], [], None
        return wrong

    def remove(self):
        self.stop()
        if self.options.keep_logs and os.path.exists(os.path.join(self.room, 'haproxy.log')):
            shutil.copy(os.path.join(self.room, 'haproxy.log'), self.options.keep_logs)
        shutil.rmtree(self.room, ignore_errors=True)


def main():
    options = read_options()
    if options.form != 'one' and not shutil.which('haproxy'):
        print('skipped: needs haproxy: ./dev peers')
        return 77
    if options.keep_logs:
        os.makedirs(options.keep_logs, exist_ok=True)
    soak = Soak(options)
    try:
        summary = soak.run()
    except Failed as why:
        summary = {'ok': False, 'wrong': [str(why)]}
    finally:
        soak.remove()
    print(json.dumps(summary))
    return 0 if summary['ok'] else 1


if __name__ == '__main__':
    sys.exit(main())
