#!/usr/bin/env python3
"""The options of security: what would have no effect is refused, and says why."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import case, expect, main, run  # noqa: E402  (the folder comes first)

SERVE = ('serve', '--tcp', '127.0.0.1:0')
PROXY = ('proxy', '--listen', '127.0.0.1:0', '--valid-ports', '127.0.0.1:1', '--allow-plain')
CALL = ('call', 'ncacn_ip_tcp:127.0.0.1[1]', '60a15ec5-4de8-11d7-a637-005056a20182@1.0', '0')
# words, what is said
REFUSED = (
    ((*SERVE, '--keytab', '/nowhere'), '--keytab is for'),
    ((*SERVE, '--rpc-auth', 'kerberos', '--keytab', '/nowhere'), 'Kerberos|no key in /nowhere'),
    ((*SERVE, '--rpc-auth', 'ntlm'), 'needs --users'),
    ((*SERVE, '--rpc-auth', 'ntlm', '--users', '/nowhere'), 'cannot open the users file'),
    ((*SERVE, '--rpc-auth', 'negotiate'), 'negotiate needs'),
    ((*SERVE, '--rpc-auth', 'digest'), 'digest is not supported'),
    ((*SERVE, '--auth-level', 'privacy'), '--auth-level needs --rpc-auth'),
    ((*SERVE, '--users', '/nowhere'), '--users is for'),
    ((*PROXY, '--auth', 'none', '--keytab', '/nowhere'), '--keytab is for'),
    ((*PROXY, '--auth', 'ntlm'), 'needs --users'),
    ((*PROXY, '--auth', 'kerberos'), 'kerberos is not supported'),
    ((*CALL, '--auth-level', 'packet'), '--auth-level requires --rpc-auth'),
    ((*CALL, '--rpc-user', 'a'), '--rpc-user requires --rpc-auth'),
    ((*CALL, '--target', 'host/a'), '--target requires --rpc-auth'),
    ((*CALL, '--rpc-auth', 'ntlm'), 'needs --user'),
    ((*CALL, '--auth', 'ntlm'), 'needs --user'),
    ((*CALL, '--auth', 'none', '--user', 'a'), 'contradict each other'),
)


@case()
def options_without_effect_are_refused(lab):
    for words, text in REFUSED:
        code, said = run([lab.program, *words], 10)
        expect(code == 2 and any(each in said for each in text.split('|')), '%s: exit code %s, %s' % (words, code, said))


if __name__ == '__main__':
    sys.exit(main())
