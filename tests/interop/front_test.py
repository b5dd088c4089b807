#!/usr/bin/env python3
"""HAProxy and nginx in front of a farm of `rpch proxy` processes, by the recipes that docs/deployment.md gives."""
import os
import re
import socket
import subprocess
import sys
import threading
import time

from lab import AVAILABLE, Failed, Skipped, beside, case, expect, free_port, main, run

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir)
RECIPES = os.path.join(ROOT, 'examples', 'deployment')
RPCECHO = '60a15ec5-4de8-11d7-a637-005056a20182@1.0'
FARM = 3
STREAM = ('nginx', "nginx's module stream", 'openssl')


def recipe(lab, name, change=lambda text: text):
    """The recipe of this name for the farm of the lab, with its placeholders filled in."""
    lab.front_port = free_port()
    cert, key = lab.certificate(), lab.path('key.pem')
    both = lab.path('both.pem')
    with open(both, 'w') as out:
        for part in (cert, key):
            with open(part) as file:
                out.write(file.read())
    values = {'LISTEN': '127.0.0.1:%d' % lab.front_port, 'CERTIFICATE': cert, 'KEY': key,
              'CERTIFICATE_AND_KEY': both, 'PROXIES_CA': cert, 'PROXIES_NAME': 'localhost',
              'ADMIN_SOCKET': lab.path('admin')}
    values.update(('PROXY%d' % (i + 1), '127.0.0.1:%d' % port) for i, port in enumerate(lab.farm))
    with open(os.path.join(RECIPES, name)) as file:
        text = change(file.read())
    for word in re.findall('@([A-Z0-9_]+)@', text):
        expect(word in values, '%s has the unknown placeholder @%s@' % (name, word))
    return re.sub('@([A-Z0-9_]+)@', lambda found: values[found.group(1)], text)


def written(lab, name, text):
    with open(lab.path(name), 'w') as out:
        out.write(text)
    return lab.path(name)


def start_front(lab, words):
    log = lab.path('front.log')
    with open(log, 'w') as out:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    lab.on_exit(lambda: end(process))
    give_up = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(('127.0.0.1', lab.front_port), 1).close()
            break
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                with open(log) as file:
                    raise Failed('%s did not come up:\n%s' % (words[0], file.read()[-3000:]))
            time.sleep(0.05)
    lab.at = '127.0.0.1:%d' % lab.front_port


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def haproxy(lab, name, **how):
    # the limit of open files is the machine's, not the recipe's
    conf = written(lab, 'haproxy.cfg', re.sub('maxconn [0-9]+', 'maxconn 200', recipe(lab, name, **how)))
    code, said = run(['haproxy', '-c', '-f', conf], 20)
    expect(code == 0 and 'WARNING' not in said, 'haproxy does not like %s:\n%s' % (name, said))
    start_front(lab, ['haproxy', '-db', '-f', conf])


def nginx(lab, name, master='off', **how):
    # whatever it writes goes to the lab's folder
    folders = ''.join('    %s_temp_path %s;\n' % (what, lab.path('nginx.' + what))
                      for what in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    text = recipe(lab, name, **how).replace('http {\n', 'http {\n' + folders, 1)
    conf = written(lab, 'nginx.conf', text)
    lab.front = ['nginx', '-p', lab.room, '-e', lab.path('error.log'), '-c', conf, '-g',
                 'daemon off; master_process %s; pid %s;' % (master, lab.path('nginx.pid'))]
    start_front(lab, lab.front)


def start_farm(lab, *more, tls=False):
    lab.serve()
    lab.farm, lab.members = [], []
    lab.member = lambda port=0: lab.proxy(*more, tls=tls, port=port)
    for _ in range(FARM):
        lab.member()
        lab.farm.append(lab.port)
        lab.members.append(lab.running[-1])


def start_again(lab, which):
    at = lab.at
    lab.member(lab.farm[which])
    lab.at = at                                     # clients still go by the front
    lab.members[which] = lab.running[-1]


def opened(lab, said=' open'):
    """The channels that each proxy of the farm opened, first ones or as `said`: [(IN, OUT)]."""
    return [tuple(sum(' %s channel of ' % way in ' ' + line and line.endswith(said) for line in one.latest(1000))
                  for way in ('IN', 'OUT')) for one in lab.members]


def rpch_call(lab, opnum, stub):
    with open(lab.path('stub'), 'wb') as out:
        out.write(stub)
    code, said = run([lab.program, 'call', 'ncacn_http:127.0.0.1[%d,RpcProxy=%s]' % (lab.http, lab.at), RPCECHO,
                      str(opnum), '--stub', '@' + lab.path('stub'), '--ca', lab.path('cert.pem')], 30)
    expect(code == 0, 'rpch call: ' + said[-2000:])
    return bytes.fromhex(said.strip())


def calls_of_rpch(lab):
    """Verified calls, one with more contents than any window."""
    for _ in range(FARM):
        expect(rpch_call(lab, 0, bytes([41, 0, 0, 0])) == bytes([42, 0, 0, 0]), 'AddOne')
    data = os.urandom(600_000)
    size = len(data).to_bytes(4, 'little')
    expect(rpch_call(lab, 1, size + size + data) == size + data, 'EchoData gives other bytes')
    print('rpch call: %d calls' % (FARM + 1))


def everybody(lab):
    """Every client that is here makes its calls, and every proxy of the farm gets its share."""
    calls_of_rpch(lab)
    target = ('--target', '127.0.0.1:%d' % lab.http)
    if AVAILABLE['impacket']():
        for _ in range(3):
            answered(lab.client('impacket_client.py', '--proxy', lab.at, *target, '--tls', '--bytes', '400000',
                                '--repeat', '2'))
    if AVAILABLE['python3-samba']():
        answered(lab.client('samba_client.py', '--proxy', lab.at, *target, '--tls', '--ca', lab.path('cert.pem'),
                            '--bytes', '8000', '--repeat', '3'))
    counts = opened(lab)
    print('IN and OUT channels of the proxies:', counts)
    expect(all(sum(each) > 0 for each in counts), 'a proxy of the farm was left out: %s' % counts)
    return counts


def answered(result):
    code, said = result
    print(said, end='')
    expect(code == 0 and 'ok: ' in said, 'the client said: ' + said)


@case('haproxy', 'openssl')
def haproxy_ends_tls(lab):
    start_farm(lab)
    haproxy(lab, 'haproxy_tls_ended.cfg')
    everybody(lab)


@case('haproxy', 'openssl')
def haproxy_encrypts_again(lab):
    start_farm(lab, tls=True)
    haproxy(lab, 'haproxy_tls_reencrypted.cfg')
    everybody(lab)


@case('haproxy', 'openssl')
def haproxy_tunnels_tls(lab):
    start_farm(lab, tls=True)
    haproxy(lab, 'haproxy_tls_tunnelled.cfg')
    everybody(lab)


@case('nginx', 'openssl')
def nginx_ends_tls(lab):
    start_farm(lab)
    nginx(lab, 'nginx_tls_ended.conf')
    everybody(lab)


@case('nginx', 'openssl')
def nginx_encrypts_again(lab):
    start_farm(lab, tls=True)
    nginx(lab, 'nginx_tls_reencrypted.conf')
    everybody(lab)


@case(*STREAM)
def nginx_tunnels_tls(lab):
    start_farm(lab, tls=True)
    nginx(lab, 'nginx_tls_tunnelled.conf')
    everybody(lab)


def moves(lab, *more):
    """Sixteen megabytes there and back, through channels that are replaced all the time."""
    code, said = run([beside(lab.program, 'soak_mover'), 'ncacn_http:127.0.0.1[%d,RpcProxy=%s]' % (lab.http, lab.at),
                      '--bytes', '16777216', '--lifetime', '131072', '--limit', '60', '--insecure', '1', *more], 90)
    expect(code == 0, 'the mover says: ' + said[-2000:])


def replaced(lab, front, name, tls=False):
    """A channel that is replaced ends before its Content-Length, and no front may take its proxy for a broken one."""
    start_farm(lab, '--channel-lifetime', '131072', tls=tls)
    front(lab, name)
    moves(lab)
    successors = opened(lab, ' open, in place of another')
    print('IN and OUT channels that took the place of others:', successors)
    expect(min(map(sum, zip(*successors))) > 64, 'few channels were replaced: %s' % successors)


@case('haproxy', 'openssl')
def haproxy_ends_tls_of_channels_that_are_replaced(lab):
    replaced(lab, haproxy, 'haproxy_tls_ended.cfg')


@case('haproxy', 'openssl')
def haproxy_encrypts_channels_again_that_are_replaced(lab):
    replaced(lab, haproxy, 'haproxy_tls_reencrypted.cfg', tls=True)


@case('haproxy', 'openssl')
def haproxy_tunnels_channels_that_are_replaced(lab):
    replaced(lab, haproxy, 'haproxy_tls_tunnelled.cfg', tls=True)


@case('nginx', 'openssl')
def nginx_ends_tls_of_channels_that_are_replaced(lab):
    replaced(lab, nginx, 'nginx_tls_ended.conf')


@case('nginx', 'openssl')
def nginx_encrypts_channels_again_that_are_replaced(lab):
    replaced(lab, nginx, 'nginx_tls_reencrypted.conf', tls=True)


@case(*STREAM)
def nginx_tunnels_channels_that_are_replaced(lab):
    replaced(lab, nginx, 'nginx_tls_tunnelled.conf', tls=True)


@case('haproxy', 'openssl')
def in_and_out_channels_of_one_connection_at_different_proxies(lab):
    def apart(text):
        head, backend = text.split('\nbackend rpch\n')
        head = head.replace('    default_backend rpch', '    use_backend outs if { method RPC_OUT_DATA }\n'
                                                        '    default_backend ins')
        settings, servers = re.split('(?=    server rpch1)', backend)
        first, *others = servers.splitlines(True)
        return head + '\nbackend ins\n%s%s\nbackend outs\n%s%s' % (settings, first, settings, ''.join(others))
    start_farm(lab)
    haproxy(lab, 'haproxy_tls_ended.cfg', change=apart)
    counts = everybody(lab)
    expect(all((ins == 0) != (outs == 0) for ins, outs in counts), 'not apart: %s' % counts)


def admin(lab, command):
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(lab.path('admin'))
        to.sendall(command.encode() + b'\n')
        return to.recv(65536).decode().strip()


def draining_by_the_document():
    with open(os.path.join(ROOT, 'docs', 'deployment.md')) as file:
        lines = re.findall(r"^    echo '(set server [^']*)' \| socat - UNIX-CONNECT:@ADMIN_SOCKET@$", file.read(), re.M)
    expect(len(lines) == 2, 'docs/deployment.md does not say how to drain: %s' % lines)
    return lines


@case('haproxy', 'openssl')
def a_proxy_is_drained_and_nobody_notices(lab):
    start_farm(lab)
    haproxy(lab, 'haproxy_tls_ended.cfg')
    everybody(lab)
    leaving = lab.members[0]
    drain, ready = draining_by_the_document()
    expect(admin(lab, drain) == '', 'HAProxy does not drain')
    before = opened(lab)[0]
    calls_of_rpch(lab)
    expect(opened(lab)[0] == before, 'the proxy that is drained gets new channels')
    leaving.stop()
    calls_of_rpch(lab)
    expect(admin(lab, ready) == '', 'HAProxy does not take it back')


@case('haproxy', 'openssl')
def haproxy_needs_the_open_files_that_the_document_says(lab):
    start_farm(lab)
    conf = written(lab, 'haproxy.cfg', recipe(lab, 'haproxy_tls_ended.cfg'))
    code, said = run(['sh', '-c', 'ulimit -n 1024 && exec timeout 3 haproxy -db -f "$0"', conf], 20)
    if code == 124:
        raise Skipped('it has the right to raise the hard limit')
    found = re.search('Cannot raise FD limit to ([0-9]+)', said)
    expect(found, 'it said: ' + said)
    with open(os.path.join(ROOT, 'docs', 'deployment.md')) as file:
        told = re.search(r'hard limit allows ([0-9,]+)', file.read()).group(1)
    expect(40_000 <= int(found.group(1)) <= int(told.replace(',', '')),
           'it needs %s, the document says %s' % (found.group(1), told))


@case('haproxy', 'openssl')
def a_proxy_that_is_gone_without_a_word_is_left_out(lab):
    start_farm(lab)
    haproxy(lab, 'haproxy_tls_ended.cfg')
    lab.members[1].stop()
    calls_of_rpch(lab)


@case('nginx', 'openssl')
def nginx_leaves_out_a_proxy_that_is_gone(lab):
    start_farm(lab)
    nginx(lab, 'nginx_tls_ended.conf')
    lab.members[1].stop()
    calls_of_rpch(lab)


def past_a_silent_one(lab, name, tls=False):
    """A host without power says nothing at all. Each channel waits for it briefly, none fails."""
    start_farm(lab, tls=tls)
    with socket.socket() as silent, socket.socket() as first, socket.socket() as second:
        silent.bind(('127.0.0.1', 0))
        silent.listen(0)
        for filler in (first, second):              # a queue that is full drops what asks for a connection
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        lab.farm[1] = silent.getsockname()[1]
        nginx(lab, name)
        for _ in range(2):
            expect(rpch_call(lab, 0, bytes([41, 0, 0, 0])) == bytes([42, 0, 0, 0]), 'AddOne')


@case('nginx', 'openssl')
def nginx_goes_past_a_proxy_that_does_not_answer(lab):
    past_a_silent_one(lab, 'nginx_tls_ended.conf')


@case(*STREAM)
def nginx_tunnels_past_a_proxy_that_does_not_answer(lab):
    past_a_silent_one(lab, 'nginx_tls_tunnelled.conf', tls=True)


def restarted_without_a_word(lab, name, tls=False):
    """Each proxy in turn refuses connections for a moment. None may be left out for longer, or soon none is left."""
    start_farm(lab, tls=tls)
    nginx(lab, name)
    for which, member in enumerate(lab.members):
        member.stop()
        calls_of_rpch(lab)
        start_again(lab, which)


@case('nginx', 'openssl')
def nginx_takes_back_at_once_who_is_restarted(lab):
    restarted_without_a_word(lab, 'nginx_tls_ended.conf')


@case(*STREAM)
def nginx_tunnels_at_once_to_who_is_restarted(lab):
    restarted_without_a_word(lab, 'nginx_tls_tunnelled.conf', tls=True)


def workers(lab):
    """The worker processes of nginx that take new connections, and those that only end what they have."""
    with open(lab.path('nginx.pid')) as file:
        master = file.read().strip()
    out = [], []
    with open('/proc/%s/task/%s/children' % (master, master)) as file:
        for pid in file.read().split():
            try:
                with open('/proc/%s/cmdline' % pid) as words:
                    title = words.read()
            except OSError:
                continue
            if 'worker process' in title:
                out['is shutting down' in title].append(pid)
    return out


def wait_for(ready, what, seconds=30):
    give_up = time.monotonic() + seconds
    while not ready():
        expect(time.monotonic() < give_up, what)
        time.sleep(0.02)


class Movers:
    """Calls all the time, of new clients and old ones, until they are stopped."""

    def __init__(self, lab, count):
        self.enough = threading.Event()
        self.failure, self.runs = None, 0
        self.threads = [threading.Thread(target=self.go_on, args=(lab,)) for _ in range(count)]
        for each in self.threads:
            each.start()
        lab.on_exit(self.stop)

    def go_on(self, lab):
        while not self.enough.is_set():
            try:
                moves(lab, '--connections', '2')
                self.runs += 1
            except Failed as why:
                self.failure = why
                return

    def stop(self):
        self.enough.set()
        for each in self.threads:
            each.join()


def sleeper(lab, seconds):
    """A call that takes its time, under way: one virtual connection with nothing on it meanwhile."""
    words = [lab.program, 'call', 'ncacn_http:127.0.0.1[%d,RpcProxy=%s]' % (lab.http, lab.at), RPCECHO, '6', '--stub',
             '%02x000000' % seconds, '--ca', lab.path('cert.pem')]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    lab.on_exit(lambda: end(process))
    return process


def nginx_by_the_document(lab):
    with open(os.path.join(ROOT, 'docs', 'deployment.md')) as file:
        lines = re.findall(r"^    (sed -i '[^']*' nginx\.conf) && nginx -s reload$", file.read(), re.M)
    expect(len(lines) == 2, 'docs/deployment.md does not say how to drain behind nginx: %s' % lines)
    return [line.replace('@PROXY1@', '127.0.0.1:%d' % lab.farm[0]).replace('nginx.conf', lab.path('nginx.conf'))
            for line in lines]


def edit_and_reload(lab, command):
    with open(lab.path('nginx.conf')) as file:
        before = file.read()
    code, said = run(['sh', '-c', command], 10)
    with open(lab.path('nginx.conf')) as file:
        expect(code == 0 and file.read() != before, 'nothing is changed by %s: %s' % (command, said))
    old = workers(lab)[0]
    code, said = run([*lab.front, '-s', 'reload'], 10)
    expect(code == 0, 'nginx -s reload: ' + said)
    wait_for(lambda: workers(lab)[0] and not set(old) & set(workers(lab)[0]), 'nginx has no new workers')


def drained_behind_nginx(lab, name, tls=False):
    start_farm(lab, '--channel-lifetime', '131072', '--drain', '30', tls=tls)
    nginx(lab, name, master='on')
    down, up = nginx_by_the_document(lab)
    leaving, calls = lab.members[0], 2 * FARM
    sleepers = [sleeper(lab, 10) for _ in range(calls)]
    wait_for(lambda: sum(map(sum, opened(lab))) >= 2 * calls, 'not all calls began')
    expect(sum(opened(lab)[0]) > 0, 'no channel of a call at the proxy that is drained')
    movers = Movers(lab, 2)
    wait_for(lambda: sum(opened(lab, ' open, in place of another')[0]) > 10, 'the proxy takes no part')

    edit_and_reload(lab, down)
    latest = [time.monotonic()]

    def took(line):
        if ' open' in line:
            latest[0] = time.monotonic()
    leaving.take_log = took
    wait_for(lambda: time.monotonic() > latest[0] + 1, 'the proxy that is marked down gets new channels')
    expect(all(one.poll() is None for one in sleepers), 'the calls ended too early')
    leaving.stop(40)
    said = re.search('stopping; connections open: ([0-9]+)', '\n'.join(leaving.latest(1000)))
    expect(said and int(said.group(1)) > 0, 'nothing was open when the proxy was ended')
    expect(not any('closing connections that are open' in line for line in leaving.latest(1000)), 'it cut channels off')
    print('channels that were open when the proxy was ended:', said.group(1))

    start_again(lab, 0)
    edit_and_reload(lab, up)
    calls_of_rpch(lab)
    wait_for(lambda: sum(opened(lab)[0]) > 0, 'the proxy is not taken back')
    for one in sleepers:
        said = one.communicate(timeout=20)[0]
        expect(one.returncode == 0 and said.strip() == '0a000000', 'a call through the drained proxy: ' + said)
    movers.stop()
    expect(movers.failure is None and movers.runs >= 2, str(movers.failure or 'the movers did not end'))
    wait_for(lambda: not workers(lab)[1], 'old workers stay though their channels have ended')
    print('runs of the mover:', movers.runs)


@case('nginx', 'openssl')
def a_proxy_behind_nginx_is_drained_and_nobody_notices(lab):
    drained_behind_nginx(lab, 'nginx_tls_ended.conf')


@case(*STREAM)
def a_proxy_that_nginx_tunnels_to_is_drained_and_nobody_notices(lab):
    drained_behind_nginx(lab, 'nginx_tls_tunnelled.conf', tls=True)


@case()
def the_document_quotes_the_recipes(lab):
    with open(os.path.join(ROOT, 'docs', 'deployment.md')) as file:
        document = file.read()
    blocks = re.findall(r'^```[a-z]*\n(.*?)^```$', document, re.M | re.S)
    for name in sorted(os.listdir(RECIPES)):
        with open(os.path.join(RECIPES, name)) as file:
            lines = [line.rstrip() for line in file]
        expect('deployment/%s)' % name in document, 'docs/deployment.md does not name ' + name)
        quoted = [block for block in blocks if quotes(block.splitlines(), lines)]
        expect(quoted, 'docs/deployment.md quotes nothing of ' + name)
    for block in blocks:
        expect(any(quotes(block.splitlines(), open(os.path.join(RECIPES, name)).read().splitlines())
                   for name in os.listdir(RECIPES)), 'no recipe has this block:\n' + block)


def quotes(block, lines):
    """Whether the lines of a block follow one another in a file."""
    return any(lines[at:at + len(block)] == block for at in range(len(lines)))


if __name__ == '__main__':
    sys.exit(main())
