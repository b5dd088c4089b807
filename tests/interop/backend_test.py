#!/usr/bin/env python3
"""A Samba domain controller, which knows nothing of HTTP, behind `rpch proxy --tcp-backend`: the endpoint mapper, the
account server and replication, called by impacket, by Samba's client and by `rpch call` with security of their own,
which passes through unchanged."""
import re
import sys

from lab import PASSWORD, USER, Failed, Skipped, case, expect, main, run
from samba_dc import ADMIN, ADMIN_PASSWORD, DOMAIN, DRSUAPI, REALM, SAMR, WRONG_PASSWORD, DomainController

PEERS = ('a Samba domain controller', 'impacket', 'python3-samba')
WHO = ('--rpc-domain', DOMAIN, '--rpc-user', ADMIN, '--rpc-password', ADMIN_PASSWORD)
REPEAT = ('--repeat', '10')
NTLM = ('--rpc-auth', 'ntlm', '--rpc-level', 'privacy', *WHO)
MAPPED = r'samr at ncacn_ip_tcp:\S+\[PORT\]'
# name, script, whether the port is the endpoint mapper's, its words, what it must say
CALLS = [
    ('impacket: ept_map', 'impacket_client.py', True, ('--call', 'epm', '--of', 'samr'), MAPPED),
    ('impacket: ept_map, NTLM, privacy', 'impacket_client.py', True, ('--call', 'epm', '--of', 'samr', *NTLM), MAPPED),
    ('impacket: ept_lookup', 'impacket_client.py', True, ('--call', 'lookup', '--of', 'samr'), 'samr is there'),
    ('impacket: ept_lookup, NTLM, privacy', 'impacket_client.py', True, ('--call', 'lookup', '--of', 'samr', *NTLM),
     'samr is there'),
    ('impacket: inq_if_ids', 'impacket_client.py', False, ('--call', 'mgmt', '--of', 'samr'), 'samr is there'),
    ('impacket: SAMR, NTLM, integrity', 'impacket_client.py', False,
     ('--call', 'samr', '--rpc-auth', 'ntlm', '--rpc-level', 'integrity', *WHO, *REPEAT), ADMIN),
    ('impacket: SAMR, NTLM, privacy', 'impacket_client.py', False, ('--call', 'samr', *NTLM, *REPEAT), ADMIN),
]
SECURED = [(mechanism, level, ('--rpc-auth', mechanism, '--rpc-level', level, *WHO))
           for mechanism in ('ntlm', 'spnego', 'krb5') for level in ('sign', 'seal')]
CALLS += [('Samba: %s%s' % (name, how), 'samba_client.py', True, ('--call', call, *words), MAPPED)
          for name, call in (('ept_map', 'epm'), ('ept_lookup', 'lookup'))
          for how, words in [('', ())] + [(', %s, %s' % each[:2], each[2]) for each in SECURED]]
CALLS += [('Samba: SAMR, %s, %s' % (mechanism, level), 'samba_client.py', False,
           ('--call', 'samr', *words, *REPEAT), ADMIN) for mechanism, level, words in SECURED]


def calls(lab, dc, where):
    """Makes all calls and then tells of those that failed. `where` has the words for a script and a port."""
    failed = []
    for name, script, mapper, words, pattern in CALLS:
        if 'krb5' in words:
            words = (*words, '--realm', REALM, '--kdc', dc.address, '--rpc-host', dc.name)
        code, said = lab.client(script, *where(dc.epmap_port if mapper else dc.rpc_port, script), *words)
        good = code == 0 and re.search(pattern.replace('PORT', str(dc.rpc_port)), said)
        print('%s: %s' % (name, said.strip() if good else 'FAILED'))
        if not good:
            failed.append('%s: exit code %s\n%s' % (name, code, said[-2000:]))
    if failed:
        raise Failed('%d of %d calls\n%s\nthe domain controller said:\n%s' % (
            len(failed), len(CALLS), '\n'.join(failed), dc.tail()))


@case(*PEERS)
def over_tcp(lab):
    with DomainController() as dc:
        calls(lab, dc, lambda port, _: ('--direct', '--target', '%s:%d' % (dc.address, port)))


def in_front_of(lab, dc, **how):
    words = []
    for port in (dc.epmap_port, dc.rpc_port):
        words += ['--tcp-backend', '%s:%d=%s:%d' % (dc.name, port, dc.address, port)]
    lab.proxy(*words, valid_ports='%s:%d;%s:%d' % (dc.name, dc.epmap_port, dc.name, dc.rpc_port), **how)


def through_the_proxy(lab, tls=False):
    if '--tcp-backend' not in run([lab.program, 'proxy', '--help'], 10)[1]:
        raise Skipped('this program has no option --tcp-backend')
    with DomainController() as dc:
        in_front_of(lab, dc, tls=tls)
        http = {'impacket_client.py': ('--tls',) if tls else (),
                'samba_client.py': ('--tls', '--ca', lab.path('cert.pem')) if tls else ()}
        calls(lab, dc, lambda port, script: ('--proxy', lab.at, '--target', '%s:%d' % (dc.name, port), *http[script]))


@case(*PEERS)
def through_the_proxy_plain(lab):
    through_the_proxy(lab)


@case(*PEERS, 'openssl')
def through_the_proxy_tls(lab):
    through_the_proxy(lab, tls=True)


@case('a Samba domain controller', 'openssl')
def our_client_through_the_proxy(lab):
    with DomainController() as dc:
        in_front_of(lab, dc, tls=True, auth='basic,ntlm')
        binding = 'ncacn_http:%s[%d,RpcProxy=%s]' % (dc.name, dc.rpc_port, lab.at)
        with open(lab.path('secret'), 'w') as out:
            out.write(PASSWORD + '\n')
        for http in ('basic', 'ntlm'):
            # one user for the proxy, and another for the server
            more = ('--ca', lab.path('cert.pem'), '--auth', http, '--user', USER,
                    '--password-file', lab.path('secret'))
            for mechanism in ('ntlm', 'negotiate', 'kerberos'):
                for level in ('integrity', 'privacy'):
                    code, said = dc.called_by_us(lab, binding, mechanism, level, SAMR, more=more)
                    expect(code == 0 and re.fullmatch('[0-9a-f]{40}0{8}', said.strip()),
                           'SamrConnect, %s, %s: %s\n%s' % (mechanism, level, said, dc.tail()))
                code, said = dc.called_by_us(lab, binding, mechanism, 'privacy', DRSUAPI, more=more)
                expect(code == 0 and said.strip().endswith('0' * 8), 'DRSBind, %s: %s' % (mechanism, said))
                code, said = dc.called_by_us(lab, binding, mechanism, 'integrity', DRSUAPI, more=more)
                expect(code == 1 and 'access denied' in said, 'DRSBind, %s, not sealed: %s' % (mechanism, said))
                code, said = dc.called_by_us(lab, binding, mechanism, 'privacy', password='wrong', more=more)
                expect(code == 1 and re.search(WRONG_PASSWORD[mechanism], said),
                       '%s with a wrong password: %s' % (mechanism, said))
                print('%s at the proxy, %s at the server: SamrConnect and DRSBind' % (http, mechanism))


if __name__ == '__main__':
    sys.exit(main())
