#!/usr/bin/env python3
"""What is left of an origin's throughput when ten times as much is asked of it as it can do.

    tests/overload.py [--bin target/release/why502] [--factor 10] [--seconds 8] [--json FILE]

The origin has one thread and works on one request at a time (5 ms each), on whatever connection it came. First one client after
the other asks it directly: that is R, the requests it manages in a second. Then R times --factor requests a second are offered,
at random moments and whether or not the ones before were answered, by clients that give up after two seconds: with nothing in
between, through why502 with `in_flight`, `queue` and `queue_timeout`, and through HAProxy with `maxconn`, `maxqueue` and
`timeout queue` of the same values. Both have one thread. Served is what came back with a 200 before its client gave up.

Everything runs on loopback, for a bounded time; nothing is installed. HAProxy is left out, and said to be, where it is not there.
It fails where why502 serves less than 0.95 R.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

WORK = 0.005
PATIENCE = 2.0
IN_FLIGHT, QUEUE, QUEUE_SECONDS = 2, 100, 1
REQUEST = b"GET /work HTTP/1.1\r\nHost: app.example\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


def origin(ready):
    """One thread, one request at a time, first come first served."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    listener.setblocking(False)
    ready.send(listener.getsockname()[1])
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    connections, unread = {}, {}
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                try:
                    while True:
                        connection, _ = listener.accept()
                        connection.setblocking(False)
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        connections[connection.fileno()], unread[connection.fileno()] = connection, b""
                        poll.register(connection.fileno(), select.EPOLLIN)
                except BlockingIOError:
                    continue
            try:
                data = connections[number].recv(65536)
            except OSError:
                data = b""
            unread[number] += data
            while data and b"\r\n\r\n" in unread[number]:
                _, unread[number] = unread[number].split(b"\r\n\r\n", 1)
                time.sleep(WORK)
                try:
                    connections[number].send(RESPONSE)
                except OSError:
                    data = b""
            if not data:
                poll.unregister(number)
                connections.pop(number).close()
                del unread[number]


def capacity(port):
    """Requests a second that the origin manages where each is asked for when the one before is answered."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin, count = time.monotonic(), 0
        # Two under way, so that the origin never waits for us.
        client.sendall(REQUEST)
        while time.monotonic() - begin < 3:
            client.sendall(REQUEST)
            if not client.recv(65536):
                raise SystemExit("the origin has closed")
            count += 1
        return count / (time.monotonic() - begin)


class Client(asyncio.Protocol):
    """A connection that asks when it is told to, and reports how that went."""

    def __init__(self, load):
        self.load, self.transport, self.begin, self.data, self.timer = load, None, None, b"", None

    def connection_made(self, transport):
        self.transport = transport
        if self.begin is not None:
            transport.write(REQUEST)

    def ask(self, begin):
        self.begin, self.data = begin, b""
        self.timer = self.load.loop.call_later(PATIENCE, self.give_up)
        if self.transport is not None:
            self.transport.write(REQUEST)

    def data_received(self, data):
        if self.begin is None:
            return
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        fields = [line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:]]
        lengths = [int(value) for name, value in fields if name == b"content-length"]
        if lengths and len(body) >= lengths[0]:
            closes = any(name == b"connection" and b"close" in value for name, value in fields)
            self.over(head[9:12].decode(), reusable=not closes)

    def give_up(self):
        self.over("gave up", reusable=False)

    def connection_lost(self, _error):
        if self in self.load.idle:
            self.load.idle.remove(self)
        if self.begin is not None:
            self.over("cut", reusable=False)

    def over(self, how, reusable):
        self.timer.cancel()
        self.load.outcomes.append((how, self.load.loop.time() - self.begin, self.begin))
        self.begin = None
        if reusable:
            self.load.idle.append(self)
        elif self.transport is not None:
            self.transport.abort()


class Load:
    """Requests at random moments, so many a second, each on a connection that is free or a new one."""

    def __init__(self, port, rate, seconds):
        self.port, self.rate, self.seconds = port, rate, seconds
        self.idle, self.outcomes, self.loop, self.opening = [], [], None, set()

    async def run(self):
        self.loop = asyncio.get_running_loop()
        begin = at = self.loop.time()
        while at < begin + self.seconds:
            at += random.expovariate(self.rate)
            wait = at - self.loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if self.idle:
                self.idle.pop().ask(self.loop.time())
            else:
                self.opening.add(task := asyncio.ensure_future(self.open()))
                task.add_done_callback(self.opening.discard)
        await asyncio.sleep(PATIENCE + 0.2)
        return begin, self.outcomes

    async def open(self):
        begin, client = self.loop.time(), Client(self)
        client.ask(begin)
        try:
            await self.loop.create_connection(lambda: client, "127.0.0.1", self.port)
        except OSError:
            if client.begin is not None:
                client.over("no connection", reusable=False)


def measure(port, rate, seconds):
    begin, outcomes = asyncio.run(Load(port, rate, seconds).run())
    # The queue fills at first; what counts is how it goes on.
    warm = begin + 1
    counted = [(how, took) for how, took, asked in outcomes if warm <= asked]
    served = sorted(took for how, took, asked in outcomes if how == "200" and warm <= asked + took <= begin + seconds)
    others = {}
    for how, took in counted:
        if how != "200":
            others.setdefault(how, []).append(took)
    quantile = lambda times, share: 1000 * sorted(times)[int(share * (len(times) - 1))] if times else None
    return {
        "offered_a_second": round(len(counted) / (seconds - 1)),
        "served_a_second": len(served) / (seconds - 1),
        "p50_ms": quantile(served, 0.5),
        "p99_ms": quantile(served, 0.99),
        "others": {how: {"count": len(times), "p50_ms": quantile(times, 0.5), "p99_ms": quantile(times, 0.99)}
                   for how, times in sorted(others.items())},
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_open(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def why502(binary, directory, origin_port):
    port, file = free_port(), os.path.join(directory, "why502.toml")
    with open(file, "w") as out:
        out.write(f"""
            listener = [{{ address = "127.0.0.1:{port}" }}]
            route = [{{ upstream = "app" }}]
            runtime.workers = 1
            diagnosis.probes = false
            log.output = "{directory}/why502.log"
            [[upstream]]
            name = "app"
            servers = ["http://127.0.0.1:{origin_port}"]
            limits = {{ in_flight = {IN_FLIGHT}, queue = {QUEUE}, queue_timeout = "{QUEUE_SECONDS}s" }}
        """)
    return port, subprocess.Popen([binary, "run", "--config", file])


def haproxy(binary, directory, origin_port):
    port, file = free_port(), os.path.join(directory, "haproxy.cfg")
    with open(file, "w") as out:
        out.write(f"""
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    timeout queue {QUEUE_SECONDS}s
    option http-keep-alive
frontend in
    bind 127.0.0.1:{port}
    default_backend app
backend app
    http-reuse always
    server one 127.0.0.1:{origin_port} maxconn {IN_FLIGHT} maxqueue {QUEUE}
""")
    return port, subprocess.Popen([binary, "-db", "-f", file])


def row(name, found, most):
    shown = lambda time: "-" if time is None else f"{time:.0f}"
    others = ", ".join(f"{one['count']} {how} (p50 {shown(one['p50_ms'])} ms)" for how, one in found["others"].items())
    return (f"{name:10} {found['offered_a_second']:8} {found['served_a_second']:8.1f} "
            f"{found['served_a_second'] / most:10.3f} {shown(found['p50_ms']):>8} {shown(found['p99_ms']):>8}   {others}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", default="target/release/why502")
    arguments.add_argument("--factor", type=float, default=10)
    arguments.add_argument("--seconds", type=float, default=8)
    arguments.add_argument("--json")
    wanted = arguments.parse_args()
    ready, told = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.Process(target=origin, args=(told,), daemon=True)
    server.start()
    origin_port = ready.recv()
    most = capacity(origin_port)
    rate = most * wanted.factor
    print(f"R = {most:.1f} requests a second, one at a time; {rate:.0f} a second are offered for {wanted.seconds:.0f} s")
    print(f"in flight {IN_FLIGHT}, queue {QUEUE}, at most {QUEUE_SECONDS} s in it; clients give up after {PATIENCE:.0f} s")
    print(f"{'':10} {'offered':>8} {'served':>8} {'goodput/R':>10} {'p50 ms':>8} {'p99 ms':>8}   not served")
    results = {"R": most}
    with tempfile.TemporaryDirectory() as directory:
        for name, start, binary in [
            ("why502", why502, wanted.bin),
            ("HAProxy", haproxy, shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")),
            ("direct", None, None),
        ]:
            if start is None:
                results[name] = measure(origin_port, rate, wanted.seconds)
            elif binary is None:
                print(f"{name}: skipped, it is not installed")
                continue
            else:
                port, proxy = start(binary, directory, origin_port)
                try:
                    until_open(port)
                    results[name] = measure(port, rate, wanted.seconds)
                finally:
                    proxy.terminate()
                    proxy.wait(10)
            print(row(name, results[name], most), flush=True)
    server.kill()
    if wanted.json:
        with open(wanted.json, "w") as out:
            json.dump(results, out, indent=1)
    share = results["why502"]["served_a_second"] / most
    if share < 0.95:
        sys.exit(f"why502 served {share:.3f} of what the origin manages, less than 0.95")


if __name__ == "__main__":
    main()
