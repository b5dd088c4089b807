#!/usr/bin/env python3
"""curl sends what a client sends to find out whether it needs an HTTP proxy, and what nobody should send."""
import sys

from lab import PASSWORD, USER, case, expect, main, run

ECHO_ANSWER = bytes.fromhex('05001403 10000000 14000000 00000000 40000000')     # [MS-RPCH] 2.2.4.48


def curl(lab, method, *words, body=b'\0' * 16):
    """Status line, header fields (names in lower case) and body of the answer."""
    scheme = 'https' if '--cacert' in words else 'http'
    with open(lab.path('body'), 'wb') as out:
        out.write(body)
    code, said = run(['curl', '-sS', '--max-time', '10', '-X', method, '-H', 'Accept: application/rpc',
                      '-H', 'User-Agent: MSRPC', '-H', 'Expect:', '-H', 'Content-Type:',
                      '--data-binary', '@' + lab.path('body'), '-D', lab.path('head'), '-o', lab.path('answer'),
                      *words, '%s://%s/rpc/rpcproxy.dll?127.0.0.1:%d' % (scheme, lab.at, lab.http)], 20)
    expect(code == 0, 'curl: ' + said)
    with open(lab.path('head'), encoding='latin-1', newline='') as file:
        first, *fields = file.read().rstrip('\r\n').split('\r\n')
    with open(lab.path('answer'), 'rb') as file:
        answer = file.read()
    print(method, *words, first, answer[:40].hex())
    return first, {name.lower(): value.strip() for name, _, value in (f.partition(':') for f in fields)}, answer


def echoed(lab, *words):
    for method in ('RPC_IN_DATA', 'RPC_OUT_DATA'):
        first, fields, answer = curl(lab, method, *words)
        expect(' 200 ' in first and fields.get('content-type') == 'application/rpc' and answer == ECHO_ANSWER,
               '%s: %s %s %s' % (method, first, fields, answer.hex()))


@case('curl')
def echo_request_plain(lab):
    lab.serve()
    lab.proxy()
    echoed(lab)


@case('curl', 'openssl')
def echo_request_verified_tls_basic(lab):
    lab.serve()
    lab.proxy(tls=True, auth='basic')
    echoed(lab, '--cacert', lab.path('cert.pem'), '-u', USER + ':' + PASSWORD)


@case('curl')
def basic_challenge_names_the_scheme(lab):
    lab.serve()
    lab.proxy(auth='basic')
    for words in ((), ('-u', USER + ':other'), ('-u', 'nobody:' + PASSWORD)):
        first, fields, _ = curl(lab, 'RPC_OUT_DATA', *words)
        expect(' 401 ' in first and fields.get('www-authenticate', '').startswith('Basic '), first)
    echoed(lab, '-u', USER + ':' + PASSWORD)


@case('curl')
def other_methods_are_refused(lab):
    lab.serve()
    lab.proxy()
    for method in ('POST', 'PUT', 'DELETE'):
        first, _, answer = curl(lab, method)
        expect(' 4' in first or ' 5' in first, '%s: %s' % (method, first))
        expect(answer != ECHO_ANSWER, method + ' is answered like an echo request')
    echoed(lab)


if __name__ == '__main__':
    sys.exit(main())
