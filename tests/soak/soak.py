#!/usr/bin/env python3
"""Moves bytes through channels of short life, by one proxy or by a farm whose proxies are restarted meanwhile.

usage: soak.py RPCH [--form one|apart|farm] [--bytes 64MiB] [--lifetime 1GiB] [--window 256KiB]
               [--pending 64] [--size 16KiB] [--connections 1] [--proxies N] [--haproxy-threads N] [--tls]
               [--restarts N] [--pause SECONDS] [--drain SECONDS] [--limit SECONDS] [--seed N]
               [--expect-replaced N] [--keep-logs FOLDER]

  one    mover -> proxy -> server: every successor meets its predecessor (IN_R2, OUT_R2)
  apart  mover -> HAProxy -> proxies -> server: IN channels go to some proxies, OUT channels to the others; a
         successor meets its predecessor's proxy every second time (IN_R1, IN_R2, OUT_R1, OUT_R2)
  farm   as `apart`, but every proxy takes both, IN and OUT a step apart; while the mover runs, one proxy after the
         other is drained (HAProxy sends it nothing new, SIGTERM, its exit awaited) and started again, until
         --restarts are done (0: for as long as the mover runs)

With --tls the mover speaks HTTPS to what is in front: the only proxy, or HAProxy, which then ends TLS.
RPCH is the program `rpch`, and `soak_mover` is beside it. Sizes may end in KiB, MiB, GiB. Prints progress to stderr
and one line of JSON to stdout. Exit 0 if every byte came back, and every proxy ended cleanly and without cutting a
channel off; 1 if not; 77 if HAProxy is needed and not installed. Everything is on 127.0.0.1.
"""
import argparse
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
    'opened_in': re.compile(r'\bIN channel of .* open(,|$)'),
    'opened_out': re.compile(r'\bOUT channel of .* open(,|$)'),
    'in_r1': re.compile(r'\bIN channel of .* replaced at another proxy$'),
    'in_r2': re.compile(r'\bIN channel of .* replaced at this proxy$'),
    'out_r1': re.compile(r'\bOUT channel of .* replaced at another proxy$'),
    'out_r2': re.compile(r'\bOUT channel of .* replaced at this proxy$'),
}
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
    default-server check inter 300ms fall 1 rise 1
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
    p.add_argument('--form', choices=('one', 'apart', 'farm'), default='one')
    p.add_argument('--bytes', type=size, default=64 << 20)
    p.add_argument('--lifetime', type=size, default=1 << 30)
    p.add_argument('--window', type=size, default=256 << 10)
    p.add_argument('--pending', type=int, default=64)
    p.add_argument('--size', type=size, default=16 << 10)
    p.add_argument('--connections', type=int, default=1)
    p.add_argument('--proxies', type=int)
    p.add_argument('--haproxy-threads', type=int, default=1)
    p.add_argument('--tls', action='store_true')
    p.add_argument('--restarts', type=int, default=0)
    p.add_argument('--pause', type=float, default=1)
    p.add_argument('--drain', type=int, default=60)
    p.add_argument('--limit', type=int, default=600)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--expect-replaced', type=int, help='at least so many IN and so many OUT channels')
    p.add_argument('--keep-logs')
    options = p.parse_args()
    options.mover = beside(options.rpch, 'soak_mover')
    if options.proxies is None:
        options.proxies = {'one': 1, 'apart': 4, 'farm': 3}[options.form]
    if options.proxies < {'one': 1, 'apart': 4, 'farm': 2}[options.form]:
        p.error('a farm has two proxies at least, four if IN and OUT are apart')
    if options.expect_replaced is None:
        # each way more goes than the contents, and a channel is replaced before it is full
        options.expect_replaced = options.bytes // options.lifetime
    return options


class Counts:
    """What became of the log lines of all proxies, those that were restarted included."""

    def __init__(self, keep):
        self.lock = threading.Lock()
        self.found = dict.fromkeys(COUNTED, 0)
        self.cut_off = 0
        self.kept = open(os.path.join(keep, 'rpch.log'), 'w') if keep else None

    def taker(self, name):
        def take(line):
            with self.lock:
                if self.kept and line:
                    print('%.3f' % time.time(), name, line, file=self.kept, flush=True)
                if name == 'server':
                    return
                for what, pattern in COUNTED.items():
                    self.found[what] += bool(pattern.search(line))
                cut = CUT_OFF.search(line)
                self.cut_off += int(cut.group(1)) if cut else 0
        return take


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

    def __init__(self, room, proxies, form, threads, tls):
        self.room = room
        if tls:
            with open(os.path.join(room, 'both.pem'), 'w') as both:
                for part in tls:
                    with open(part) as file:
                        both.write(file.read())
        if form == 'apart':
            half = (len(proxies) + 1) // 2
            ins, outs = proxies[:half], proxies[half:]
        else:
            ins, outs = proxies, proxies[1:] + proxies[:1]
        self.servers = {proxy.name: [] for proxy in proxies}
        self.port = free_port()
        with open(os.path.join(room, 'haproxy.cfg'), 'w') as out:
            out.write(HAPROXY.format(room=room, port=self.port, threads=threads,
                                     tls=' ssl crt %s/both.pem alpn http/1.1' % room if tls else '', ins=self.lines('in', ins),
                                     outs=self.lines('out', outs)))
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

    def lines(self, backend, proxies):
        """Each proxy twice in a row: of two successors one meets its predecessor."""
        out = []
        for proxy in proxies:
            for turn in 'ab':
                self.servers[proxy.name].append('%s/%s%s' % (backend, proxy.name, turn))
                out.append('    server %s%s 127.0.0.1:%d' % (proxy.name, turn, proxy.port))
        return '\n'.join(out)

    def set(self, proxy, state):
        """`drain`: nothing new goes there; `ready`: it is one of the farm again."""
        for server in self.servers[proxy.name]:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.connect(os.path.join(self.room, 'admin'))
                admin.sendall(b'set server %s state %s\n' % (server.encode(), state.encode()))
                said = admin.recv(4096).strip()
            if said:
                raise Failed('HAProxy: %s' % said.decode())

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
        self.restarts = 0
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
            self.front = Balancer(self.room, self.proxies, o.form, o.haproxy_threads, tls)
        at = self.front.port if self.front else self.proxies[0].port
        binding = 'ncacn_http:127.0.0.1[%d,HttpUseTls=%s,RpcProxy=127.0.0.1:%d]' % (
            self.target, 'true' if o.tls else 'false', at)
        words = [o.mover, binding, *(('--insecure', '1') if o.tls else ())]
        for name in ('bytes', 'pending', 'size', 'connections', 'lifetime', 'window', 'limit', 'seed'):
            words += ['--' + name, str(getattr(o, name))]
        self.mover = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def restart_in_turn(self):
        turn = 0
        while self.mover.poll() is None and (not self.options.restarts or self.restarts < self.options.restarts):
            if self.ended_within(self.options.pause):
                return
            proxy = self.proxies[turn % len(self.proxies)]
            turn += 1
            began = time.monotonic()
            self.front.set(proxy, 'drain')
            proxy.stop(self.options.drain + 10)
            took = time.monotonic() - began
            proxy.start()
            self.front.set(proxy, 'ready')
            self.restarts += 1
            print('%s was drained in %.1f s and is back' % (proxy.name, took), file=sys.stderr)

    def ended_within(self, seconds):
        try:
            self.mover.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def run(self):
        self.start()
        if self.options.form == 'farm':
            self.restart_in_turn()
        said, _ = self.mover.communicate()
        summary = {'form': self.options.form, 'lifetime': self.options.lifetime, 'window': self.options.window,
                   'restarts': self.restarts, 'mover': json.loads(said) if said else None}
        wrong = [] if self.mover.returncode == 0 else ['the mover ended with %d' % self.mover.returncode]
        cut_before = self.counts.cut_off                    # what is cut off after the mover's end is no matter
        wrong += self.stop()
        summary.update(self.counts.found)
        for way in ('in', 'out'):
            replaced = self.counts.found[way + '_r1'] + self.counts.found[way + '_r2']
            if replaced < self.options.expect_replaced:
                wrong.append('%d %s channels were replaced, not %d' % (
                    replaced, way.upper(), self.options.expect_replaced))
        kinds = ('in_r2', 'out_r2') if self.options.form == 'one' else ('in_r1', 'in_r2', 'out_r1', 'out_r2')
        if self.options.expect_replaced >= 8:               # each proxy stands twice in a row
            wrong += ['%s never happened' % kind.upper() for kind in kinds if not self.counts.found[kind]]
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
