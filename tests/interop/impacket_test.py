#!/usr/bin/env python3
"""impacket's RPC over HTTP v2 client against `rpch proxy` and `rpch serve`."""
import re
import sys

from lab import PASSWORD, USER, case, expect, free_port, main

SMALL = ('--call', 'echo', '--bytes', '1000')
LARGE = ('--call', 'echo', '--bytes', '400000', '--repeat', '3')


def through(lab, *words, tls=False, auth='none', password=PASSWORD, port=None):
    credentials = ('--http-auth', auth, '--http-user', USER, '--http-password', password)
    return lab.client('impacket_client.py', '--proxy', lab.at, '--target', '127.0.0.1:%d' % (port or lab.http),
                      *(('--tls',) if tls else ()), *credentials, *words)


def answered(result, pattern='ok: '):
    code, said = result
    print(said, end='')
    expect(code == 0 and re.search(pattern, said), 'impacket said: %s' % said)


def refused(result, pattern):
    code, said = result
    print(said, end='')
    expect(code == 1 and re.search(pattern, said), 'wanted %r, but impacket said: %s' % (pattern, said))


def echo(lab, words, tls=False, auth='none'):
    lab.serve()
    lab.proxy(tls=tls, auth=auth)
    answered(through(lab, *words, tls=tls, auth=auth))


@case('impacket')
def echo_small_plain_anonymous(lab):
    echo(lab, SMALL)


@case('impacket')
def echo_small_plain_basic(lab):
    echo(lab, SMALL, auth='basic')


@case('impacket', 'openssl')
def echo_small_tls_anonymous(lab):
    echo(lab, SMALL, tls=True)


@case('impacket', 'openssl')
def echo_small_tls_basic(lab):
    echo(lab, SMALL, tls=True, auth='basic')


@case('impacket')
def echo_large_plain_anonymous(lab):
    echo(lab, LARGE)


@case('impacket')
def echo_large_plain_basic(lab):
    echo(lab, LARGE, auth='basic')


@case('impacket', 'openssl')
def echo_large_tls_anonymous(lab):
    echo(lab, LARGE, tls=True)


@case('impacket', 'openssl')
def echo_large_tls_basic(lab):
    echo(lab, LARGE, tls=True, auth='basic')


@case('impacket')
def echo_over_tcp_without_a_proxy(lab):
    lab.serve()
    answered(lab.client('impacket_client.py', '--direct', '--target', '127.0.0.1:%d' % lab.tcp, *LARGE))


@case('impacket')
def endpoint_map_through_the_proxy(lab):
    lab.serve()
    lab.proxy()
    answered(through(lab, '--call', 'epm', port=lab.epmap_http),
             r'ncacn_ip_tcp:127\.0\.0\.1\[%d\].*ncacn_http:127\.0\.0\.1\[%d\]' % (lab.tcp, lab.http))


@case('impacket')
def endpoint_map_over_tcp(lab):
    lab.serve()
    answered(lab.client('impacket_client.py', '--direct', '--target', '127.0.0.1:%d' % lab.epmap_tcp, '--call', 'epm'),
             r'ncacn_ip_tcp:127\.0\.0\.1\[%d\].*ncacn_http:127\.0\.0\.1\[%d\]' % (lab.tcp, lab.http))


@case('impacket')
def endpoint_lookup_through_the_proxy(lab):
    lab.serve()
    lab.proxy()
    answered(through(lab, '--call', 'lookup', port=lab.epmap_http), 'rpcecho is there')


@case('impacket')
def endpoint_lookup_over_tcp(lab):
    lab.serve()
    answered(lab.client('impacket_client.py', '--direct', '--target', '127.0.0.1:%d' % lab.epmap_tcp,
                        '--call', 'lookup'), 'rpcecho is there')


def listed(lab):
    return r'ncacn_http:127\.0\.0\.1\[%d\] rpcecho, ncacn_ip_tcp:127\.0\.0\.1\[%d\] rpcecho' % (lab.http, lab.tcp)


@case('impacket')
def endpoint_list_through_the_proxy(lab):
    lab.serve()
    lab.proxy()
    answered(through(lab, '--call', 'list', port=lab.epmap_http), listed(lab))


@case('impacket')
def endpoint_list_over_tcp(lab):
    lab.serve()
    answered(lab.client('impacket_client.py', '--direct', '--target', '127.0.0.1:%d' % lab.epmap_tcp, '--call', 'list'),
             listed(lab))


@case('impacket')
def mgmt_through_the_proxy(lab):
    lab.serve()
    lab.proxy()
    answered(through(lab, '--call', 'mgmt'), 'rpcecho is there')


@case('impacket')
def mgmt_over_tcp(lab):
    lab.serve()
    answered(lab.client('impacket_client.py', '--direct', '--target', '127.0.0.1:%d' % lab.tcp, '--call', 'mgmt'),
             'rpcecho is there')


@case('impacket')
def wrong_password_is_a_401(lab):
    lab.serve()
    lab.proxy(auth='basic')
    refused(through(lab, *SMALL, auth='basic', password='other'), r'Basic authentication failed .* 401 ')
    answered(through(lab, *SMALL, auth='basic'))            # and nobody else notices


@case('impacket')
def no_credentials_are_a_401(lab):
    lab.serve()
    lab.proxy(auth='basic')
    refused(through(lab, *SMALL), r'authentication failed .* 401 ')


@case('impacket')
def target_that_no_rule_names_is_refused_with_6ba(lab):
    lab.serve()
    lab.proxy(valid_ports='127.0.0.1:%d' % lab.http)
    refused(through(lab, *SMALL, port=free_port()), r'code: 0x6ba - RPC_S_SERVER_UNAVAILABLE')
    refused(through(lab, '--call', 'mgmt', port=lab.epmap_http), r'code: 0x6ba - RPC_S_SERVER_UNAVAILABLE')
    answered(through(lab, *SMALL))


@case('impacket')
def backend_that_is_down_is_answered_with_6ba(lab):
    lab.serve()
    down = free_port()
    lab.proxy(valid_ports='127.0.0.1:%d;127.0.0.1:%d' % (lab.http, down))
    refused(through(lab, *SMALL, port=down), r'code: 0x6ba - RPC_S_SERVER_UNAVAILABLE')
    answered(through(lab, *SMALL))


if __name__ == '__main__':
    sys.exit(main())
