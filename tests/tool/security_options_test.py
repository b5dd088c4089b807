#!/usr/bin/env python3
"""Options that would have no effect, security's above all, are refused, and the text says why."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import Skipped, case, expect, main, run  # noqa: E402  (the folder comes first)

SERVE = ('serve', '--tcp', '127.0.0.1:0')
PROXY = ('proxy', '--listen', '127.0.0.1:0', '--valid-ports', '127.0.0.1:1', '--allow-plain')
CALL = ('call', 'ncacn_ip_tcp:127.0.0.1[1]', '60a15ec5-4de8-11d7-a637-005056a20182@1.0', '0')
HTTPS = ('call', 'ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:1]', *CALL[2:])
HTTP = ('call', 'ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:1,HttpUseTls=false]', *CALL[2:])
NTLM = ('call', 'ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:1,HttpAuthOption=ntlm]', *CALL[2:])
# words, what is said
REFUSED = (
    ((*SERVE, '--keytab', '/nowhere'), '--keytab is for'),
    ((*SERVE, '--rpc-auth', 'kerberos', '--keytab', '/nowhere'), 'has no Kerberos|cannot read the keytab /nowhere: No such file'),
    ((*SERVE, '--rpc-auth', 'ntlm'), 'needs --users'),
    ((*SERVE, '--rpc-auth', 'ntlm', '--users', '/nowhere'), 'cannot open the users file /nowhere: No such file'),
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
    ((*HTTPS, '--allow-basic-over-plain', '--user', 'a'), 'is for HttpUseTls=false'),
    ((*HTTPS, '--auth', 'none', '--user', 'a', '--rpc-auth', 'ntlm', '--rpc-user', 'b'), '--user has no use'),
    ((*NTLM, '--auth', 'basic', '--user', 'a'), 'HttpAuthOption contradict'),
    (NTLM, 'needs --user'),
    ((*CALL, '--stub', '@/nowhere'), 'cannot read the file'),
    ((*SERVE, '--rpc-auth', 'kerberos', '--keytab', '/tmp'), 'has no Kerberos|the keytab /tmp is no file'),
    ((*SERVE, '--channel-lifetime', '1000000'), 'are for --https'),
    ((*SERVE, '--replace-out-below', '100000'), '--replace-out-below is for --http'),
    ((*SERVE, '--auth-level', 'call'), '--auth-level needs --rpc-auth'),
    ((*SERVE, '--auth-level', 'calls'), '--auth-level'),
    ((*CALL, '--rpc-auth', 'ntlm', '--auth-level', 'none'), '--auth-level'),
    ((*CALL, '--rpc-auth', 'NTLM'), 'ntlm needs --user'),
    ((*CALL, '--replace-in-below', '100000'), 'is for ncacn_http'),
    ((*PROXY, '--auth', 'none', '--replace-out-below', '100000'), 'is for --tcp-backend'),
    ((*PROXY, '--auth', 'none', '--tcp-backend', 'x:1=x:1=y:2'), 'wants HOST:PORT=HOST:PORT'),
    ((*PROXY, '--auth', 'none', '--tcp-backend', 'x:1=y:2:3'), 'wants HOST:PORT=HOST:PORT'),
    ((*PROXY, ), 'ntlm or negotiate with'),
    ((*PROXY[:-1], '--auth', 'none', '--cert', '/tmp', '--key', '/tmp'), '/tmp is a directory'),
    (('ping', 'x'), "no subcommand 'ping'; there are demo, serve, proxy, passwd, call"),
    (('call', 'ncacn_ip_tcp:127.0.0.1[x]', *CALL[2:]), 'BINDING'),
)


@case()
def options_without_effect_are_refused(lab):
    for words, text in REFUSED:
        code, said = run([lab.program, *words], 10)
        expect(code == 2 and any(each in said for each in text.split('|')), '%s: exit code %s, %s' % (words, code, said))


@case('openssl')
def what_is_wrong_with_a_file_names_it(lab):
    cert, other = lab.certificate(), lab.path('other_key.pem')
    users, broken, empty, garbage = (lab.path(name) for name in ('bad_users', 'no_hash', 'empty_file', 'garbage'))
    for path, text in ((users, '# fine\nno hash\n'), (broken, 'a:!;ntlm=%s\n' % (32 * 'a')), (empty, ''), (garbage, 'x')):
        with open(path, 'w') as out:
            out.write(text)
    key = cert.replace('cert', 'key')
    code, said = run(['openssl', 'genrsa', '-out', other, '2048'], 30)
    expect(code == 0, said)
    https = ('proxy', '--listen', '127.0.0.1:0', '--valid-ports', '127.0.0.1:1', '--auth', 'none')
    for words, text in (
            ((*https, '--cert', cert, '--key', other), 'key in %s does not belong to the certificate of .* in %s'
             % (other, cert)),
            ((*https, '--cert', key, '--key', cert), 'certificate chain in %s does not parse' % key),
            ((*https, '--cert', cert, '--key', cert), 'private key in %s does not parse' % cert),
            ((*SERVE, '--rpc-auth', 'ntlm', '--users', users), 'users file %s, line 2' % users),
            ((*SERVE, '--rpc-auth', 'ntlm', '--users', broken), 'users file %s, line 1: not a user as' % broken),
            ((*https[:-1], 'basic', '--cert', cert, '--key', key, '--users', broken), 'users file %s, line 1' % broken),
            ((*SERVE, '--rpc-auth', 'kerberos', '--keytab', empty), 'has no Kerberos|no key in the keytab %s' % empty),
            ((*SERVE, '--rpc-auth', 'kerberos', '--keytab', garbage), 'has no Kerberos|the file %s is no keytab' % garbage),
            ((*HTTPS, '--ca', garbage), garbage),
            ((*HTTPS, '--user', 'a', '--password-file', empty), 'there is no password in the first line of the file %s' % empty),
            ((*HTTPS, '--user', 'a', '--password-file', '/nowhere'), 'cannot read the password file /nowhere')):
        code, said = run([lab.program, *words], 10)
        expect(code == 2 and re.search(text, said), '%s: exit code %s, %s' % (words, code, said))


@case()
def a_client_without_a_ticket_is_told_to_get_one(lab):
    nothing = {'KRB5CCNAME': 'FILE:' + lab.path('no_cache')}
    code, said = run([lab.program, *CALL, '--rpc-auth', 'kerberos'], 10, nothing)
    if code == 2 and 'no Kerberos' in said:
        raise Skipped('a build without Kerberos')
    expect(code == 1 and 'there are no credentials to log on with' in said and 'get a ticket (kinit)' in said,
           'exit code %s, %s' % (code, said))
    code, said = run([lab.program, *HTTP, '--auth', 'negotiate'], 10, nothing)
    expect(code == 1, 'exit code %s, %s' % (code, said))


@case('openssl')
def options_with_effect_are_taken(lab):
    own_ca = ('--ca', lab.certificate())                    # the system may have no authorities
    trusted = (*HTTPS, *own_ca)
    secret = lab.path('secret')
    with open(secret, 'w') as out:
        out.write('a\n')
    user = ('--user', 'a', '--password-file', secret)
    for words in ((*trusted, *user), (*HTTPS, '--insecure'), (*HTTP, '--auth', 'ntlm', *user), (*NTLM, *own_ca, *user),
                  (*HTTP, '--allow-basic-over-plain', *user),
                  (*trusted, '--channel-lifetime', '1000000', '--receive-window', '65536'),
                  (*CALL, '--auth', 'none', '--rpc-auth', 'ntlm', *user), (*CALL, '--rpc-auth', 'none'),
                  (*CALL, '--rpc-auth', 'ntlm', '--auth-level', 'call', *user),
                  (*CALL, '--rpc-auth', 'ntlm', '--user', 'a', '--rpc-password-file', secret)):
        code, said = run([lab.program, *words], 10)
        expect(code == 1 and 'Connection refused' in said, '%s: exit code %s, %s' % (words, code, said))


if __name__ == '__main__':
    sys.exit(main())
