#!/usr/bin/env python3
"""The short forms of soak.py, and the proof that it and the mover see what goes wrong."""
import contextlib
import os
import re
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, 'interop'))

from lab import case, expect, main, run  # noqa: E402  (the folder comes first)
from soak import OPENED, SUCCEEDED, Counts  # noqa: E402


def soak(lab, *words):
    code, said = run([sys.executable, os.path.join(HERE, 'soak.py'), lab.program, '--lifetime', '1MiB',
                      '--bytes', '64MiB', '--limit', '120', *words], 160)
    print(said, end='')
    expect(code == 0, 'soak.py ended with %s\n%s' % (code, said))


@case()
def one_proxy(lab):
    soak(lab, '--form', 'one')


@case()
def one_proxy_with_the_smallest_windows_and_lives(lab):
    soak(lab, '--form', 'one', '--bytes', '16MiB', '--window', '8KiB', '--lifetime', '128KiB')


@case('openssl')
def one_proxy_with_tls(lab):
    soak(lab, '--form', 'one', '--bytes', '16MiB', '--tls')


@case('haproxy')
def a_farm_that_is_restarted(lab):
    soak(lab, '--form', 'farm', '--bytes', '256MiB', '--every', '20')


@case('haproxy')
def a_farm_that_is_restarted_under_several_connections(lab):
    soak(lab, '--form', 'farm', '--bytes', '256MiB', '--every', '20', '--connections', '4')


@case('haproxy', 'openssl')
def a_farm_that_is_restarted_behind_tls(lab):
    soak(lab, '--form', 'farm', '--bytes', '128MiB', '--every', '10', '--tls')


@case('haproxy')
def a_farm_that_is_restarted_with_the_smallest_windows_and_lives(lab):
    soak(lab, '--form', 'farm', '--bytes', '32MiB', '--every', '20', '--window', '8KiB', '--lifetime', '128KiB')


@case()
def the_farm_sees_channels_that_meet(_):
    name = '2026-11-29T10:04:44Z %s channel of 127.0.0.1 to 127.0.0.1:593 '
    opened, succeeded, replaced = name + 'open', name + 'open, in place of another', name + 'replaced at this proxy'
    counts = Counts(None)
    one, two, again = counts.taker('p1'), counts.taker('p2'), counts.taker('p1')
    for line in opened, succeeded, replaced:
        one(line % 'IN')
        two(line % 'OUT')
        again(line % 'OUT')                                 # another process of the same place
    expect((counts.were_apart(OPENED), counts.were_apart(SUCCEEDED)) == ((3, 3), (6, 6)), 'all are apart')
    two(opened % 'IN')
    two(replaced % 'IN')
    again(succeeded % 'IN')
    expect((counts.were_apart(OPENED), counts.were_apart(SUCCEEDED)) == ((3, 4), (6, 8)), 'three met others')


class Relay:
    """Carries one connection to the server and back, and does something to what comes back."""

    def __init__(self, to, spoil):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(to, spoil), daemon=True).start()

    def accept(self, to, spoil):
        near, far = self.listener.accept()[0], socket.create_connection(('127.0.0.1', to))
        threading.Thread(target=self.carry, args=(near, far, lambda got, _: got), daemon=True).start()
        self.carry(far, near, spoil)
        for end in (near, far):                             # the other thread still holds them
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def carry(here, there, change):
        seen = 0
        try:
            while True:
                got = here.recv(65536)
                if not got:
                    break
                there.sendall(change(got, seen))
                seen += len(got)
            there.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def moved_over_tcp(lab, spoil, *words):
    port, = lab.start('serve', '--tcp', '127.0.0.1:0', listeners=1)
    relay = Relay(port, spoil)
    return run([os.path.join(os.path.dirname(lab.program), 'soak_mover'), 'ncacn_ip_tcp:127.0.0.1[%d]' % relay.port,
                '--bytes', '4000000', *words], 60)


@case()
def the_mover_ends_well_when_nothing_happens(lab):
    code, said = moved_over_tcp(lab, lambda got, seen: got)
    expect(code == 0 and re.search(r'"ok":true.*"sum_sent":"(\w+)","sum_received":"\1"', said), said)


@case()
def the_mover_sees_one_bit_that_changed(lab):
    first_fragment = b'\x05\x00\x02\x01'                   # of a response: its contents begin at byte 28
    changed = []

    def flip(got, seen):
        at = got.find(first_fragment) + 40 if seen > 500_000 and not changed else 0
        if not 40 <= at < len(got):
            return got
        changed.append(seen + at)
        return got[:at] + bytes([got[at] ^ 1]) + got[at + 1:]
    code, said = moved_over_tcp(lab, flip)
    expect(len(changed) == 1, 'nothing was changed')
    expect(code == 1 and 'got other contents, from byte 8 on' in said and '"ok":false' in said, said)


@case()
def the_mover_sees_a_stall(lab):
    halted = threading.Event()

    def halt(got, seen):
        if seen > 500_000:
            halted.wait(30)
        return got
    code, said = moved_over_tcp(lab, halt, '--stall', '2')
    halted.set()
    expect(code == 1 and 'stalled: no answer for 2 s, 64 calls are pending' in said, said)


@case()
def the_mover_sees_a_connection_that_ends(lab):
    def cut(got, seen):
        if seen > 500_000:
            raise OSError
        return got
    code, said = moved_over_tcp(lab, cut, '--stall', '5')
    expect(code == 1 and 'failed: ' in said, said)


@case()
def the_mover_keeps_to_its_limit(lab):
    code, said = moved_over_tcp(lab, lambda got, seen: got, '--bytes', '400000000000', '--limit', '2')
    expect(code == 1 and 'the limit of 2 s is over' in said, said)


if __name__ == '__main__':
    sys.exit(main())
