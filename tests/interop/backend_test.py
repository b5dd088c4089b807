#!/usr/bin/env python3
"""A Samba domain controller, which knows nothing of HTTP, behind `rpch proxy --tcp-backend`: the endpoint mapper and
the account server, called by impacket and by Samba's client with security of their own, which passes through unchanged.
"""
import re
import sys

from lab import Failed, Skipped, case, main, run
from samba_dc import ADMIN, ADMIN_PASSWORD, DOMAIN, REALM, DomainController

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
CALLS += [('Samba: SAMR, %s, %s' % (mechanism, level), 'samba_client.py', False,
           ('--call', 'samr', '--rpc-auth', mechanism, '--rpc-level', level, *WHO, *REPEAT), ADMIN)
          for mechanism in ('ntlm', 'spnego', 'krb5') for level in ('sign', 'seal')]


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


def through_the_proxy(lab, tls=False):
    if '--tcp-backend' not in run([lab.program, 'proxy', '--help'], 10)[1]:
        raise Skipped('this program has no option --tcp-backend')
    with DomainController() as dc:
        words = []
        for port in (dc.epmap_port, dc.rpc_port):
            words += ['--tcp-backend', '%s:%d=%s:%d' % (dc.name, port, dc.address, port)]
        lab.proxy(*words, tls=tls,
                  valid_ports='%s:%d;%s:%d' % (dc.name, dc.epmap_port, dc.name, dc.rpc_port))
        http = {'impacket_client.py': ('--tls',) if tls else (),
                'samba_client.py': ('--tls', '--ca', lab.path('cert.pem')) if tls else ()}
        calls(lab, dc, lambda port, script: ('--proxy', lab.at, '--target', '%s:%d' % (dc.name, port), *http[script]))


@case(*PEERS)
def through_the_proxy_plain(lab):
    through_the_proxy(lab)


@case(*PEERS, 'openssl')
def through_the_proxy_tls(lab):
    through_the_proxy(lab, tls=True)


if __name__ == '__main__':
    sys.exit(main())
