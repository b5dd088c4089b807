#!/usr/bin/env python3
"""Security of RPC itself: Samba's torture test and impacket against `rpch serve`, and `rpch call`, at every level."""
import itertools
import sys

from lab import PASSWORD, USER, Failed, case, expect, main, run, smbtorture

OPERATIONS = ('addone', 'sinkdata', 'echodata', 'sourcedata', 'testcall', 'testcall2', 'enum', 'surrounding',
              'doublepointer', 'sleep')
ECHO = '60a15ec5-4de8-11d7-a637-005056a20182@1.0'
# Samba's words for the levels, and ours.
LEVELS = {'connect': 'connect', 'packet': 'packet', 'sign': 'integrity', 'seal': 'privacy'}


def protected(lab, mechanisms='ntlm', level='none'):
    lab.serve('--rpc-auth', mechanisms, '--users', lab.users(PASSWORD, '--ntlm'), '--auth-level', level)


def torture(lab, options, timeout=60):
    binding = 'ncacn_ip_tcp:127.0.0.1[%s]' % ','.join((str(lab.tcp),) + options)
    verdicts, said = smbtorture(binding, 'rpc.echo', timeout, USER + '%' + PASSWORD)
    if verdicts != {name: 'success' for name in OPERATIONS}:
        raise Failed('%s: %s\n%s' % (binding, verdicts, said))
    print('%s: all %d operations' % (binding, len(verdicts)))


def add_torture_cases():
    for mechanism, level in itertools.product(('ntlm', 'spnego'), LEVELS):
        def one(lab, mechanism=mechanism, level=level):
            protected(lab, 'ntlm,negotiate' if mechanism == 'spnego' else 'ntlm', LEVELS[level])
            torture(lab, (mechanism, level))
        one.__name__ = 'torture_%s_%s' % (mechanism, level)
        case('smbtorture')(one)
    for name, options in (('ndr64', ('ndr64',)), ('bigendian', ('bigendian',)),
                          ('ndr64_sealed', ('ndr64', 'ntlm', 'seal')),
                          ('bigendian_signed', ('bigendian', 'ntlm', 'sign'))):
        def other(lab, options=options):
            protected(lab)
            torture(lab, options)
        other.__name__ = 'torture_' + name
        case('smbtorture')(other)


@case('smbtorture')
def torture_wrong_password(lab):
    protected(lab, 'ntlm,negotiate')
    for mechanism in ('ntlm', 'spnego'):
        binding = 'ncacn_ip_tcp:127.0.0.1[%d,%s,seal]' % (lab.tcp, mechanism)
        verdicts, said = smbtorture(binding, 'rpc.echo', 30, USER + '%wrong')
        expect('success' not in verdicts.values(), 'a wrong password was good enough: ' + said)
        expect('ACCESS_DENIED' in said or 'LOGON_FAILURE' in said, 'refused, but not for the password: ' + said)


@case('smbtorture')
def torture_below_the_level(lab):
    protected(lab, 'ntlm', 'privacy')
    verdicts, said = smbtorture('ncacn_ip_tcp:127.0.0.1[%d,ntlm,sign]' % lab.tcp, 'rpc.echo', 30,
                                USER + '%' + PASSWORD)
    expect('success' not in verdicts.values(), 'a weaker level was good enough: ' + said)
    verdicts, said = smbtorture('ncacn_ip_tcp:127.0.0.1[%d]' % lab.tcp, 'rpc.echo', 30)
    expect('success' not in verdicts.values(), 'no security was good enough: ' + said)


def call(lab, binding, *words, password=PASSWORD, user=USER):
    secret = lab.path('secret')
    with open(secret, 'w') as out:
        out.write(password + '\n')
    return run([lab.program, 'call', binding, ECHO, '0', '--stub', '29000000', '--user', user, '--password-file', secret,
                *words], 30)


@case()
def our_client_at_every_level(lab):
    protected(lab, 'ntlm', 'connect')
    lab.proxy()
    for binding in ('ncacn_ip_tcp:127.0.0.1[%d]' % lab.tcp,
                    'ncacn_http:127.0.0.1[%d,RpcProxy=%s,HttpUseTls=false]' % (lab.http, lab.at)):
        for level in LEVELS.values():
            code, said = call(lab, binding, '--auth', 'none', '--rpc-auth', 'ntlm', '--auth-level', level)
            expect(code == 0 and said.strip() == '2a000000', '%s at %s: %s' % (binding, level, said))
        code, said = call(lab, binding, '--auth', 'none', '--rpc-auth', 'ntlm', password='other')
        expect(code == 1 and 'access denied' in said.lower(), 'wrong password: ' + said)
        code, said = run([lab.program, 'call', binding, ECHO, '0', '--stub', '29000000'], 30)
        expect(code == 1 and 'access denied' in said.lower(), 'without security: ' + said)


def impacket(lab, *words, password=PASSWORD, domain=''):
    return lab.client('impacket_client.py', '--rpc-auth', 'ntlm', '--rpc-user', USER, '--rpc-password', password,
                      '--rpc-domain', domain, *words)


def add_impacket_cases():
    for level in ('integrity', 'privacy'):
        def direct(lab, level=level):
            protected(lab, 'ntlm', level)
            answered(impacket(lab, '--direct', '--target', '127.0.0.1:%d' % lab.tcp, '--rpc-level', level,
                              '--bytes', '200000'))
        direct.__name__ = 'impacket_%s_over_tcp' % level
        case('impacket')(direct)

        def tunnel(lab, level=level):
            protected(lab, 'ntlm', level)
            lab.proxy()
            answered(impacket(lab, '--proxy', lab.at, '--target', '127.0.0.1:%d' % lab.http, '--rpc-level', level,
                              '--bytes', '200000'))
        tunnel.__name__ = 'impacket_%s_through_the_tunnel' % level
        case('impacket')(tunnel)


def answered(result):
    code, said = result
    print(said, end='')
    expect(code == 0 and 'ok: ' in said, 'the client said: ' + said)


@case('impacket')
def impacket_wrong_password(lab):
    protected(lab, 'ntlm', 'integrity')
    code, said = impacket(lab, '--direct', '--target', '127.0.0.1:%d' % lab.tcp, password='wrong')
    expect(code == 1 and 'denied' in said.lower(), 'the client said: ' + said)


add_impacket_cases()
add_torture_cases()
if __name__ == '__main__':
    sys.exit(main())
