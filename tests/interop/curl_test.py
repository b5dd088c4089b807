#!/usr/bin/env python3
"""curl sends what a client sends to find out whether it needs an HTTP proxy, and what nobody should send; and it opens
the OUT channel of a virtual connection whose IN channel is impacket's."""
import os
import re
import struct
import subprocess
import sys
import time

from lab import HERE, PASSWORD, PEER_PYTHON, USER, case, expect, main, run

ECHO_ANSWER = bytes.fromhex('05001403 10000000 14000000 00000000 40000000')     # [MS-RPCH] 2.2.4.48


def curl(lab, method, *words, body=b'\0' * 16):
    """Status line, header fields (names in lower case) and body of the answer."""
    scheme = 'https' if '--cacert' in words else 'http'
    with open(lab.path('body'), 'wb') as out:
        out.write(body)
    code, said = run(['curl', '-sS', '--max-time', '10', '-X', method, '-H', 'Accept: application/rpc',
                      '-H', 'User-Agent: MSRPC', '-H', 'Expect:', '-H', 'Content-Type:',
                      '--data-binary', '@' + lab.path('body'), '-D', lab.path('head'), '-o', lab.path('answer'),
                      *words, '%s://%s/rpc/rpcproxy.dll?127.0.0.1:%d' % (scheme, lab.at, lab.http)], 20)
    expect(code == 0, 'curl: ' + said)
    with open(lab.path('head'), encoding='latin-1', newline='') as file:
        first, *fields = file.read().rstrip('\r\n').split('\r\n')
    with open(lab.path('answer'), 'rb') as file:
        answer = file.read()
    print(method, *words, first, answer[:40].hex())
    return first, {name.lower(): value.strip() for name, _, value in (f.partition(':') for f in fields)}, answer


def echoed(lab, *words):
    for method in ('RPC_IN_DATA', 'RPC_OUT_DATA'):
        first, fields, answer = curl(lab, method, *words)
        expect(' 200 ' in first and fields.get('content-type') == 'application/rpc' and answer == ECHO_ANSWER,
               '%s: %s %s %s' % (method, first, fields, answer.hex()))


@case('curl')
def echo_request_plain(lab):
    lab.serve()
    lab.proxy()
    echoed(lab)


@case('curl', 'openssl')
def echo_request_verified_tls_basic(lab):
    lab.serve()
    lab.proxy(tls=True, auth='basic')
    echoed(lab, '--cacert', lab.path('cert.pem'), '-u', USER + ':' + PASSWORD)


@case('curl')
def basic_challenge_names_the_scheme(lab):
    lab.serve()
    lab.proxy(auth='basic')
    for words in ((), ('-u', USER + ':other'), ('-u', 'nobody:' + PASSWORD)):
        first, fields, _ = curl(lab, 'RPC_OUT_DATA', *words)
        expect(' 401 ' in first and fields.get('www-authenticate', '').startswith('Basic '), first)
    echoed(lab, '-u', USER + ':' + PASSWORD)


@case('curl')
def other_methods_are_refused(lab):
    lab.serve()
    lab.proxy()
    for method in ('POST', 'PUT', 'DELETE'):
        first, _, answer = curl(lab, method)
        expect(' 4' in first or ' 5' in first, '%s: %s' % (method, first))
        expect(answer != ECHO_ANSWER, method + ' is answered like an echo request')
    echoed(lab)


OTHER, OTHER_PASSWORD = 'otheruser', 'other:word'
LOGINS = {USER: PASSWORD, OTHER: OTHER_PASSWORD}


class TwoChannels:
    """The channels of virtual connections, each opened by a program of its own, as a user of its own."""

    def __init__(self, lab, scheme):
        lab.serve()
        lab.users(OTHER_PASSWORD, '--ntlm', user=OTHER)
        # what goes on to the server shows that a channel was let in
        self.lab, self.scheme, self.behind = lab, scheme, lab.tap(lab.http)
        lab.proxy(auth='basic,ntlm', valid_ports='127.0.0.1:%d' % self.behind.port)
        self.started = 0

    def start(self, words):
        self.started += 1
        one = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors='replace', env=dict(os.environ, PYTHONDONTWRITEBYTECODE='1'))

        def end():
            one.kill()
            one.wait()
            one.stdout.close()
        self.lab.on_exit(end)
        return one

    def in_channel(self, user, cookie, hold=2):
        return self.start([
            PEER_PYTHON, os.path.join(HERE, 'impacket_client.py'), '--proxy', self.lab.at, '--target',
            '127.0.0.1:%d' % self.behind.port, '--http-auth', self.scheme, '--http-user', user, '--http-password',
            LOGINS[user], '--call', 'in_channel', '--cookie', cookie.hex(), '--hold', str(hold),
            '--timeout', '30'])

    def out_channel(self, user, cookie, wait=20):
        """curl; what it got is in the files `head` and `body` with its number."""
        name = self.lab.path('%d' % self.started)
        with open(name + '.a1', 'wb') as out:               # CONN/A1, [MS-RPCH] 2.2.4.2
            out.write(struct.pack('<BBBBIHHIHH', 5, 0, 20, 3, 16, 76, 0, 0, 0, 4) + struct.pack('<II', 6, 1) +
                      struct.pack('<I', 3) + cookie + struct.pack('<I', 3) + os.urandom(16) +
                      struct.pack('<II', 0, 65536))
        one = self.start(['curl', '-sSN', '--max-time', str(wait), '--' + self.scheme, '-u', user + ':' + LOGINS[user],
                          '-X', 'RPC_OUT_DATA', '-H', 'Accept: application/rpc', '-H', 'User-Agent: MSRPC', '-H',
                          'Expect:', '-H', 'Content-Type:', '--data-binary', '@' + name + '.a1', '-D', name + '.head',
                          '-o', name + '.body',
                          'http://%s/rpc/rpcproxy.dll?127.0.0.1:%d' % (self.lab.at, self.behind.port)])
        one.answer = name
        return one

    def came_through(self, count):
        give_up = time.monotonic() + 5
        while len(self.behind.connections) < count:
            expect(time.monotonic() < give_up, 'no channel reached the server')
            time.sleep(0.01)

    def refused_by_name(self, channel, user):
        self.lab.running[1].must_log('%s channel of 127.0.0.1 (%s) to 127.0.0.1:%d refused: the virtual connection '
                                     'belongs to another user' % (channel, user, self.behind.port))


def got(curl_out):
    """The last status line that curl got, and the lengths of the RTS PDUs behind it."""
    said = curl_out.communicate(timeout=40)[0]
    # 18: the proxy ended it, with the IN channel; 28: it was open until --max-time
    expect(curl_out.returncode in (0, 18, 28), 'curl: ' + said)
    with open(curl_out.answer + '.head', encoding='latin-1') as file:
        status = re.findall('^HTTP/.*', file.read(), re.M)[-1]
    lengths = []
    if os.path.exists(curl_out.answer + '.body'):
        with open(curl_out.answer + '.body', 'rb') as file:
            body = file.read()
        while len(body) >= 20 and body[2] == 20:
            lengths.append(struct.unpack_from('<H', body, 8)[0])
            body = body[lengths[-1]:]
    print('OUT:', status.strip(), lengths)
    return status, lengths


def impacket_said(in_channel):
    said = in_channel.communicate(timeout=40)[0]
    print('IN:', said, end='')
    return said


CONN_A3_AND_C2 = [28, 44]                                   # bytes, [MS-RPCH] 2.2.4.4 and 2.2.4.9


def both_channels_are_one_users(lab, scheme):
    two = TwoChannels(lab, scheme)
    cookie = os.urandom(16)
    ours = two.in_channel(USER, cookie, 20)
    two.came_through(1)
    status, lengths = got(two.out_channel(OTHER, cookie))
    expect(' 403 ' in status and not lengths, 'the OUT channel of another user: %s' % status)
    two.refused_by_name('OUT', OTHER)
    expect(len(two.behind.connections) == 1, 'it went through to the server')
    # and the one whose it is goes on
    status, lengths = got(two.out_channel(USER, cookie, 2))
    expect(' 200 ' in status and lengths == CONN_A3_AND_C2, '%s, %s' % (status, lengths))
    impacket_said(ours)

    cookie = os.urandom(16)
    before = len(two.behind.connections)
    ours = two.out_channel(USER, cookie)
    two.came_through(before + 1)
    said = impacket_said(two.in_channel(OTHER, cookie))
    expect(' 403 ' in said, 'the IN channel of another user: ' + said)
    two.refused_by_name('IN', OTHER)
    expect(len(two.behind.connections) == before + 1, 'it went through to the server')
    said = impacket_said(two.in_channel(USER, cookie))
    expect('stays open' in said, said)
    status, lengths = got(ours)
    expect(' 200 ' in status and lengths == CONN_A3_AND_C2, '%s, %s' % (status, lengths))


@case('curl', 'impacket')
def both_channels_are_one_users_basic(lab):
    both_channels_are_one_users(lab, 'basic')


@case('curl', 'impacket')
def both_channels_are_one_users_ntlm(lab):
    both_channels_are_one_users(lab, 'ntlm')


if __name__ == '__main__':
    sys.exit(main())
