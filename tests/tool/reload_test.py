#!/usr/bin/env python3
"""SIGHUP: users file, certificate and key are read again, all of them or none; what is connected goes on."""
import os
import shutil
import signal
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import HERE, PASSWORD, USER, Skipped, case, expect, main, run  # noqa: E402  (the folder comes first)

ECHO = '60a15ec5-4de8-11d7-a637-005056a20182@1.0'
HEAD = (b'RPC_IN_DATA /rpc/rpcproxy.dll?%s HTTP/1.1\r\nAccept: application/rpc\r\nUser-Agent: MSRPC\r\n'
        b'Host: proxy\r\nContent-Length: 0\r\n\r\n')


def connected(port):
    """A TLS connection of its own, and the certificate it was shown."""
    anything = ssl.create_default_context()
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    out = anything.wrap_socket(socket.create_connection(('127.0.0.1', port), 10))
    return out, out.getpeercert(binary_form=True)


def certificate(path):
    with open(path) as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def install(lab, name):
    """Puts another certificate and its key where the program reads its own."""
    new = lab.certificate(name)
    shutil.copy(new, lab.path('cert.pem'))
    shutil.copy(lab.path(name + 'key.pem'), lab.path('key.pem'))
    return certificate(new)


def hang_up(lab, answer):
    one = lab.running[-1]
    one.log.clear()
    one.process.send_signal(signal.SIGHUP)
    one.must_log(answer)


def still_answers(old, target):
    old.sendall(HEAD % target.encode())
    got = old.recv(4096)
    expect(b' 200 ' in got or b' 401 ' in got, 'the old connection does not go on: %s' % got)


def call(lab, port, *words, user=USER):
    with open(lab.path('secret'), 'w') as out:
        out.write(PASSWORD + '\n')
    return run([lab.program, 'call', 'ncacn_http:127.0.0.1[%d,RpcProxy=127.0.0.1:%d]' % (lab.http, port), ECHO, '0', '--stub',
                '29000000', '--ca', lab.path('cert.pem'), '--user', user, '--password-file', lab.path('secret'), *words], 30)


def swapped(lab, port):
    """The certificate is exchanged; NTLM, which is bound to it, goes on."""
    first = certificate(lab.path('cert.pem'))
    old, shown = connected(port)
    expect(shown == first, 'not the certificate of its file')
    for round in ('second', 'third'):
        expect(call(lab, port, '--auth', 'ntlm')[0] == 0, 'NTLM before')
        fresh = install(lab, round)
        expect(connected(port)[1] != fresh, 'it does not wait for the signal')
        hang_up(lab, 'read again: users file, certificate and key')
        expect(connected(port)[1] == fresh, 'not the new certificate')
        still_answers(old, '127.0.0.1:%d' % lab.http)
        code, said = call(lab, port, '--auth', 'ntlm')
        expect(code == 0 and said.strip() == '2a000000', 'NTLM afterwards: %s' % said)


@case('openssl')
def a_proxy_shows_its_new_certificate(lab):
    lab.serve()
    lab.proxy(tls=True, auth='basic,ntlm')
    swapped(lab, lab.port)


@case('openssl')
def a_server_shows_its_new_certificate(lab):
    cert, users = lab.certificate(), lab.users(PASSWORD, '--ntlm')
    lab.http, port = lab.start('serve', '--http', '127.0.0.1:0', '--https', '127.0.0.1:0', '--cert', cert, '--key',
                               lab.path('key.pem'), '--auth', 'ntlm', '--users', users, listeners=2)
    swapped(lab, port)


@case('openssl')
def a_bad_file_changes_nothing(lab):
    lab.serve()
    lab.proxy(tls=True, auth='basic')
    first = certificate(lab.path('cert.pem'))
    lab.users(PASSWORD, user='late')
    for what, why in ((lambda: install(lab, 'second') and shutil.copy(lab.certificate('third'), lab.path('cert.pem')),
                       'does not belong'),
                      (lambda: open(lab.path('cert.pem'), 'w').write('no certificate\n'), 'does not parse'),
                      (lambda: os.unlink(lab.path('cert.pem')), 'cert.pem')):
        what()
        hang_up(lab, 'reload refused, going on as before: ')
        expect(any(why in line for line in lab.running[-1].log), 'the log does not say why: %s' % lab.running[-1].log)
        expect(connected(lab.port)[1] == first, 'not the certificate as before')
    shutil.copy(lab.certificate('second'), lab.path('cert.pem'))
    shutil.copy(lab.path('secondkey.pem'), lab.path('key.pem'))
    with open(lab.path('users')) as file:
        users = file.read()
    with open(lab.path('users'), 'w') as out:
        out.write('no users file\n')
    hang_up(lab, 'reload refused, going on as before: ')
    expect(connected(lab.port)[1] == first, 'half of it was taken')
    with open(lab.path('users'), 'w') as out:
        out.write(users)
    hang_up(lab, 'read again: users file, certificate and key')
    code, said = call(lab, lab.port, user='late')
    expect(code == 0, 'the new user with the new certificate: %s' % said)


@case('openssl')
def an_expired_certificate_is_said_to_be(lab):
    lab.serve()
    lab.proxy(tls=True)
    lab.running[-1].must_log(': renew it soon and send SIGHUP')
    again = ['openssl', 'x509', '-in', lab.path('cert.pem'), '-signkey', lab.path('key.pem'), '-days', '-1']
    code, over = run([*again, '-out', lab.path('over.pem')], 10)
    expect(code == 0, over)
    shutil.copy(lab.path('over.pem'), lab.path('cert.pem'))
    hang_up(lab, 'the certificate has expired at 20')
    install(lab, 'good')
    hang_up(lab, 'the certificate is good until 20')


@case('openssl')
def users_are_not_taken_without_the_certificate(lab):
    lab.serve()
    lab.proxy(tls=True, auth='basic')
    shutil.copy(lab.path('cert.pem'), lab.path('good.pem'))
    lab.users(PASSWORD, user='late')
    with open(lab.path('cert.pem'), 'w') as out:
        out.write('no certificate\n')
    hang_up(lab, 'reload refused, going on as before: ')
    shutil.copy(lab.path('good.pem'), lab.path('cert.pem'))
    expect(call(lab, lab.port, user='late')[0] == 1, 'half of it was taken')
    hang_up(lab, 'read again: ')
    expect(call(lab, lab.port, user='late')[0] == 0, 'the new user')


@case('openssl')
def a_plain_server_reads_its_users_again(lab):
    lab.users(PASSWORD, '--ntlm')
    port, = lab.start('serve', '--tcp', '127.0.0.1:0', '--rpc-auth', 'ntlm', '--users', lab.path('users'), listeners=1)
    lab.users(PASSWORD, '--ntlm', user='late')
    with open(lab.path('secret'), 'w') as out:
        out.write(PASSWORD + '\n')
    words = [lab.program, 'call', 'ncacn_ip_tcp:127.0.0.1[%d]' % port, ECHO, '0', '--stub', '29000000', '--rpc-auth', 'ntlm',
             '--user', 'late', '--password-file', lab.path('secret')]
    expect(run(words, 20)[0] == 1, 'a user nobody has read')
    hang_up(lab, 'read again: users file')
    expect(run(words, 20)[0] == 0, 'the new user')


# a key that the server's file lacks, then the file that has it; no signal
KEYTAB = '''
PATH=$PATH:/usr/sbin:/sbin; cp "$RPCH_KEYTAB" live; echo alice-pw > secret
"$0" serve --tcp 127.0.0.1:0 --rpc-auth kerberos --keytab live > out & server=$!
until [ -s out ] || ! kill -0 $server; do sleep 0.05; done
call() { "$0" call "ncacn_ip_tcp:127.0.0.1[$(sed 's/.*://' out)]" %s 0 --stub 29000000 --rpc-auth kerberos --user alice \\
    --password-file secret --target host/localhost; }
call; kadmin.local -q 'ktadd -k new host/localhost' > kadmin.out; call || echo refused; mv new live; call
kill $server; wait $server && echo done
''' % ECHO


@case()
def a_keytab_is_read_whenever_a_key_is_needed(lab):
    code, said = run([sys.executable, os.path.join(HERE, 'kerberos_realm.py'), 'sh', '-c',
                      'cd "$1"' + KEYTAB, os.path.abspath(lab.program), lab.room], 60)
    if code == 77 or 'has no Kerberos' in said:
        raise Skipped(said)
    words = [line for line in said.splitlines() if line in ('2a000000', 'refused', 'done')]
    expect(words == ['2a000000', 'refused', '2a000000', 'done'], said)


if __name__ == '__main__':
    sys.exit(main())
