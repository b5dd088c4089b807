"""What the interop tests share: the program under test on loopback, the peers, and the verdict.

A test file is a set of functions marked with @case(...). It is called as
    FILE --list               the names of its cases, one a line
    FILE PROGRAM CASE         runs one; PROGRAM is the path of rpch
and ends with 0 (passed), 1 (failed) or 77 (skipped, the peer is not installed). Whatever a case
starts it ends, by process id; every listener is on 127.0.0.1 with a port that the kernel picks.
"""
import collections
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import kerberos_realm

HERE = os.path.dirname(os.path.abspath(__file__))
# Debian's impacket and Samba are modules of this interpreter; another one may come first in PATH.
PEER_PYTHON = '/usr/bin/python3'
USER, PASSWORD = 'labuser', 'lab:pass word'
CASES = {}


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def case(*needs):
    """Marks a test case; `needs` are names of `available`."""
    def mark(function):
        CASES[function.__name__] = (function, needs)
        return function
    return mark


def imports(module):
    done = subprocess.run([PEER_PYTHON, '-c', 'import ' + module], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    return done.returncode == 0


def captures():
    """Whether packets on the loopback interface may be captured here."""
    if not shutil.which('dumpcap'):
        return False
    with tempfile.TemporaryDirectory() as room:
        done = subprocess.run(['dumpcap', '-q', '-i', 'lo', '-a', 'duration:1', '-w', room + '/probe.pcapng'],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def has_domain_controller():
    """Samba's databases and modules; root, for its ports and the owners of its files."""
    return (os.geteuid() == 0 and shutil.which('samba') is not None and imports('samba.provision, samba.dsdb')
            and os.path.exists('/usr/share/samba/setup/provision.ldif'))


def has_own_network():
    """The right to make a network with nothing in it but this test."""
    return shutil.which('unshare') is not None and subprocess.run(
        [*OWN_NETWORK, 'ip', 'link', 'set', 'lo', 'up'], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL).returncode == 0


OWN_NETWORK = ['unshare', '--net', '--map-root-user']
AVAILABLE = {
    'rpcclient': lambda: shutil.which('rpcclient') is not None,
    'a network of its own': has_own_network,
    'impacket': lambda: os.path.exists(PEER_PYTHON) and imports('impacket.dcerpc.v5.rpch'),
    'python3-samba': lambda: os.path.exists(PEER_PYTHON) and imports('samba.dcerpc.echo'),
    'smbtorture': lambda: shutil.which('smbtorture') is not None,
    'tshark': lambda: shutil.which('tshark') is not None,
    'openssl': lambda: shutil.which('openssl') is not None,
    'curl': lambda: shutil.which('curl') is not None,
    'nginx': lambda: shutil.which('nginx') is not None,
    "nginx's module stream": lambda: os.path.exists('/usr/lib/nginx/modules/ngx_stream_module.so'),
    'squid': lambda: shutil.which('squid') is not None or os.path.exists('/usr/sbin/squid'),
    'a Kerberos realm': kerberos_realm.available,
    'gss-ntlmssp': lambda: os.path.exists('/etc/gss/mech.d/mech.ntlmssp.conf'),
    'haproxy': lambda: shutil.which('haproxy') is not None,
    'a Samba domain controller': has_domain_controller,
    'the right to capture on lo': captures,
}


def expect(good, what):
    if not good:
        raise Failed(what)


class Program:
    """A long-running command of the program under test.

    `log` holds the latest lines of its log; `take_log` is called with each of them."""

    def __init__(self, words, listeners, take_log=None):
        self.words = words
        self.log = collections.deque(maxlen=1000)
        self.take_log = take_log
        self.stopped = False
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors='replace')
        self.lines = queue.Queue()
        self.readers = [threading.Thread(target=self.read, args=(stream, take), daemon=True) for stream, take in (
            (self.process.stdout, self.lines.put), (self.process.stderr, self.logged))]
        for reader in self.readers:
            reader.start()
        self.ports = [self.port() for _ in range(listeners)]

    @staticmethod
    def read(stream, take):
        for line in stream:
            take(line.rstrip('\n'))
        take('')                                            # the stream ended

    def logged(self, line):
        self.log.append(line)
        if self.take_log:
            self.take_log(line)

    def must_log(self, words, wait=5):
        """Waits for a line of the log that holds them."""
        give_up = time.monotonic() + wait
        while not any(words in line for line in self.latest(1000)):
            expect(time.monotonic() < give_up, 'not in the log: %s\n  %s' % (words, '\n  '.join(self.latest(25))))
            time.sleep(0.01)

    def latest(self, count=10):
        return list(self.log)[-count:]

    def port(self):
        try:
            line = self.lines.get(timeout=15)
        except queue.Empty:
            line = 'nothing within 15 s'
        found = re.fullmatch(r'listening on (?:127\.0\.0\.1):([0-9]+)', line)
        if not found:
            self.kill()
            raise Failed('%s\n  said: %s\n  %s' % (' '.join(self.words), line, '\n  '.join(self.latest())))
        return int(found.group(1))

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, wait=15):
        """SIGTERM must end it, cleanly."""
        self.stopped = True
        if self.process.poll() is not None:
            raise Failed('%s ended by itself with %d\n  %s' % (
                self.words[1], self.process.returncode, '\n  '.join(self.latest())))
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed('%s did not end within %d s of SIGTERM' % (self.words[1], wait))
        for reader in self.readers:
            reader.join(5)                                  # the log is whole
        expect(code == 0, '%s ended with %d after SIGTERM\n  %s' % (
            self.words[1], code, '\n  '.join(self.latest())))


def order_of(stream):
    """The byte order of the PDU that a stream begins with, by its data representation; [C706] 14.1."""
    return 'little' if stream[4] & 0x10 else 'big'


def pdus(stream):
    """The RPC PDUs in a stream that holds nothing else, whole ones: (PTYPE, pfc_flags, octets). [C706] 12.6.3.1."""
    out = []
    while len(stream) >= 16:
        length = int.from_bytes(stream[8:10], order_of(stream))
        if length < 16 or length > len(stream):
            break
        out.append((stream[2], stream[3], bytes(stream[:length])))
        stream = stream[length:]
    return out


BIND_ACK, ALTER_CONTEXT_RESP, RTS = 12, 15, 20              # PTYPE
AUTH_TYPES = {9: 'spnego', 10: 'ntlm', 16: 'krb5'}          # [MS-RPCE] 2.2.1.1.7 and 2.2.1.1.8, by Samba's words
AUTH_LEVELS = {2: 'connect', 4: 'packet', 5: 'sign', 6: 'seal'}
SYNTAXES = {uuid.UUID('8a885d04-1ceb-11c9-9fe8-08002b104860'): 'ndr',
            uuid.UUID('71710533-beba-4937-8319-b5dbef9ccc36'): 'ndr64'}


def protection(octets):
    """Mechanism and level of a PDU, or None."""
    order = order_of(octets)
    length = int.from_bytes(octets[10:12], order)
    if length == 0:
        return None
    trailer = octets[-length - 8:]
    return AUTH_TYPES.get(trailer[0], trailer[0]), AUTH_LEVELS.get(trailer[1], trailer[1])


def accepted(octets):
    """The transfer syntaxes that a bind_ack or alter_context_resp accepts. [C706] 12.6.4.4."""
    order = order_of(octets)
    at = 26 + int.from_bytes(octets[24:26], order)
    at += -at % 4
    out = []
    for one in range(octets[at]):
        result = octets[at + 4 + 24 * one:][:24]
        if result[:2] == b'\0\0':
            name = uuid.UUID(bytes_le=result[4:20]) if order == 'little' else uuid.UUID(bytes=result[4:20])
            out.append(SYNTAXES.get(name, str(name)))
    return out


def rpc_stream(stream):
    """What is behind the HTTP head of a channel, of whose logon the last leg may be answered as an echo request."""
    at = stream.rfind(b'\r\n\r\n\x05\x00\x14')
    return stream[at + 4:] if at >= 0 else stream


def spoken(tap):
    """How all clients of a tap spoke: the byte orders of their PDUs, (mechanism, level) of the protected ones, and the
    transfer syntaxes that they got; with or without HTTP around it."""
    orders, protected, syntaxes = set(), set(), set()
    for client, server in tap.connections:
        for kind, _, octets in pdus(rpc_stream(bytes(client))):
            if kind != RTS:
                orders.add(order_of(octets))
                protected.add(protection(octets))
        for kind, _, octets in pdus(rpc_stream(bytes(server))):
            if kind in (BIND_ACK, ALTER_CONTEXT_RESP):
                syntaxes.update(accepted(octets))
    return orders, protected - {None}, syntaxes


# The words of a binding by which Samba's client speaks otherwise, and how it then does: byte order, transfer syntax.
ENCODINGS = {'': ('little', 'ndr'), 'bigendian': ('big', 'ndr'), 'ndr64': ('little', 'ndr64')}


def expect_spoken(tap, mechanism, level, encoding, what):
    """The wire must show what a binding of Samba's client asked for."""
    order, syntax = ENCODINGS[encoding]
    expected = {order}, {(mechanism, level)} if mechanism else set(), {syntax}
    expect(spoken(tap) == expected, '%s: %s on the wire' % (what, spoken(tap)))


def at_once(jobs, width=4):
    """Runs functions side by side, which mostly wait, and prints what each returns. The first failure is raised when all
    have ended."""
    with ThreadPoolExecutor(width) as pool:
        for one in [pool.submit(job) for job in jobs]:
            print(one.result())


class Tap:
    """A TCP relay that keeps what it carried: a capture that needs no rights.

    `change`, if set, is called with what came from the client and gives what goes on to the server, and is kept."""

    def __init__(self, to, host='127.0.0.1'):
        self.to = (host, to)
        self.change = None
        self.connections = []                               # [bytes from the client, bytes to it]
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
                far = socket.create_connection(self.to)
            except OSError:
                return
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            kept = [bytearray(), bytearray()]
            self.connections.append(kept)
            threading.Thread(target=self.carry, args=(near, far, kept[0], self.change), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near, kept[1]), daemon=True).start()

    @staticmethod
    def carry(here, there, kept, change=None):
        try:
            while True:
                got = here.recv(65536)
                if not got:
                    break
                if change:
                    got = change(got)
                kept += got
                there.sendall(got)
            there.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def save(self, folder):
        """Writes NNN.client.bin and NNN.server.bin, as `dissect.py --streams` reads them."""
        os.makedirs(folder, exist_ok=True)
        for number, sides in enumerate(self.connections):
            for name, kept in zip(('client', 'server'), sides):
                with open(os.path.join(folder, '%03d.%s.bin' % (number, name)), 'wb') as out:
                    out.write(bytes(kept))

    def close(self):
        self.listener.close()


class Lab:
    """One server and one proxy in front of it, as a case wants them."""

    def __init__(self, program):
        self.program = program
        self.room = tempfile.mkdtemp(prefix='rpch_interop.')
        self.running = []
        self.taps = []
        self.last = []

    def __enter__(self):
        return self

    def __exit__(self, kind, why, trace):
        worst = None
        for do in reversed(self.last):
            do()
        for one in reversed(self.running):
            if one.stopped:
                continue
            try:
                one.stop()
            except Failed as failed:
                worst = failed
        for tap in self.taps:
            tap.close()
        if kind is not None:
            for one in self.running:
                print('--- log of %s' % ' '.join(one.words[1:]), *one.latest(25), sep='\n    ', file=sys.stderr)
        shutil.rmtree(self.room, ignore_errors=True)
        if worst and kind is None:
            raise worst

    def path(self, name):
        return os.path.join(self.room, name)

    def on_exit(self, do):
        """Called before the program is stopped; the latest first."""
        self.last.append(do)

    def start(self, *words, listeners):
        one = Program([self.program, *words], listeners)
        self.running.append(one)
        return one.ports

    def serve(self, *more):
        """The sample server on every kind of endpoint: the attributes http, tcp, epmap_http, epmap_tcp."""
        any_port = '127.0.0.1:0'
        self.http, self.tcp, self.epmap_http, self.epmap_tcp = self.start(
            'serve', '--http', any_port, '--tcp', any_port, '--epmap-http', any_port, '--epmap-tcp', any_port,
            *more, listeners=4)

    def proxy(self, *more, tls=False, auth='none', valid_ports=None, password=PASSWORD, port=0):
        """The RPC proxy, with more words of its command line; the attribute `at` is where clients reach it."""
        if valid_ports is None:
            valid_ports = '127.0.0.1:%d;127.0.0.1:%d' % (self.http, self.epmap_http)
        words = ['proxy', '--listen', '127.0.0.1:%d' % port, '--valid-ports', valid_ports, '--auth', auth]
        words += ['--cert', self.certificate(), '--key', self.path('key.pem')] if tls else ['--allow-plain']
        if auth != 'none':
            more_words = ('--ntlm',) if 'ntlm' in auth or 'negotiate' in auth else ()
            words += ['--users', self.users(password, *more_words)]
        self.port, = self.start(*words, *more, listeners=1)
        self.at = '127.0.0.1:%d' % self.port

    def raw_server(self):
        """raw_server.cpp: the ports of its endpoint mapper, and of its other interfaces over TCP and ncacn_http."""
        one = Program([beside(self.program, 'interop_raw_server'), str(free_port())], listeners=3)
        self.running.append(one)
        return one.ports

    def tap(self, port, host='127.0.0.1'):
        one = Tap(port, host)
        self.taps.append(one)
        return one

    def certificate(self, name=''):
        """A self-signed certificate of this machine's loopback address; its key is beside it."""
        cert, key = self.path(name + 'cert.pem'), self.path(name + 'key.pem')
        if not os.path.exists(cert):
            make_certificate(cert, key)
        return cert

    def users(self, password, *more, user=USER):
        done = subprocess.run([self.program, 'passwd', self.path('users'), user, *more], input=password + '\n',
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        expect(done.returncode == 0, 'rpch passwd: ' + done.stdout)
        with open(self.path('users')) as file:
            expect(password not in file.read(), 'the users file shows the password')
        return self.path('users')

    def alone(self, script, *words, timeout=40):
        """Runs a script of this folder, which starts the program itself, in a network of its own."""
        return run([*OWN_NETWORK, PEER_PYTHON, os.path.join(HERE, script), self.program, *words], timeout)

    def client(self, script, *words, timeout=40):
        """Runs a client script of this folder; its exit code and all it said."""
        return run([PEER_PYTHON, os.path.join(HERE, script), '--timeout', str(timeout - 10), *words], timeout)


def make_certificate(cert, key):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                    '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run(words, timeout, environment=None):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', timeout=timeout,
                              env=dict(os.environ, PYTHONDONTWRITEBYTECODE='1', LC_ALL='C.UTF-8',
                                       **(environment or {})))
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b''
        return None, said.decode(errors='replace') if isinstance(said, bytes) else said


def smbtorture(binding, tests, timeout, user='%', options=(), environment=None):
    """What the torture tests say: {subtest: verdict}, and the output. Each test has connections of its own; `tests` is a
    name, or several, which a single run of the program makes one after another: cheaper."""
    with tempfile.TemporaryDirectory(prefix='rpch_interop.') as room:
        conf = os.path.join(room, 'smb.conf')
        with open(conf, 'w') as out:
            out.write('[global]\n' + ''.join('%s = %s\n' % (name, room) for name in (
                'private dir', 'lock directory', 'state directory', 'cache directory')))
            out.write('tls verify peer = no_check\n')
        _, said = run(['smbtorture', '-s', conf, '-U' + user, '--basedir=' + room,
                       *('--option=' + one for one in options), binding,
                       *((tests,) if isinstance(tests, str) else tests)], timeout, environment)
    found = re.findall(r'^(success|failure|error|skip): (?:echo\.)?([a-z0-9]+)', said, re.M)
    return {name: verdict for verdict, name in found}, said


def free_port():
    """A port on which nothing listens."""
    with socket.create_server(('127.0.0.1', 0)) as briefly:
        return briefly.getsockname()[1]


def beside(program, name):
    """The path of a program that is built into the same folder."""
    return os.path.join(os.path.dirname(os.path.abspath(program)), name)


def main():
    words = sys.argv[1:]
    if words == ['--list']:
        print('\n'.join(CASES))
        return 0
    if len(words) != 2 or words[1] not in CASES:
        print(__doc__, file=sys.stderr)
        return 1
    program, name = words
    function, needs = CASES[name]
    for need in needs:
        if not AVAILABLE[need]():
            print('skipped: needs %s: ./dev peers' % need)
            return 77
    started = time.monotonic()
    try:
        with Lab(program) as lab:
            function(lab)
    except Skipped as why:
        print('skipped: %s' % why)
        return 77
    except Failed as why:
        print('FAILED %s: %s' % (name, why), file=sys.stderr)
        return 1
    print('passed %s in %.1f s' % (name, time.monotonic() - started))
    return 0
