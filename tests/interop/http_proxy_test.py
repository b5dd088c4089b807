#!/usr/bin/env python3
"""Our client through a real HTTP proxy, Squid: tunnels for TLS, requests in absolute form, and finding out by itself."""
import os
import re
import subprocess
import time

from lab import PASSWORD, USER, Failed, case, expect, free_port, main, run

RPCECHO = '60a15ec5-4de8-11d7-a637-005056a20182@1.0'
SQUID = 'squid' if os.path.exists('/usr/bin/squid') else '/usr/sbin/squid'
# A name that nobody but the HTTP proxy knows (RFC 6761 6.4: resolvers know none of them).
INSIDE = 'gate.invalid'
PLAIN, ALWAYS = 'HttpUseTls=false', 'HttpConnectionOption=UseHttpProxy'


def squid(lab, *rules):
    """Starts one; its port, and a function that gives the requests it has finished."""
    port = free_port()
    log, conf = lab.path('access.log'), lab.path('squid.conf')
    with open(lab.path('hosts'), 'w') as out:
        out.write('127.0.0.1 localhost %s\n' % INSIDE)
    for name in ('cache.log', 'access.log'):
        open(lab.path(name), 'w').close()
        os.chmod(lab.path(name), 0o666)                     # it gives up root's rights
    os.chmod(lab.room, 0o755)
    with open(conf, 'w') as out:
        out.write('\n'.join([
            'http_port 127.0.0.1:%d' % port, *(rules or ('http_access allow all',)), 'hosts_file ' + lab.path('hosts'),
            'logformat seen %rm %ru %>Hs', 'access_log stdio:%s seen' % log, 'cache_log ' + lab.path('cache.log'), 'cache deny all',
            'pid_filename none', 'visible_hostname squid.test', 'shutdown_lifetime 0 seconds',
            'coredump_dir ' + lab.room, '']))
    process = subprocess.Popen([SQUID, '-N', '-f', conf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)

    def end():
        process.kill()
        process.wait()
    lab.on_exit(end)
    give_up = time.monotonic() + 20
    while run(['curl', '-s', '-o', '/dev/null', 'http://127.0.0.1:%d/' % port], 5)[0] != 0:
        if process.poll() is not None or time.monotonic() > give_up:
            with open(lab.path('cache.log')) as file:
                raise Failed('squid did not come up:\n' + file.read()[-2000:])
        time.sleep(0.1)

    def requests():
        with open(log) as file:
            return [line for line in file.read().splitlines() if not line.startswith('GET ')]
    return port, requests


def call(lab, binding, *more):
    code, said = run([lab.program, 'call', binding, RPCECHO, '0', '--stub', '29000000', *more], 60,
                     {'RPCH_PASSWORD': PASSWORD})
    print(binding, code, said)
    return code, said.strip().splitlines()[-1] if said.strip() else ''


def called(lab, rpc_proxy, port, *words, more=()):
    """Calls through it; the binding names the RPC proxy so, and has these words too."""
    code, said = call(lab, 'ncacn_http:127.0.0.1[%d,%s]' % (lab.http, ','.join((
        'RpcProxy=%s:%d' % (rpc_proxy, lab.port), 'HttpProxy=127.0.0.1:%d' % port, *words))), *more)
    expect(code == 0 and said == '2a000000', said)


def finished(requests, count):
    """The log has a line for a request when it has ended."""
    give_up = time.monotonic() + 10
    while len(requests()) < count:
        expect(time.monotonic() < give_up, 'in the log of squid: %s' % requests())
        time.sleep(0.05)
    return requests()


@case('squid', 'curl', 'openssl')
def tunnel_for_tls(lab):
    lab.serve()
    lab.proxy(tls=True, auth='basic')
    port, requests = squid(lab)
    called(lab, 'localhost', port, ALWAYS, more=('--ca', lab.certificate(), '--user', USER))
    expect(all(re.match('CONNECT localhost:%d ' % lab.port, line) for line in finished(requests, 2)), requests())


@case('squid', 'curl')
def plain_requests_in_absolute_form(lab):
    lab.serve()
    lab.proxy()
    port, requests = squid(lab)
    called(lab, '127.0.0.1', port, PLAIN, ALWAYS)
    seen = finished(requests, 2)
    for method in ('RPC_IN_DATA', 'RPC_OUT_DATA'):
        expect(any(line.startswith('%s http://127.0.0.1:%d/rpc/' % (method, lab.port)) for line in seen), seen)


@case('squid', 'curl')
def found_out_where_the_name_is_known_to_it_alone(lab):
    lab.serve()
    lab.proxy()
    port, requests = squid(lab)
    called(lab, INSIDE, port, PLAIN)
    finished(requests, 3)                                   # the echo request, and both channels


@case('squid', 'curl')
def direct_where_it_may_be(lab):
    lab.serve()
    lab.proxy()
    port, requests = squid(lab)
    called(lab, '127.0.0.1', port, PLAIN)
    time.sleep(0.5)
    expect(not any('RPC_OUT_DATA' in line for line in requests()), requests())


@case('squid', 'curl', 'openssl')
def refusals_are_told(lab):
    lab.serve()
    lab.proxy(tls=True)
    port, _ = squid(lab, 'http_access deny CONNECT', 'http_access allow all')
    code, said = call(lab, 'ncacn_http:127.0.0.1[%d,RpcProxy=localhost:%d,HttpProxy=127.0.0.1:%d,'
                      '%s]' % (lab.http, lab.port, port, ALWAYS), '--ca', lab.certificate())
    expect(code == 1 and 'opened no tunnel' in said and '403 Forbidden' in said, said)


if __name__ == '__main__':
    raise SystemExit(main())
