#!/usr/bin/env python3
"""Kerberos at the HTTP layer, in a realm of MIT's KDC: curl --negotiate and our client at `rpch proxy --auth negotiate
--keytab` and at the front of `rpch serve --https`, with RPC security inside; and NTLM inside Negotiate, by Samba's
client, by curl with gss-ntlmssp, and by ours."""
import itertools
import os
import re
import sys

import kerberos_realm
from kerberos_realm import REALM
from lab import PASSWORD, USER, case, expect, expect_spoken, main, run, smbtorture

ECHO = '60a15ec5-4de8-11d7-a637-005056a20182@1.0'
ALICE = REALM + '\\alice'                                   # as the log of a server names her
NO_TICKET = {'KRB5CCNAME': 'FILE:/nowhere'}
NEEDS = ('a Kerberos realm', 'curl')


def in_a_realm(*needs):
    """A case whose programs are in a realm of its own; it gets the realm's environment as well."""
    def mark(function):
        def one(lab):
            with kerberos_realm.realm() as env:
                os.environ.update({name: env[name] for name in env if name.startswith(('KRB5', 'RPCH_'))})
                function(lab, env)
        one.__name__ = function.__name__
        return case(*NEEDS, *needs)(one)
    return mark


def start(lab, env, tls=False):
    """A server with every mechanism, and a proxy that offers Negotiate alone."""
    lab.serve('--rpc-auth', 'ntlm,negotiate,kerberos', '--keytab', env['RPCH_KEYTAB'], '--users',
              lab.users(PASSWORD, '--ntlm'))
    proxy(lab, env, tls=tls)


def proxy(lab, env, keytab='RPCH_KEYTAB', users=None, tls=False):
    words = ['--cert', lab.certificate(), '--key', lab.path('key.pem')] if tls else ['--allow-plain']
    words += ['--users', lab.users(users, '--ntlm')] if users else []
    lab.port, = lab.start('proxy', '--listen', '127.0.0.1:0', '--valid-ports', '127.0.0.1:%d' % lab.http, '--auth',
                          'negotiate', '--keytab', env[keytab], *words, listeners=1)
    lab.log = lab.running[-1]


def curl(lab, *words, method='RPC_OUT_DATA', host='localhost', tls=False, environment=None):
    """An echo request: the status of each answer, and the last head."""
    if host != 'localhost':
        words = ('--connect-to', '%s:%d:127.0.0.1:%d' % (host, lab.port, lab.port), *words)
    code, said = run(['curl', '-sS', '--max-time', '10', '-X', method, '-H', 'Accept: application/rpc', '-H',
                      'User-Agent: MSRPC', '-H', 'Expect:', '-H', 'Content-Type:', '--data-binary', '0123456789abcdef',
                      '-D', '-', '-o', '/dev/null', *(('--cacert', lab.path('cert.pem')) if tls else ()), *words,
                      '%s://%s:%d/rpc/rpcproxy.dll?127.0.0.1:%d' % ('https' if tls else 'http', host, lab.port, lab.http)],
                     20, environment)
    expect(code == 0, 'curl: ' + said)
    print('curl', *words, re.findall('^HTTP/.*', said, re.M))
    return re.findall('^HTTP/1.1 ([0-9]+)', said, re.M), said[said.rindex('HTTP/1.1 '):]


def let_in(answers):
    statuses, head = answers
    expect(statuses[-1] == '200' and 'application/rpc' in head, 'not let in: %s %s' % (statuses, head))


def refused(answers):
    """A 401 that says how to do better."""
    statuses, head = answers
    expect(statuses[-1] == '401' and re.search('^WWW-Authenticate: Negotiate', head, re.M),
           'not refused, or without a challenge: %s %s' % (statuses, head))


def call(lab, *words, http='negotiate', tls=False, port=None, environment=None):
    """Through the proxy, or over TCP if `http` is None; `port` stands for that of the listener."""
    if http:
        binding = 'ncacn_http:127.0.0.1[%d,RpcProxy=localhost:%d,HttpUseTls=%s]' % (
            lab.http, port or lab.port, str(tls).lower())
        words = ('--auth', http, *(('--ca', lab.path('cert.pem')) if tls else ()), *words)
    else:
        binding = 'ncacn_ip_tcp:127.0.0.1[%d]' % (port or lab.tcp)
    code, said = run([lab.program, 'call', binding, ECHO, '0', '--stub', '29000000', *words], 30,
                     dict({'RPCH_PASSWORD': PASSWORD, 'RPCH_RPC_PASSWORD': PASSWORD}, **(environment or {})))
    print('rpch call', *words, code, said.strip())
    return code, said.strip()


def answered(result, lab=None, user=None):
    expect(result == (0, '2a000000'), 'the client said: %s' % (result,))
    if user:
        for channel in ('IN', 'OUT'):
            lab.log.must_log('%s channel of 127.0.0.1 (%s) to 127.0.0.1:%d open' % (channel, user, lab.http))


def told(result, *patterns):
    code, said = result
    for pattern in patterns:
        expect(code == 1 and re.search(pattern, said), 'wanted %r, but the client said: %s' % (pattern, said))


TICKET = ('--negotiate', '-u', ':')


@in_a_realm('openssl')
def curl_with_a_ticket(lab, env):
    for tls in (False, True):
        start(lab, env, tls=tls)
        for method in ('RPC_IN_DATA', 'RPC_OUT_DATA'):
            let_in(curl(lab, *TICKET, method=method, tls=tls))
        refused(curl(lab, *TICKET, tls=tls, environment=NO_TICKET))
        refused(curl(lab, tls=tls))
        refused(curl(lab, '--ntlm', '-u', USER + ':' + PASSWORD, tls=tls))     # a scheme that is not on offer


@in_a_realm()
def ticket_for_another_service(lab, env):
    start(lab, env)
    refused(curl(lab, *TICKET, host='gate.test'))           # there is such a service, which is not this one
    lab.log.must_log('logon failed: the peer could not be authenticated')
    lab.log.must_log('%s@%s not found in keytab' % (kerberos_realm.OTHER_SERVICE, REALM))
    let_in(curl(lab, *TICKET))
    proxy(lab, env, keytab='RPCH_OTHER_KEYTAB')             # and the other way round
    let_in(curl(lab, *TICKET, host='gate.test'))
    refused(curl(lab, *TICKET))
    told(call(lab), '401', 'used: Negotiate')
    lab.log.must_log('HTTP/localhost@%s not found in keytab' % REALM)


INSIDE = ((), ('--rpc-auth', 'ntlm', '--rpc-user', USER), ('--rpc-auth', 'kerberos', '--target', 'host/localhost'),
          ('--rpc-auth', 'kerberos', '--target', 'host/localhost', '--auth-level', 'integrity'),
          ('--rpc-auth', 'negotiate', '--target', 'host/localhost'))


@in_a_realm('openssl')
def our_client_with_security_of_rpc_inside(lab, env):
    for tls in (False, True):
        start(lab, env, tls=tls)
        for words in INSIDE:                                # at privacy, where none is named
            lab.log.log.clear()
            answered(call(lab, *words, tls=tls), lab, ALICE)
    # one ticket for the proxy is none for the server
    told(call(lab, '--rpc-auth', 'kerberos', '--target', 'host/nowhere.test', tls=True),
         'could not be authenticated', 'not found in Kerberos database')


@in_a_realm()
def our_client_at_every_level(lab, env):
    """Kerberos, bare and as all that SPNEGO has to offer, at a server that demands the level, over TCP and through the
    proxy; a level below is not enough."""
    levels = {'connect': 'connect', 'packet': 'packet', 'integrity': 'sign', 'privacy': 'seal'}    # ours, Samba's words
    below = None
    for level in levels:
        lab.serve('--rpc-auth', 'kerberos,negotiate', '--keytab', env['RPCH_KEYTAB'], '--auth-level', level)
        proxy(lab, env)
        for (rpc, wire), http in itertools.product((('kerberos', 'krb5'), ('negotiate', 'spnego')), (None, 'negotiate')):
            words = ('--rpc-auth', rpc, '--target', 'host/localhost', '--auth-level')
            tap = lab.tap(lab.port if http else lab.tcp)
            lab.log.log.clear()
            answered(call(lab, *words, level, http=http, port=tap.port), lab, ALICE if http else None)
            expect_spoken(tap, wire, levels[level], '', '%s, %s' % (rpc, level))
            if below:
                told(call(lab, *words, below, http=http), 'access denied')
        below = level


@in_a_realm()
def our_client_without_a_ticket(lab, env):
    start(lab, env)
    told(call(lab, environment=NO_TICKET), 'logon at the RPC proxy by Negotiate', 'No Kerberos credentials available')
    right = ('--user', 'bob@' + REALM)
    answered(call(lab, *right, environment=dict(NO_TICKET, RPCH_PASSWORD='bob-pw')), lab, REALM + '\\bob')
    # with a user there is NTLM to go on with, which this proxy does not have
    told(call(lab, *right, environment=dict(NO_TICKET, RPCH_PASSWORD='other')), '401', 'offered: Negotiate',
         'Decrypt integrity check failed')
    told(call(lab, '--user', 'nobody@' + REALM, environment=NO_TICKET), '401', 'not found in Kerberos database')
    told(call(lab, '--user', USER, http='ntlm'), '401', 'offered: Negotiate, used: NTLM')


@in_a_realm('openssl')
def front_of_the_server(lab, env):
    """The same at the proxy roles inside `rpch serve`."""
    lab.http, lab.port = lab.start(
        'serve', '--http', '127.0.0.1:0', '--https', '127.0.0.1:0', '--cert', lab.certificate(), '--key',
        lab.path('key.pem'), '--auth', 'negotiate', '--keytab', env['RPCH_KEYTAB'], '--rpc-auth', 'kerberos',
        '--auth-level', 'privacy', listeners=2)
    let_in(curl(lab, *TICKET, tls=True))
    refused(curl(lab, *TICKET, tls=True, environment=NO_TICKET))
    inside = ('--rpc-auth', 'kerberos', '--target', 'host/localhost')
    answered(call(lab, *inside, tls=True))
    told(call(lab, tls=True), 'access denied')              # the HTTP layer's user is not the call's
    told(call(lab, *inside, tls=True, environment=NO_TICKET), 'No Kerberos credentials available')


@in_a_realm('smbtorture', 'gss-ntlmssp')
def ntlm_inside_negotiate(lab, env):
    """Refused by a proxy that has nothing but a keytab, served by one that has users as well."""
    word = 'labpass'                                        # gss-ntlmssp's file has colons between
    known = lab.path('ntlm_users')
    with open(known, 'w') as out:
        out.write('LAB:%s:%s\n' % (USER, word))
    no_ticket = dict(NO_TICKET, NTLM_USER_FILE=known, RPCH_PASSWORD=word)
    who = 'LAB\\' + USER
    lab.serve('--rpc-auth', 'ntlm,negotiate', '--users', lab.users(word, '--ntlm'))
    for served in (False, True):
        proxy(lab, env, users=word if served else None)

        def samba(password):
            binding = 'ncacn_http:127.0.0.1[%d,spnego,seal,HttpUseTls=false,RpcProxy=127.0.0.1:%d,HttpAuthOption=negotiate]'
            return smbtorture(binding % (lab.http, lab.port), 'rpc.echo.echo.addone', 30, USER + '%' + password)
        by_curl = curl(lab, '--negotiate', '-u', who + ':' + word, environment=no_ticket)
        by_us = call(lab, '--user', who, environment=no_ticket)
        verdicts, said = samba(word)
        if served:
            expect(len(by_curl[0]) == 2, 'NTLM has two requests, not %s' % by_curl[0])
            let_in(by_curl)
            answered(by_us, lab, USER)
            expect(verdicts == {'addone': 'success'}, 'Samba: ' + said)
            lab.log.log.clear()
            told(call(lab, '--user', who, environment=dict(no_ticket, RPCH_PASSWORD='other')), '401', 'used: Negotiate')
            verdicts, said = samba('other')
            expect('addone' in verdicts and 'LOGON_FAILURE' in said, 'Samba, with a wrong password: ' + said)
            lab.log.must_log('unknown user or wrong password')
            # the ticket goes first where there is one
            answered(call(lab), lab, ALICE)
        else:
            refused(by_curl)
            told(by_us, '401', 'offered: Negotiate, used: Negotiate')
            expect('success' not in verdicts.values() and 'LOGON_FAILURE' in said, 'Samba: ' + said)
            lab.log.must_log('no mechanism in common')


if __name__ == '__main__':
    sys.exit(main())
