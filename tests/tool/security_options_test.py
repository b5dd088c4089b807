#!/usr/bin/env python3
"""Options that would have no effect, security's above all, are refused, and the text says why."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import case, expect, main, run  # noqa: E402  (the folder comes first)

SERVE = ('serve', '--tcp', '127.0.0.1:0')
PROXY = ('proxy', '--listen', '127.0.0.1:0', '--valid-ports', '127.0.0.1:1', '--allow-plain')
CALL = ('call', 'ncacn_ip_tcp:127.0.0.1[1]', '60a15ec5-4de8-11d7-a637-005056a20182@1.0', '0')
HTTPS = ('call', 'ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:1]', *CALL[2:])
HTTP = ('call', 'ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:1,HttpUseTls=false]', *CALL[2:])
NTLM = ('call', 'ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:1,HttpAuthOption=ntlm]', *CALL[2:])
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
    ((*SERVE, '--rpc-auth', 'kerberos', '--users', '/nowhere'), '--users is for'),
    ((*SERVE, '--rpc-auth', 'ntlm,ntlm', '--users', '/nowhere'), 'twice'),
    ((*SERVE, '--allow-plain'), 'are for --https'),
    ((*SERVE, '--https', '127.0.0.1:0', '--auth', 'none', '--allow-plain', '--users', '/nowhere'), '--users is for'),
    ((*SERVE, '--https', '127.0.0.1:0', '--auth', 'none', '--allow-plain', '--cert', '/a', '--key', '/b'), 'one of them'),
    ((*SERVE, '--https', '127.0.0.1:0', '--auth', 'basic', '--allow-plain'), '--auth basic needs --users'),
    ((*SERVE, '--https', ''), 'the value is empty'),
    (('serve', '--epmap-tcp', '127.0.0.1:0', '--rpc-auth', 'ntlm', '--users', '/a', '--auth-level', 'privacy'),
     '--auth-level is for'),
    (('serve', '--tcp', 'localhost:0'), 'no IP address'),
    (('serve', '--tcp', '127.0.0.1'), 'wants ADDRESS:PORT'),
    (('proxy', '--listen', 'localhost:0', *PROXY[3:], '--auth', 'none'), 'no IP address'),
    ((*PROXY, '--auth', 'none', '--users', '/nowhere'), '--users is for'),
    ((*PROXY, '--auth', 'none', '--cert', '/a', '--key', '/b'), 'one of them'),
    ((*PROXY, '--auth', 'basic'), '--auth basic needs --users'),
    ((*PROXY, '--auth', 'basic', '--users', ''), 'the value is empty'),
    ((*PROXY, '--auth', 'none', '--keytab', '/nowhere'), '--keytab is for'),
    ((*PROXY, '--auth', 'ntlm'), 'needs --users'),
    ((*PROXY, '--auth', 'kerberos'), 'kerberos is not supported'),
    ((*CALL, '--auth-level', 'packet'), '--auth-level requires --rpc-auth'),
    ((*CALL, '--rpc-user', 'a'), '--rpc-user requires --rpc-auth'),
    ((*CALL, '--target', 'host/a'), '--target requires --rpc-auth'),
    ((*CALL, '--rpc-auth', 'ntlm'), 'needs --user'),
    ((*HTTPS, '--auth', 'ntlm'), 'needs --user'),
    ((*HTTPS, '--auth', 'none', '--user', 'a'), 'contradict each other'),
    ((*CALL, '--user', 'a'), 'without --rpc-auth'),
    ((*CALL, '--user', 'a', '--rpc-auth', 'none'), 'without --rpc-auth'),
    ((*CALL, '--password-file', '/nowhere'), '--password-file requires --user'),
    ((*CALL, '--auth', 'ntlm', '--user', 'a'), '--auth is the logon at an RPC proxy'),
    ((*CALL, '--ca', '/nowhere'), '--ca is for TLS'),
    ((*CALL, '--insecure'), '--insecure is for TLS'),
    ((*CALL, '--allow-basic-over-plain'), 'is for ncacn_http'),
    ((*CALL, '--channel-lifetime', '1000000'), 'is for ncacn_http'),
    ((*CALL, '--receive-window', '65536'), 'is for ncacn_http'),
    ((*CALL, '--user', 'a', '--rpc-auth', 'ntlm', '--rpc-user', 'b'), '--user has no use'),
    ((*CALL, '--rpc-auth', 'kerberos', '--rpc-password-file', '/nowhere'), 'needs --rpc-user or --user'),
    ((*CALL, '--rpc-auth', 'none', '--target', 'host/a'), '--rpc-auth none contradicts'),
    ((*CALL, '--rpc-auth', 'none', '--auth-level', 'privacy'), '--rpc-auth none contradicts'),
    ((*CALL, '--user', 'a', '--rpc-auth', 'ntlm', '--password-file', '/a', '--rpc-password-file', '/b'),
     '--password-file has no use'),
    ((*HTTP, '--ca', '/nowhere'), 'HttpUseTls=false'),
    ((*HTTP, '--insecure'), 'HttpUseTls=false'),
    ((*HTTP, '--user', 'a'), 'Basic without TLS'),
    ((*HTTPS, '--allow-basic-over-plain'), 'is for --auth basic'),
    ((*HTTPS, '--auth', 'none', '--user', 'a', '--rpc-auth', 'ntlm', '--rpc-user', 'b'), '--user has no use'),
    ((*NTLM, '--auth', 'basic', '--user', 'a'), 'HttpAuthOption contradict'),
    (NTLM, 'needs --user'),
    ((*CALL, '--stub', '@/nowhere'), 'cannot read the file'),
    (('call', 'ncacn_ip_tcp:127.0.0.1[x]', *CALL[2:]), 'BINDING'),
)


@case()
def options_without_effect_are_refused(lab):
    for words, text in REFUSED:
        code, said = run([lab.program, *words], 10)
        expect(code == 2 and any(each in said for each in text.split('|')), '%s: exit code %s, %s' % (words, code, said))


@case('openssl')
def options_with_effect_are_taken(lab):
    own_ca = ('--ca', lab.certificate())                    # the system may have no authorities
    trusted = (*HTTPS, *own_ca)
    secret = lab.path('secret')
    with open(secret, 'w') as out:
        out.write('a\n')
    user = ('--user', 'a', '--password-file', secret)
    for words in ((*trusted, *user), (*HTTPS, '--insecure'), (*HTTP, '--auth', 'ntlm', *user), (*NTLM, *own_ca, *user),
                  (*HTTP, '--allow-basic-over-plain', *user), (*trusted, '--allow-basic-over-plain', *user),
                  (*trusted, '--channel-lifetime', '1000000', '--receive-window', '65536'),
                  (*CALL, '--auth', 'none', '--rpc-auth', 'ntlm', *user), (*CALL, '--rpc-auth', 'none'),
                  (*CALL, '--rpc-auth', 'ntlm', '--user', 'a', '--rpc-password-file', secret)):
        code, said = run([lab.program, *words], 10)
        expect(code == 1 and 'Connection refused' in said, '%s: exit code %s, %s' % (words, code, said))


if __name__ == '__main__':
    sys.exit(main())
