#!/usr/bin/env python3
"""Security of RPC itself: Samba's torture test and impacket against `rpch serve`, and `rpch call`, at every level."""
import itertools
import re
import sys

from lab import (BIND_ACK, ENCODINGS, PASSWORD, USER, Failed, at_once, beside, case, expect, expect_spoken, main, pdus,
                 protection, run, smbtorture)
from samba_dc import (ADMIN, ADMIN_PASSWORD, DOMAIN, DRSUAPI, MGMT, OTHER, OTHER_PASSWORD, REALM, SAMR, WRONG_PASSWORD,
                      DomainController)

OPERATIONS = ('addone', 'sinkdata', 'echodata', 'sourcedata', 'testcall', 'testcall2', 'enum', 'surrounding',
              'doublepointer', 'sleep')
ECHO = '60a15ec5-4de8-11d7-a637-005056a20182@1.0'
MECHANISMS = ('ntlm', 'negotiate', 'kerberos')
# Samba's words for the levels, and ours.
LEVELS = {'connect': 'connect', 'packet': 'packet', 'sign': 'integrity', 'seal': 'privacy'}


def protected(lab, mechanisms='ntlm', level='none'):
    lab.serve('--rpc-auth', mechanisms, '--users', lab.users(PASSWORD, '--ntlm'), '--auth-level', level)


def torture(lab, mechanism, level, encoding='', more=(), who=USER + '%' + PASSWORD, settings=(), environment=None):
    """All of rpc.echo on one connection; the wire shows that it was spoken as it was asked for."""
    tap = lab.tap(lab.tcp)
    words = [str(tap.port), *(word for word in (mechanism, level, encoding) if word), *more]
    binding = 'ncacn_ip_tcp:127.0.0.1[%s]' % ','.join(words)
    verdicts, said = smbtorture(binding, 'rpc.echo', 60, who, settings, environment)
    if verdicts != {name: 'success' for name in OPERATIONS}:
        raise Failed('%s: %s\n%s' % (binding, verdicts, said))
    expect_spoken(tap, mechanism, level, encoding, binding)
    return '%s: all %d operations' % (binding, len(verdicts))


def torture_all(lab, mechanisms, encodings, **more):
    """The operation `sleep` takes three of the four seconds of a run: several at a time."""
    at_once([lambda one=one: torture(lab, *one, **more) for one in itertools.product(mechanisms, LEVELS, encodings)])


def add_torture_cases():
    for mechanism in ('ntlm', 'spnego'):
        offered = 'ntlm,negotiate' if mechanism == 'spnego' else 'ntlm'
        for level in LEVELS:
            def one(lab, mechanism=mechanism, offered=offered, level=level):
                protected(lab, offered, LEVELS[level])
                print(torture(lab, mechanism, level))
            one.__name__ = 'torture_%s_%s' % (mechanism, level)
            case('smbtorture')(one)

        def others(lab, mechanism=mechanism, offered=offered):
            protected(lab, offered)
            torture_all(lab, (mechanism,), ('bigendian', 'ndr64'))
        others.__name__ = 'torture_%s_every_level_bigendian_and_ndr64' % mechanism
        case('smbtorture')(others)
    for encoding in ('bigendian', 'ndr64'):
        def alone(lab, encoding=encoding):
            protected(lab)
            print(torture(lab, '', '', encoding, who='%'))
        alone.__name__ = 'torture_' + encoding
        case('smbtorture')(alone)


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


@case()
def level_call_is_packet(lab):
    """Of a server that demands it, of a client that asks for it, and on the wire. [MS-RPCE] 2.2.1.1.8."""
    protected(lab, 'ntlm', 'call')
    tap = lab.tap(lab.tcp)
    binding = 'ncacn_ip_tcp:127.0.0.1[%d]' % tap.port
    for level in ('call', 'packet'):
        code, said = call(lab, binding, '--rpc-auth', 'ntlm', '--auth-level', level)
        expect(code == 0 and said.strip() == '2a000000', '%s: %s' % (level, said))
    expect_spoken(tap, 'ntlm', 'packet', '', binding)
    code, said = call(lab, binding, '--rpc-auth', 'ntlm', '--auth-level', 'connect')
    expect(code == 1 and 'access denied' in said.lower(), 'connect: ' + said)


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


def both_layers(lab, *words, level='privacy', http_password=PASSWORD, tls=(), at=None):
    return impacket(lab, '--proxy', at or lab.at, '--target', '127.0.0.1:%d' % lab.http, '--http-auth', 'ntlm',
                    '--http-user', USER, '--http-password', http_password, '--rpc-level', level, *tls, *words)


@case('impacket')
def impacket_ntlm_at_the_proxy_and_at_the_server(lab):
    protected(lab, 'ntlm', 'privacy')
    lab.proxy(auth='basic,ntlm')
    answered(both_layers(lab, '--bytes', '100000'))
    code, said = both_layers(lab, http_password='other')
    expect(code == 1 and ' 401 ' in said, 'a wrong password at the proxy was good enough: ' + said)
    code, said = both_layers(lab, level='integrity')
    expect(code == 1 and 'rpc_s_access_denied' in said, 'a weaker level was good enough: ' + said)


@case('impacket')
def impacket_ntlm_at_the_proxy_and_integrity_at_the_server(lab):
    protected(lab, 'ntlm', 'integrity')
    lab.proxy(auth='ntlm')
    tap = lab.tap(lab.port)
    answered(both_layers(lab, '--bytes', '100000', level='integrity', at='127.0.0.1:%d' % tap.port))
    expect_spoken(tap, 'ntlm', 'sign', '', 'impacket')
    lab.running[-1].must_log('IN channel of 127.0.0.1 (%s) to 127.0.0.1:%d open' % (USER, lab.http))
    code, said = both_layers(lab, level='connect')
    expect(code == 1 and 'rpc_s_access_denied' in said, 'a weaker level was good enough: ' + said)


@case('impacket', 'openssl')
def impacket_ntlm_at_both_over_tls(lab):
    protected(lab, 'ntlm', 'privacy')
    lab.proxy(auth='ntlm', tls=True)
    answered(both_layers(lab, '--bytes', '100000', tls=('--tls',)))


@case('openssl')
def our_client_ntlm_at_the_proxy_and_at_the_server(lab):
    protected(lab, 'ntlm,negotiate', 'privacy')
    for tls in (False, True):
        lab.proxy(auth='basic,ntlm,negotiate', tls=tls)
        binding = 'ncacn_http:127.0.0.1[%d,RpcProxy=%s,HttpUseTls=%s]' % (lab.http, lab.at, 'true' if tls else 'false')
        ca = ('--ca', lab.path('cert.pem')) if tls else ()
        for http in ('ntlm', 'negotiate'):
            for rpc in ('ntlm', 'negotiate'):
                code, said = call(lab, binding, '--auth', http, '--rpc-auth', rpc, *ca)
                expect(code == 0 and said.strip() == '2a000000', '%s at the proxy, %s: %s' % (http, rpc, said))
            code, said = call(lab, binding, '--auth', http, '--rpc-auth', 'ntlm', *ca, password='other')
            expect(code == 1 and ('401' in said or 'credentials' in said), 'wrong password, %s: %s' % (http, said))


@case('impacket')
def impacket_wrong_password(lab):
    protected(lab, 'ntlm', 'integrity')
    code, said = impacket(lab, '--direct', '--target', '127.0.0.1:%d' % lab.tcp, password='wrong')
    expect(code == 1 and 'rpc_s_access_denied' in said, 'the client said: ' + said)
    lab.running[0].must_log('logon by NTLM failed: %s, %s' % (UNKNOWN, USER))


# Domain, user, password, and what the log of raw_server.cpp says of a refusal; the client is told the same in any case.
UNKNOWN, LOCKED = 'unknown user or wrong password', 'the account is locked'
LOGONS = (('', 'tester', 'secret', None), ('ANYDOM', 'tester', 'secret', None), ('', 'tester', 'guess', UNKNOWN),
          ('', 'nobody', 'secret', UNKNOWN), ('rpchdom', 'domainuser', 'secret', None),
          ('OTHERDOM', 'domainuser', 'secret', UNKNOWN), ('', 'domainuser', 'secret', UNKNOWN),
          ('', 'lockeduser', 'secret', LOCKED), ('', 'lockeduser', 'guess', UNKNOWN))
# After the third leg of NTLM, which has no answer, the first call is refused; that of SPNEGO is answered itself.
TOLD = {('impacket_client.py', 'ntlm'): 'rpc_s_access_denied', ('samba_client.py', 'ntlm'): 'Access Denied',
        ('samba_client.py', 'spnego'): 'The attempted logon is invalid'}


def logons(lab, script, mechanism, level):
    _, tcp, http = lab.raw_server()
    server = lab.running[-1]
    lab.http = lab.epmap_http = http
    lab.proxy()                                             # lets everybody in: the server is to refuse
    for way, some in ((('--direct', '--target', '127.0.0.1:%d' % tcp), LOGONS),
                      (('--proxy', lab.at, '--target', '127.0.0.1:%d' % http), LOGONS[-5:-1])):
        for domain, user, password, refusal in some:
            who = '%s\\%s with %s, %s, %s: ' % (domain, user, password, mechanism, way[0])
            server.log.clear()
            code, said = lab.client(script, *way, '--call', 'registry', '--rpc-auth', mechanism, '--rpc-level', level,
                                    '--rpc-domain', domain, '--rpc-user', user, '--rpc-password', password)
            if refusal is None:
                expect(code == 0 and 'ok: ' in said, who + said)
                continue
            expect(code == 1 and TOLD[script, mechanism] in said, who + said)
            server.must_log('logon by %s failed: %s, %s' % (
                'NTLM' if mechanism == 'ntlm' else 'Negotiate', refusal, user))


@case('impacket')
def impacket_wrong_domain_and_locked_user(lab):
    logons(lab, 'impacket_client.py', 'ntlm', 'privacy')


@case('python3-samba')
def samba_wrong_domain_and_locked_user(lab):
    logons(lab, 'samba_client.py', 'ntlm', 'seal')


@case('python3-samba')
def samba_wrong_domain_and_locked_user_spnego(lab):
    logons(lab, 'samba_client.py', 'spnego', 'sign')


HANDLE = '[0-9a-f]{40}0{8}'                                 # the answer of SamrConnect: a handle, and success


WITHOUT_KERBEROS = {'KRB5_CONFIG': '/dev/null'}
# What `--rpc-auth` and the level are on the wire, by the words of lab.py.
WIRE_MECHANISMS = {'ntlm': 'ntlm', 'negotiate': 'spnego', 'kerberos': 'krb5'}
WIRE_LEVELS = {ours: sambas for sambas, ours in LEVELS.items()}


def expect_mechanism(tap, mechanism, level, ntlm, what):
    """The wire of the only connection of a tap: mechanism, level, and whether NTLM was what logged on."""
    expect(len(tap.connections) == 1, '%s: %d connections' % (what, len(tap.connections)))
    expect_spoken(tap, WIRE_MECHANISMS[mechanism], WIRE_LEVELS[level], '', what)
    third_leg = b'NTLMSSP\0' + (3).to_bytes(4, 'little')    # [MS-NLMP] 2.2.1.3
    expect((third_leg in tap.connections[0][0]) == ntlm, what + ': not with the mechanism that was wanted inside')


@case('a Samba domain controller')
def our_client_at_a_domain_controller(lab):
    with DomainController() as dc:
        binding = 'ncacn_ip_tcp:%s[%d]' % (dc.address, dc.rpc_port)
        for mechanism in MECHANISMS:
            # At connect, Samba 4.17 cannot answer a client whose context could sign.
            for level in LEVELS.values():
                tap = lab.tap(dc.rpc_port, dc.address)
                code, said = dc.called_by_us(lab, 'ncacn_ip_tcp:127.0.0.1[%d]' % tap.port, mechanism, level)
                expect(code == 0 and re.fullmatch(HANDLE, said.strip()),
                       'SamrConnect, %s, %s: %s\n%s' % (mechanism, level, said, dc.tail()))
                expect_mechanism(tap, mechanism, level, mechanism == 'ntlm', mechanism + ', ' + level)
            code, said = dc.called_by_us(lab, binding, mechanism, 'connect', MGMT)
            expect(code == 0 and said.strip() == '0000000001000000', 'is_server_listening, %s: %s' % (mechanism, said))
            code, said = dc.called_by_us(lab, binding, mechanism, 'privacy', DRSUAPI)
            expect(code == 0 and said.strip().endswith('0' * 8), 'DRSBind, %s: %s' % (mechanism, said))
            code, said = dc.called_by_us(lab, binding, mechanism, 'privacy', password='wrong')
            expect(code == 1 and re.search(WRONG_PASSWORD[mechanism], said),
                   '%s with a wrong password: %s' % (mechanism, said))
        # SPNEGO where there is no ticket to be had: NTLM inside
        for level in LEVELS.values():
            tap = lab.tap(dc.rpc_port, dc.address)
            code, said = dc.called_by_us(lab, 'ncacn_ip_tcp:127.0.0.1[%d]' % tap.port, 'negotiate', level,
                                         environment=WITHOUT_KERBEROS)
            expect(code == 0 and re.fullmatch(HANDLE, said.strip()), 'NTLM inside SPNEGO, %s: %s' % (level, said))
            expect_mechanism(tap, 'negotiate', level, True, 'NTLM inside SPNEGO, ' + level)
        code, said = dc.called_by_us(lab, binding, 'negotiate', 'privacy', DRSUAPI, environment=WITHOUT_KERBEROS)
        expect(code == 0 and said.strip().endswith('0' * 8), 'DRSBind, NTLM inside SPNEGO: ' + said)
        code, said = dc.called_by_us(lab, binding, 'negotiate', 'privacy', password='wrong', environment=WITHOUT_KERBEROS)
        expect(code == 1 and re.search(WRONG_PASSWORD['negotiate'], said), 'NTLM inside SPNEGO, wrong password: ' + said)


def our_users(lab, dc, tap, mechanism, level, *more, environment=None):
    """association.cpp as the domain's administrator, and with more words as the other user as well."""
    code, said = run([beside(lab.program, 'interop_association'), 'ncacn_ip_tcp:127.0.0.1[%d]' % tap.port,
                      DOMAIN if mechanism == 'ntlm' else REALM, ADMIN, mechanism, level, 'host/' + dc.name, *more], 60,
                     {**dc.kerberos(lab.room), **(environment or {}), 'RPCH_PASSWORD': ADMIN_PASSWORD,
                      'RPCH_OTHER_PASSWORD': OTHER_PASSWORD})
    expect(code == 0, '%s, %s %s: %s\n%s' % (mechanism, level, more, said, dc.tail()))
    return said.strip()


def security_contexts(kept):
    """The auth_context_id of each request of a connection, or None; [MS-RPCE] 2.2.2.11."""
    trailers = [octets[-int.from_bytes(octets[10:12], 'little') - 8:] if protection(octets) else None
                for kind, _, octets in pdus(bytes(kept[0])) if kind == REQUEST]
    return {trailer and int.from_bytes(trailer[4:8], 'little') for trailer in trailers}


def two_users_on_one_connection(lab, dc):
    """Nobody and both, then one as the client itself and the other; and where the server agrees to one context alone."""
    for how, levels in (('several', ('packet', 'integrity', 'privacy')), ('one', ('privacy',))):
        for mechanism, level in itertools.product(MECHANISMS, levels):
            tap = lab.tap(dc.rpc_port, dc.address)
            said = our_users(lab, dc, tap, mechanism, level, OTHER, how)
            seen = [security_contexts(kept) for kept in tap.connections]
            if how == 'several':                            # a third one is that of a wrong password
                expect(len(seen) == 2 and len(seen[0]) == 3 and None in seen[0] and len(seen[1]) in (2, 3)
                       and None not in seen[1], '%s, %s: %s' % (mechanism, level, seen))
            else:
                expect(len(seen) == 2 and len(seen[0]) == 1 and None not in seen[0] and seen[1] == {None},
                       '%s, %s: %s' % (mechanism, level, seen))
            print('%s, %s: %s' % (mechanism, level, said))
        if how == 'several':
            dc.restart('dcesrv:max auth states = 0')


@case('a Samba domain controller')
def our_client_calls_a_domain_controller_in_turn_and_as_two_users(lab):
    """SAMR: many calls on one connection, the sequence numbers of whose signatures count on; and calls of two users."""
    with DomainController() as dc:
        ways = [(mechanism, {}, mechanism == 'ntlm') for mechanism in MECHANISMS] + [('negotiate', WITHOUT_KERBEROS, True)]
        for (mechanism, environment, ntlm), level in itertools.product(ways, LEVELS.values()):
            tap = lab.tap(dc.rpc_port, dc.address)
            what = '%s, %s%s' % (mechanism, level, ', NTLM inside' if environment else '')
            said = our_users(lab, dc, tap, mechanism, level, environment=environment)
            expect_mechanism(tap, mechanism, level, ntlm, what)
            requests = [octets for kind, _, octets in pdus(bytes(tap.connections[0][0])) if kind == REQUEST]
            expect(len(requests) == 15, '%s: %d requests' % (what, len(requests)))
            print('%s: %s' % (what, said))
        two_users_on_one_connection(lab, dc)


@case('a Samba domain controller', 'smbtorture')
def torture_kerberos_every_level_in_every_encoding(lab):
    """Bare and inside SPNEGO, where the server has nothing else: it knows no users."""
    with DomainController() as dc:
        lab.serve('--rpc-auth', 'kerberos,negotiate', '--keytab', dc.keytab)
        who = {'settings': ('realm=' + REALM, 'workgroup=' + DOMAIN), 'environment': dc.kerberos(lab.room),
               'more': ('target_hostname=' + dc.name,)}
        torture_all(lab, ('krb5', 'spnego'), ENCODINGS, who='%s@%s%%%s' % (ADMIN, REALM, ADMIN_PASSWORD), **who)


BIND, REQUEST, ALTER_CONTEXT = 11, 0, 14                # PTYPE
SIGNS_HEADERS = 4                                           # PFC_SUPPORT_HEADER_SIGN, [MS-RPCE] 2.2.2.3


def proposed_and_accepted(tap):
    """Of the only connection of a tap: whether the bind proposed header signing, and the bind_ack took it up."""
    expect(len(tap.connections) == 1, '%d connections' % len(tap.connections))
    client, server = ([(kind, flags) for kind, flags, _ in pdus(bytes(kept))] for kept in tap.connections[0])
    expect(client[:1] and client[0][0] == BIND and server[:1] and server[0][0] == BIND_ACK, '%s, %s' % (client, server))
    return tuple(bool(first & SIGNS_HEADERS) for (_, first), *_ in (client, server))


def on_the_way(kinds, change):
    """For `Tap.change`: has change(octets, start) alter the PDUs of these kinds; several may come at once."""
    def whole(got):
        out, at = bytearray(got), 0
        while at + 20 <= len(out) and out[at] == 5:
            if out[at + 2] in kinds:
                change(out, at)
            at += max(16, int.from_bytes(out[at + 8:at + 10], 'little'))
        return bytes(out)
    return whole


def take_the_proposal_away(octets, at):
    octets[at + 3] &= ~SIGNS_HEADERS


def change_the_alloc_hint(octets, at):
    octets[at + 16] ^= 0x40                                 # of the header, which is never sealed


# What is changed between client and server, and how the server's refusal is told by our client, by Samba's, and in our
# log. A proposal that was taken away is found by the verification trailer, [MS-RPCE] 2.2.2.13.2.
CHANGES = ((on_the_way((BIND, ALTER_CONTEXT), take_the_proposal_away), r'access denied', 'Access Denied',
            'less protection than was demanded'),
           (on_the_way((REQUEST,), change_the_alloc_hint), 'RPC_S_SEC_PKG_ERROR', 'security package-specific error',
            'a protected PDU was altered'))


@case('a Samba domain controller')
def header_signing_at_a_domain_controller(lab):
    with DomainController() as dc:
        for mechanism, level in itertools.product(MECHANISMS, ('packet', 'integrity', 'privacy')):
            def call_through(tap, mechanism=mechanism, level=level):
                return dc.called_by_us(lab, 'ncacn_ip_tcp:127.0.0.1[%d]' % tap.port, mechanism, level)
            tap = lab.tap(dc.rpc_port, dc.address)
            code, said = call_through(tap)
            expect(code == 0 and re.fullmatch(HANDLE, said.strip()), 'SamrConnect, %s, %s: %s' % (mechanism, level, said))
            expect(proposed_and_accepted(tap) == (True, True), '%s, %s: not negotiated' % (mechanism, level))
            for change, told, _, _ in CHANGES:
                tap = lab.tap(dc.rpc_port, dc.address)
                tap.change = change
                code, said = call_through(tap)
                expect(code == 1 and re.search(told, said), '%s, %s, changed: %s' % (mechanism, level, said))
            print('%s, %s: proposed, accepted and heeded' % (mechanism, level))
        # nothing is signed at this level, so nothing is proposed
        for mechanism in MECHANISMS:
            tap = lab.tap(dc.rpc_port, dc.address)
            dc.called_by_us(lab, 'ncacn_ip_tcp:127.0.0.1[%d]' % tap.port, mechanism, 'connect')
            expect(proposed_and_accepted(tap) == (False, False), mechanism + ', connect: negotiated')


@case('a Samba domain controller')
def header_signing_of_sambas_client(lab):
    with DomainController() as dc:
        lab.serve('--rpc-auth', 'ntlm,negotiate,kerberos', '--users', lab.users(PASSWORD, '--ntlm'),
                  '--keytab', dc.keytab)
        users = {'krb5': ('--rpc-user', ADMIN, '--rpc-password', ADMIN_PASSWORD, '--rpc-domain', DOMAIN, '--realm', REALM,
                          '--kdc', dc.address, '--rpc-host', dc.name)}
        for mechanism, level in itertools.product(('ntlm', 'spnego', 'krb5'), LEVELS):
            def call_through(tap, mechanism=mechanism, level=level):
                who = users.get(mechanism, ('--rpc-user', USER, '--rpc-password', PASSWORD))
                return lab.client('samba_client.py', '--direct', '--target', '127.0.0.1:%d' % tap.port, '--rpc-auth',
                                  mechanism, '--rpc-level', level, *who)
            signs = level != 'connect'
            tap = lab.tap(lab.tcp)
            answered(call_through(tap))
            expect(proposed_and_accepted(tap) == (signs, signs), '%s, %s: %s' % (
                mechanism, level, proposed_and_accepted(tap)))
            for change, _, told, logged in CHANGES:
                tap = lab.tap(lab.tcp)
                tap.change = change
                lab.running[0].log.clear()
                code, said = call_through(tap)
                if not signs:
                    expect(code == 0, '%s, connect, changed: %s' % (mechanism, said))
                    continue
                expect(code == 1 and told in said, '%s, %s, changed: %s' % (mechanism, level, said))
                lab.running[0].must_log(logged)


@case('impacket')
def no_header_signing_with_impacket(lab):
    protected(lab, 'ntlm', 'integrity')
    for level in ('integrity', 'privacy'):
        tap = lab.tap(lab.tcp)
        answered(impacket(lab, '--direct', '--target', '127.0.0.1:%d' % tap.port, '--rpc-level', level))
        expect(proposed_and_accepted(tap) == (False, False), level + ': negotiated')


add_impacket_cases()
add_torture_cases()
if __name__ == '__main__':
    sys.exit(main())
