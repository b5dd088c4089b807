#!/usr/bin/env python3
"""`rpch proxy` as an administrator meets it: what its numbers may be, and how it ends."""
import os
import re
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import case, expect, main, run  # noqa: E402  (the folder comes first)

START = ('proxy', '--listen', '127.0.0.1:0', '--valid-ports', '127.0.0.1:1', '--auth', 'none', '--allow-plain')
# option, the smallest and the largest value
RANGES = (('--channel-lifetime', 131072, 2147483648), ('--receive-window', 8192, 262144),
          ('--connection-timeout', 120, 14400), ('--drain', 0, 604800))
HEAD = (b'RPC_IN_DATA /rpc/rpcproxy.dll?127.0.0.1:1 HTTP/1.1\r\nAccept: application/rpc\r\nUser-Agent: MSRPC\r\n'
        b'Host: proxy\r\nContent-Length: 1073741824\r\n\r\n')


@case()
def numbers_out_of_range_are_wrong_usage(lab):
    for option, least, most in RANGES:
        for value in (least - 1, most + 1, 'many', ''):
            code, said = run([lab.program, *START, option, str(value)], 10)
            expect(code == 2 and option in said, '%s %s: exit code %s, %s' % (option, value, code, said))
    for option, least, _ in RANGES[:2]:
        code, said = run([lab.program, 'call', 'ncacn_ip_tcp:127.0.0.1[1]',
                          '60a15ec5-4de8-11d7-a637-005056a20182@1.0', '0', option, str(least - 1)], 10)
        expect(code == 2 and option in said, 'call %s: exit code %s, %s' % (option, code, said))


@case()
def numbers_at_both_ends_are_taken(lab):
    for at_end in (1, 2):
        words = [str(word) for each in RANGES for word in (each[0], each[at_end])]
        lab.start(*START, *words, listeners=1)


def draining(lab, seconds):
    """A proxy with one channel, on its way to stop."""
    port, = lab.start(*START, '--drain', str(seconds), listeners=1)
    one = lab.running.pop()                                 # a case of this file sees to its end
    channel = socket.create_connection(('127.0.0.1', port))
    channel.settimeout(10)
    channel.sendall(HEAD)
    echo = socket.create_connection(('127.0.0.1', port))    # answered: the channel was accepted before it
    echo.sendall(HEAD.replace(b'1073741824', b'0'))
    echo.settimeout(10)
    expect(b' 200 ' in echo.recv(4096), 'no answer to an echo request')
    echo.close()
    began = time.monotonic()
    one.process.send_signal(signal.SIGTERM)
    return one, port, channel, began


def refused_soon(port):
    give_up = time.monotonic() + 5
    while time.monotonic() < give_up:
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:                        # the listener was closed with this one in its backlog
            pass
        time.sleep(0.02)
    return False


@case()
def a_channel_that_ends_ends_the_draining(lab):
    one, port, channel, began = draining(lab, 60)
    try:
        expect(refused_soon(port), 'the listener is still there')
        expect(one.process.poll() is None, 'it did not wait for the channel')
        channel.close()
        expect(one.process.wait(10) == 0, 'the exit code is not 0')
        expect(time.monotonic() - began < 20, 'it waited without a channel')
        # 2 if the echo request's connection was not yet gone
        expect(any(re.search('connections open: [12],', line) for line in one.log), 'no word of it: %s' % one.log)
    finally:
        one.kill()


@case()
def what_is_left_is_closed_when_the_time_is_over(lab):
    one, port, channel, began = draining(lab, 1)
    try:
        expect(channel.recv(4096) == b'', 'the channel was not closed')
        expect(one.process.wait(10) == 0, 'the exit code is not 0')
        expect(0.9 < time.monotonic() - began < 8, 'it took %.1f s' % (time.monotonic() - began))
        expect(any('that are open: 1' in line for line in one.log), 'no word of it: %s' % one.log)
    finally:
        one.kill()


@case()
def a_second_signal_does_not_wait(lab):
    one, port, channel, began = draining(lab, 60)
    try:
        expect(refused_soon(port), 'the listener is still there')
        one.process.send_signal(signal.SIGTERM)
        expect(one.process.wait(10) == 0, 'the exit code is not 0')
        expect(time.monotonic() - began < 20, 'it waited')
    finally:
        one.kill()


if __name__ == '__main__':
    sys.exit(main())
