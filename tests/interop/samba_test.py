#!/usr/bin/env python3
"""Samba's clients against `rpch proxy` and `rpch serve`: its own torture test, and its Python binding."""
import itertools
import re
import struct
import sys

from lab import (ENCODINGS, PASSWORD, USER, Failed, at_once, case, expect, expect_spoken, free_port, main, smbtorture)
from samba_dc import ADMIN, ADMIN_PASSWORD, DOMAIN, REALM, DomainController

OPERATIONS = ('addone', 'sinkdata', 'echodata', 'sourcedata', 'testcall', 'testcall2', 'enum', 'surrounding',
              'doublepointer', 'sleep')

# What each subtest comes to over ncacn_http, in a run of its own. The client takes the first RTS PDU
# after CONN/C2 for a broken RPC PDU and waits for ever for another one; README.md has the sizes.
# An entry that no longer holds, in either direction, fails the test.
OVER_HTTP = {name: 'success' for name in OPERATIONS}
OVER_HTTP['sinkdata'] = 'stopped by FlowControlAck'     # 200,000 bytes pass half of the largest IN window


def rts_names(stream):
    """The RTS PDUs in what a client got on its OUT channel, by the commands they hold."""
    commands = {0: 'ReceiveWindowSize', 1: 'FlowControlAck', 2: 'ConnectionTimeout', 4: 'ChannelLifetime',
                6: 'Version', 10: 'ANCE', 13: 'Destination'}
    sizes = {0: 4, 1: 24, 2: 4, 4: 4, 6: 4, 10: 0, 13: 4}
    names = []
    # behind the legs of a logon, of which the last of Negotiate is answered as an echo request
    at = stream.index(b'\r\n\r\n', stream.rindex(b'HTTP/1.1 200 ')) + 4
    while at + 16 <= len(stream):
        length, = struct.unpack_from('<H', stream, at + 8)
        if stream[at + 2] == 20:
            flags, count = struct.unpack_from('<HH', stream, at + 16)
            inner, found = at + 20, []
            for _ in range(count):
                kind, = struct.unpack_from('<I', stream, inner)
                found.append(commands.get(kind, str(kind)))
                inner += 4 + sizes.get(kind, 0)
            names.append('Ping' if flags & 1 else '+'.join(found))
        at += max(length, 16)
    return names


def stopping_pdu(tap):
    """The first RTS PDU behind CONN/A3 and CONN/C2 on the OUT channel, if there is one."""
    for client, server in tap.connections:
        if bytes(client).startswith(b'RPC_OUT_DATA'):
            names = rts_names(bytes(server))
            expect(names[:2] == ['ConnectionTimeout', 'Version+ReceiveWindowSize+ConnectionTimeout'],
                   'no CONN/A3 and CONN/C2 but %s' % names)
            return names[2] if len(names) > 2 else None
    raise Failed('the client opened no OUT channel')


def outcome(verdicts, said, name, tap):
    """One word for what a run came to, and the PDU that it ended at."""
    if name in verdicts:
        return verdicts[name]
    stop = stopping_pdu(tap) if tap else None
    if not stop:
        print(said)
        return 'no verdict'
    return 'stopped by ' + stop.split('+')[-1]


def over_http(lab, name, tls):
    lab.serve()
    lab.proxy(tls=tls)
    # the tap sees through no TLS: there the expectation alone is checked
    tap = lab.tap(lab.port)
    binding = 'ncacn_http:127.0.0.1[%d,HttpUseTls=%s,RpcProxy=127.0.0.1:%d,HttpAuthOption=basic]' % (
        lab.http, 'true' if tls else 'false', tap.port)
    expected = OVER_HTTP[name]
    verdicts, said = smbtorture(binding, 'rpc.echo.echo.' + name, 60 if expected == 'success' else 10)
    if tls:
        got = outcome(verdicts, said, name, None)
        expected = 'no verdict' if expected.startswith('stopped') else expected
    else:
        got = outcome(verdicts, said, name, tap)
    print('%s over ncacn_http%s: %s' % (name, ' with TLS' if tls else '', got))
    if got != expected:
        raise Failed('%s: expected %r, got %r\n%s' % (name, expected, got, said))


def add_http_cases():
    for name in OPERATIONS:
        for tls in (False, True):
            def one(lab, name=name, tls=tls):
                over_http(lab, name, tls)
            one.__name__ = 'torture_%s_over_http_%s' % (name, 'tls' if tls else 'plain')
            case('smbtorture', *(('openssl',) if tls else ()))(one)


# Its words for the levels of RPC security, and ours.
LEVELS = {'connect': 'connect', 'packet': 'packet', 'sign': 'integrity', 'seal': 'privacy'}


def protected_over_http(lab, mechanism, level, http, who, encoding='', more=(), tls=False, environment=None, settings=(),
                        names=OPERATIONS):
    """The subtests with RPC security inside the tunnel, and the same user at the proxy; each has a virtual connection of
    its own, those that stop a run of their own as well."""
    words = ','.join((mechanism, level, *((encoding,) if encoding else ()), *more))
    passing = [name for name in names if OVER_HTTP[name] == 'success']
    for together in (passing, *([name] for name in names if name not in passing)):
        tap = lab.tap(lab.port)
        binding = 'ncacn_http:127.0.0.1[%d,%s,HttpUseTls=%s,RpcProxy=127.0.0.1:%d,HttpAuthOption=%s]' % (
            lab.http, words, 'true' if tls else 'false', tap.port, http)
        verdicts, said = smbtorture(binding, ['rpc.echo.echo.' + name for name in together],
                                    60 if together is passing else 5, who, settings, environment)
        for name in together:
            got = outcome(verdicts, said, name, tap)
            if got != OVER_HTTP[name]:
                raise Failed('%s, %s: expected %r, got %r\n%s' % (binding, name, OVER_HTTP[name], got, said))
        if not tls:
            expect_spoken(tap, mechanism, level, encoding, binding)
    return '%s: %d operations' % (words, len(names))


def operations_at(level, encoding=''):
    """What stops `sinkdata` is outside RPC security and NDR: one level shows it, and it takes its time."""
    return [name for name in OPERATIONS if (level, encoding) == ('seal', '') or OVER_HTTP[name] == 'success']


def add_protected_cases():
    for mechanism, http in (('ntlm', 'ntlm'), ('spnego', 'negotiate')):
        def start(lab, mechanism=mechanism, http=http, level='none'):
            lab.serve('--rpc-auth', mechanism.replace('spnego', 'ntlm,negotiate'), '--users',
                      lab.users(PASSWORD, '--ntlm'), '--auth-level', level)
            lab.proxy(auth=http)

        for level in LEVELS:
            def one(lab, mechanism=mechanism, http=http, level=level, start=start):
                start(lab, level=LEVELS[level])
                print(protected_over_http(lab, mechanism, level, http, USER + '%' + PASSWORD,
                                          names=operations_at(level)))
            one.__name__ = 'torture_%s_%s_over_http' % (mechanism, level)
            case('smbtorture')(one)

        def others(lab, mechanism=mechanism, http=http, start=start):
            start(lab)
            at_once([lambda level=level, encoding=encoding: protected_over_http(
                lab, mechanism, level, http, USER + '%' + PASSWORD, encoding, names=operations_at(level, encoding))
                for level, encoding in itertools.product(LEVELS, ('bigendian', 'ndr64'))])
        others.__name__ = 'torture_%s_every_level_bigendian_and_ndr64_over_http' % mechanism
        case('smbtorture')(others)


@case('a Samba domain controller', 'smbtorture')
def torture_kerberos_every_level_in_every_encoding_over_http(lab):
    with DomainController() as dc:
        # Once it has a ticket it calls itself by its principal, at the proxy, too: the second connection of `sleep`.
        for name in (ADMIN, ADMIN + '@' + REALM):
            lab.users(ADMIN_PASSWORD, '--ntlm', user=name)
        lab.serve('--rpc-auth', 'kerberos,negotiate', '--keytab', dc.keytab)
        lab.proxy(auth='basic,ntlm')
        way = {'more': ('target_hostname=' + dc.name,), 'environment': dc.kerberos(lab.room),
               'settings': ('realm=' + REALM, 'workgroup=' + DOMAIN)}
        who = '%s\\%s%%%s' % (DOMAIN, ADMIN, ADMIN_PASSWORD)
        jobs = [(mechanism, level, encoding, http)
                for (level, http), encoding in itertools.product(zip(LEVELS, ('basic', 'ntlm') * 2), ENCODINGS)
                for mechanism in ('krb5', 'spnego')]
        at_once([lambda mechanism=mechanism, level=level, encoding=encoding, http=http: protected_over_http(
            lab, mechanism, level, http, who, encoding, names=operations_at(level, encoding), **way)
            for mechanism, level, encoding, http in jobs])


@case('smbtorture', 'openssl')
def torture_ntlm_seal_over_http_tls(lab):
    lab.serve('--rpc-auth', 'ntlm', '--users', lab.users(PASSWORD, '--ntlm'), '--auth-level', 'privacy')
    lab.proxy(auth='ntlm', tls=True)
    print(protected_over_http(lab, 'ntlm', 'seal', 'ntlm', USER + '%' + PASSWORD, tls=True, names=operations_at(None)))


@case('smbtorture')
def torture_refused_over_http(lab):
    lab.serve('--rpc-auth', 'ntlm,negotiate', '--users', lab.users(PASSWORD, '--ntlm'), '--auth-level', 'privacy')
    lab.proxy()                                             # lets everybody in: the server is to refuse
    for options, who in (('ntlm,seal', USER + '%wrong'), ('spnego,seal', USER + '%wrong'),
                         ('ntlm,sign', USER + '%' + PASSWORD), ('spnego,connect', USER + '%' + PASSWORD)):
        binding = 'ncacn_http:127.0.0.1[%d,%s,HttpUseTls=false,RpcProxy=%s,HttpAuthOption=basic]' % (
            lab.http, options, lab.at)
        verdicts, said = smbtorture(binding, 'rpc.echo.echo.addone', 30, who)
        expect('success' not in verdicts.values(), '%s: let in' % options)
        expect(re.search('ACCESS_DENIED|LOGON_FAILURE', said), '%s: refused, but not for that: %s' % (options, said))
    print(protected_over_http(lab, 'ntlm', 'seal', 'basic', USER + '%' + PASSWORD, names=('addone',)))


@case('smbtorture')
def torture_every_operation_over_tcp(lab):
    lab.serve()
    verdicts, said = smbtorture('ncacn_ip_tcp:127.0.0.1[%d]' % lab.tcp, 'rpc.echo', 90)
    for name in OPERATIONS:
        print('%s over ncacn_ip_tcp: %s' % (name, verdicts.get(name, 'no verdict')))
    if verdicts != {name: 'success' for name in OPERATIONS}:
        raise Failed('%s\n%s' % (verdicts, said))


def answered(result):
    code, said = result
    print(said, end='')
    expect(code == 0 and 'ok: ' in said, 'the client said: ' + said)


def refused(result, pattern):
    code, said = result
    print(said, end='')
    expect(code == 1 and re.search(pattern, said), 'wanted %r, but the client said: %s' % (pattern, said))


def through(lab, *words, port=None):
    return lab.client('samba_client.py', '--proxy', lab.at, '--target', '127.0.0.1:%d' % (port or lab.http), *words)


# 24,000 bytes each way stay below half of the window of CONN/C2, so that no acknowledgement is due.
@case('python3-samba')
def python_client_plain(lab):
    lab.serve()
    lab.proxy()
    answered(through(lab, '--bytes', '8000', '--repeat', '3'))


@case('python3-samba', 'openssl')
def python_client_verified_tls(lab):
    lab.serve()
    lab.proxy(tls=True)
    answered(through(lab, '--tls', '--ca', lab.path('cert.pem'), '--bytes', '8000', '--repeat', '3'))


@case('python3-samba')
def python_client_over_tcp_without_a_proxy(lab):
    lab.serve()
    answered(lab.client('samba_client.py', '--direct', '--target', '127.0.0.1:%d' % lab.tcp, '--bytes', '200000'))


# The client writes DOMAIN\NAME:WORD, and with a NAME it would also authenticate the bind. So NAME stays
# empty, and the user name and the first part of the password stand where the domain belongs.
BASIC_DOMAIN = USER.upper() + ':LAB'
BASIC_PASSWORD = 'LAB\\:' + PASSWORD


@case('python3-samba')
def python_client_basic(lab):
    lab.serve()
    lab.proxy(auth='basic', password=BASIC_PASSWORD)
    answered(through(lab, '--http-domain', BASIC_DOMAIN, '--http-password', PASSWORD))


@case('python3-samba', 'openssl')
def python_client_basic_over_verified_tls(lab):
    lab.serve()
    lab.proxy(tls=True, auth='basic', password=BASIC_PASSWORD)
    answered(through(lab, '--tls', '--ca', lab.path('cert.pem'), '--http-domain', BASIC_DOMAIN,
                     '--http-password', PASSWORD))


@case('python3-samba', 'openssl')
def python_client_does_not_trust_the_certificate(lab):
    lab.serve()
    lab.proxy(tls=True)
    refused(through(lab, '--tls', '--ca', lab.certificate('other')), 'failed: ')
    answered(through(lab, '--tls', '--ca', lab.path('cert.pem')))    # and nobody else notices


@case('python3-samba')
def python_client_wrong_password(lab):
    lab.serve()
    lab.proxy(auth='basic', password=BASIC_PASSWORD)
    refused(through(lab, '--http-domain', BASIC_DOMAIN, '--http-password', 'other'), 'Access Denied')
    refused(through(lab), 'Access Denied')


@case('python3-samba')
def python_client_target_not_allowed(lab):
    # this client reports any status but 200 and 401 as a generic error and loses the number
    lab.serve()
    lab.proxy()
    refused(through(lab, port=free_port()), r'Server response: RPC error')


@case('rpcclient', 'python3-samba', 'a network of its own')
def endpoint_mapper_at_its_ports(lab):
    answered(lab.alone('samba_mapper.py'))


add_http_cases()
add_protected_cases()

if __name__ == '__main__':
    sys.exit(main())
