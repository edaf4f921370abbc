#!/usr/bin/env python3
"""What a proxy's other clients notice while somebody tries to use it up, and what that costs it.

    tests/exhaustion.py [--bin target/release/why502] [--seconds 6] [--only CASE,…] [--json FILE]

Each case attacks why502, and nginx beside it where the case means something there, for some seconds: as clients that are slow,
silent or endless, as an origin that is, or by taking away what the host gives: descriptors, ports, room for the log, the time of
day. Meanwhile one other client asks another origin for something small again and again, each time on a new connection, and gives up
after five seconds. Both proxies have one thread. Told are the peak of the resident memory and of the open descriptors, how often the other
client was answered, how long it waited, and how soon it was answered again when the attack was over.

Everything runs on loopback, in network and mount namespaces of its own where a case needs one (as root; skipped otherwise), for a
bounded time. It fails where why502 ends, needs more than 256 MiB, answers the other client less than 0.95 of the time, or does not
come back within five seconds.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

PATIENCE = 5.0
MOST_MEMORY = 256
LEAST_SERVED = 0.95
LARGE = b"x" * (1 << 16)
IP_BIND_ADDRESS_NO_PORT = 24


# The origin.

async def origin(reader, writer):
    try:
        while line := await reader.readline():
            length = 0
            while (field := await reader.readline()).strip():
                if field.lower().startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
            path = line.split(b" ")[1]
            if path == b"/deaf":
                await asyncio.sleep(3600)
            elif path == b"/large":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
                await endless(writer, LARGE, 1024)
            elif path == b"/endless-head":
                writer.write(b"HTTP/1.1 200 OK\r\n")
                await endless(writer, b"X-Filler: " + b"y" * 1000 + b"\r\n")
            elif path == b"/endless-interim":
                await endless(writer, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)
            elif path == b"/endless-extension":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;")
                await endless(writer, b"x=" + b"y" * 1000 + b";")
            else:
                if length:
                    await reader.readexactly(length)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
                await writer.drain()
    except (OSError, asyncio.IncompleteReadError, IndexError, ValueError):
        pass
    finally:
        writer.close()


async def endless(writer, piece, times=None):
    while times is None or times > 0:
        times = times and times - 1
        writer.write(piece)
        await writer.drain()


class LoopingNames(asyncio.DatagramProtocol):
    """A name server by which every name is an alias of another that is an alias of it."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        end = data.index(b"\0", 12) + 5
        other = b"\4loop" + bytes([1]) + (b"a" if b"\1b" in data[12:end] else b"b") + b"\4test\0"
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, len(other)) + other
        self.transport.sendto(data[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, 1, 0, 0) + data[12:end] + answer, address)


# Attacks: each goes on until it is cancelled.

async def many(count, one):
    tasks = [asyncio.ensure_future(again(one)) for _ in range(count)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def again(one):
    while True:
        try:
            await one()
        except OSError:
            pass
        await asyncio.sleep(0.2)


def drip(port, head, drop, wait=0.5):
    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head)
            while not reader.at_eof() and not writer.is_closing():
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(wait)
                if reader._buffer:
                    return
        finally:
            writer.transport.abort()
    return one


def flood(port, head, piece):
    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head)
            while not reader._buffer and not reader.at_eof():
                writer.write(piece)
                await writer.drain()
        finally:
            writer.transport.abort()
    return one


def stare(port, path):
    """Asks for something large, and takes none of it; from many addresses, for one has only so many ports."""
    addresses = itertools.cycle(range(2, 100))

    async def one():
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            client.bind((f"127.0.0.{next(addresses)}", 0))
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await asyncio.sleep(3600)
    return one


def http2(port, method, path, then=b"", streams=128):
    """Opens all windows of a connection, asks as often as it may, sends what follows for each, and takes nothing."""
    frame = lambda kind, flags, stream, payload: struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
    text = lambda name, value: b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
    fields = {b":method": method, b":scheme": b"http", b":path": path, b":authority": b"a"}
    head = b"".join(text(*field) for field in fields.items())
    greeting = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, 2**31 - 1))
                + frame(8, 0, 0, struct.pack(">I", 2**31 - 65536)))
    heads = b"".join(frame(1, 4 if then else 5, 2 * number + 1, head) for number in range(streams))
    bodies = b"".join(frame(0, 0, 2 * number + 1, then) for number in range(streams)) if then else b""

    async def one():
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, greeting + heads)
            while bodies:
                await loop.sock_sendall(client, bodies)
            await asyncio.sleep(3600)
    return one


def ask(port, path, patience=PATIENCE):
    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            async with asyncio.timeout(patience):
                return await reader.read(1 << 20)
        except TimeoutError:
            return b""
        finally:
            writer.transport.abort()
    return one


def sit(port):
    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"ok\n")
            await reader.read(1)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.transport.abort()
    return one


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"

CASES = {
    "slow heads": lambda port: many(1000, drip(port, b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x")),
    "slow bodies": lambda port: many(500, drip(port, POST + b"Content-Length: 1000000\r\n\r\n", b"x")),
    "slow readers": lambda port: many(300, stare(port, "/large")),
    "h2: slow readers": lambda port: many(4, http2(port, b"GET", b"/large")),
    "h2: deaf origin": lambda port: many(4, http2(port, b"POST", b"/deaf", b"x" * 16384)),
    "h2: crumbs": lambda port: many(4, http2(port, b"POST", b"/deaf", b"x")),
    "10000 idle": lambda port: many(10_000, sit(port)),
    "header bombs": lambda port: many(50, flood(port, b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: " + b"y" * 4000 + b"\r\n")),
    "endless line": lambda port: many(50, flood(port, b"GET /", LARGE)),
    "chunk extensions": lambda port: many(50, flood(port, POST + b"Transfer-Encoding: chunked\r\n\r\n5;", LARGE)),
    "origin: endless heads": lambda port: many(20, ask(port, "/endless-head")),
    "origin: endless 1xx": lambda port: many(20, ask(port, "/endless-interim")),
    "origin: extensions": lambda port: many(20, ask(port, "/endless-extension")),
    "CNAME loop": lambda port: many(50, ask(port, "/loop")),
    "descriptors": lambda port: many(400, sit(port)),
    "ports": lambda port: many(400, stare(port, "/large")),
    "full disk": lambda port: many(20, ask(port, "/" + "p" * 2000)),
    "clock jumps": lambda port: many(5, ask(port, "/")),
}
ONLY_HERE = {"CNAME loop", "full disk", "clock jumps"}
FILES = {"descriptors": 256}


# The proxies.

def why502(case, binary, directory, origin_port, other_port, names_port):
    port, file = free_port(), os.path.join(directory, "why502.toml")
    with open(file, "w") as out:
        out.write(f"""
            listener = [{{ address = "127.0.0.1:{port}" }}]
            route = [{{ upstream = "app" }}, {{ path = "/other", upstream = "other" }}, {{ path = "/loop", upstream = "loop" }}]
            runtime.workers = 1
            log.output = "{directory}/why502.log"
            dns.servers = ["127.0.0.1:{names_port}"]
            [[upstream]]
            name = "app"
            servers = ["http://127.0.0.1:{origin_port}"]
            limits.connections = 4000
            [[upstream]]
            name = "other"
            servers = ["http://127.0.0.1:{other_port}"]
            [[upstream]]
            name = "loop"
            servers = ["http://a.loop.test"]
        """)
    return port, port, [binary, "run", "--config", file]


def nginx(case, binary, directory, origin_port, other_port, _names_port):
    port, file = free_port(), os.path.join(directory, "nginx.conf")
    # Up to 1.25 it speaks only one of the two on a port without TLS.
    http2_port = free_port()
    with open(file, "w") as out:
        out.write(f"""
daemon off; master_process off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log crit;
worker_rlimit_nofile {FILES.get(case, 15000)};
events {{ worker_connections {min(14000, FILES.get(case, 14000))}; }}
http {{
    access_log {directory}/access.log; client_header_timeout 10s; client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    upstream app {{ server 127.0.0.1:{origin_port} max_fails=0; keepalive 64; }}
    server {{ listen 127.0.0.1:{port} backlog=4096; listen 127.0.0.1:{http2_port} http2 backlog=4096;
        location /other {{ proxy_pass http://127.0.0.1:{other_port}; }}
        location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
""")
    return port, http2_port, [binary, "-p", directory, "-c", file]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# What is measured.

def peak_memory(process):
    """In MiB."""
    try:
        with open(f"/proc/{process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return 0


def descriptors(process):
    try:
        return len(os.listdir(f"/proc/{process.pid}/fd"))
    except OSError:
        return 0


async def other_client(port, outcomes):
    """The one who only wants to be served, again and again."""
    while True:
        begin = time.monotonic()
        try:
            answer = await ask(port, "/other")()
        except OSError:
            answer = b""
        except asyncio.CancelledError:
            # It was still waiting when the attack was over.
            outcomes.extend([(False, time.monotonic() - begin)] if time.monotonic() - begin > 1 else [])
            raise
        outcomes.append((answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"ok\n"), time.monotonic() - begin))
        await asyncio.sleep(0.03)


async def watch(process, found):
    while True:
        found["descriptors"] = max(found["descriptors"], descriptors(process))
        found["memory_mib"] = max(found["memory_mib"], peak_memory(process))
        await asyncio.sleep(0.1)


def apart(work, *given):
    """Does something in a process of its own, so that it takes no time from who measures; ends when that is ended."""
    process = multiprocessing.Process(target=lambda: asyncio.run(work(*given)), daemon=True)
    process.start()
    return process


async def serve(told):
    """An origin and a name server, until the process is ended."""
    server = await asyncio.start_server(origin, "127.0.0.1", 0, backlog=4096)
    names, _ = await asyncio.get_running_loop().create_datagram_endpoint(LoopingNames, local_addr=("127.0.0.1", 0))
    told.send([server.sockets[0].getsockname()[1], names.get_extra_info("sockname")[1]])
    await asyncio.sleep(3600)


async def disturb(case, directory, seconds):
    """What happens to the host meanwhile."""
    if case == "clock jumps":
        for offset in ["+3650d", "-3650d", "+1h", "+0"]:
            await asyncio.sleep(seconds / 5)
            with open(f"{directory}/clock", "w") as clock:
                clock.write(offset + "\n")


async def attack(case, name, process, ports, directory, seconds):
    port, attacked = ports
    found, outcomes = {"proxy": name, "descriptors": 0, "memory_mib": 0}, []
    await until_open(port)
    watching = asyncio.ensure_future(watch(process, found))
    attacking = apart(CASES[case], attacked)
    disturbing = asyncio.ensure_future(disturb(case, directory, seconds))
    # It has begun when the other client comes; ten thousand take a while.
    await asyncio.sleep(1)
    begin = time.monotonic()
    while case == "10000 idle" and descriptors(process) < 9_900 and time.monotonic() - begin < 60:
        await asyncio.sleep(0.5)
    asking = asyncio.ensure_future(other_client(port, outcomes))
    await asyncio.sleep(seconds)
    for task in (asking, disturbing):
        task.cancel()
    await asyncio.gather(asking, disturbing, return_exceptions=True)
    attacking.kill()
    attacking.join()
    begin = time.monotonic()
    found["recovered_s"] = None
    while time.monotonic() - begin < PATIENCE:
        try:
            if (await ask(port, "/", 1)()).endswith(b"ok\n"):
                found["recovered_s"] = round(time.monotonic() - begin, 3)
                break
        except OSError:
            pass
        await asyncio.sleep(0.05)
    watching.cancel()
    times = sorted(took for served, took in outcomes if served)
    quantile = lambda share: round(1000 * times[int(share * (len(times) - 1))], 1) if times else None
    found |= {"asked": len(outcomes), "served": len(times), "p50_ms": quantile(0.5), "p99_ms": quantile(0.99),
              "max_ms": quantile(1), "alive": process.poll() is None, "memory_mib": round(found["memory_mib"], 1)}
    return found


async def until_open(port):
    for _ in range(100):
        try:
            await ask(port, "/", 1)()
            return
        except OSError:
            await asyncio.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


async def play(case, name, start, binary, directory, seconds):
    told, tell = multiprocessing.Pipe(duplex=False)
    # The other client's origin is no part of the attack, and must not wait for the one that is.
    servers = [apart(serve, tell)]
    origin_port, names_port = told.recv()
    servers.append(apart(serve, tell))
    other_port, _ = told.recv()
    port, http2_port, command = start(case, binary, directory, origin_port, other_port, names_port)
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES.get(case, 20_000),) * 2)
    environment = dict(os.environ)
    if case == "clock jumps":
        with open(f"{directory}/clock", "w") as clock:
            clock.write("+0\n")
        environment |= {"LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": f"{directory}/clock", "FAKETIME_NO_CACHE": "1",
                        "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    process = subprocess.Popen(command, preexec_fn=limit, env=environment, stderr=subprocess.DEVNULL)
    try:
        attacked = http2_port if case.startswith("h2: ") else port
        found = await attack(case, name, process, (port, attacked), directory, seconds)
        if case == "full disk":
            found |= await after_a_full_disk(port, directory)
        return found
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
        for server in servers:
            server.kill()


async def after_a_full_disk(port, directory):
    """Whether the log goes on, in whole lines, when there is room again."""
    log = f"{directory}/why502.log"
    was_full = shutil.disk_usage(directory).free < 4096
    for _ in range(50):
        # What was held back may fill this small disk once more.
        if shutil.disk_usage(directory).free < 4096:
            os.truncate(log, 0)
        await ask(port, "/after")()
        await asyncio.sleep(0.1)
        # What is written where the file was cut begins behind a hole.
        lines = open(log, "rb").read().replace(b"\0", b"").split(b"\n")[1:-1]
        if any(b"/after" in line for line in lines):
            break
    whole = all(json.loads(line) for line in lines)
    return {"was_full": was_full, "log_goes_on": whole and any(b"/after" in line for line in lines)}


def faketime():
    for path in ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"]:
        if os.path.exists(path):
            return path
    return None


def enclosed(case, directory):
    """What a case is played in, as the beginning of a command; none where it cannot be had."""
    if case == "clock jumps":
        return [] if faketime() else None
    if case not in ("ports", "full disk"):
        return []
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return None
    ready = {
        # Fewer than the attack has the proxy open to one origin.
        "ports": "ip link set lo up && echo 40000 40199 > /proc/sys/net/ipv4/ip_local_port_range",
        "full disk": f"mount -t tmpfs -o size=512k tmpfs {directory}",
    }[case]
    return ["unshare", "--mount", "--net" if case == "ports" else "--ipc", "sh", "-c", f'{ready} && exec "$@"', "sh"]


def row(case, found):
    shown = lambda value, unit="": "-" if value is None else f"{value}{unit}"
    more = "".join(f"  {key}: {found[key]}" for key in ("was_full", "log_goes_on") if key in found)
    return (f"{case:22} {found['proxy']:7} {found['memory_mib']:7} {found['descriptors']:6} {found['served']:5}/{found['asked']:<5} "
            f"{shown(found['p50_ms']):>8} {shown(found['p99_ms']):>8} {shown(found['max_ms']):>8} {shown(found['recovered_s'], ' s'):>9}{more}")


def wrong(found):
    if found["proxy"] != "why502":
        return []
    checks = {
        "it has ended": found["alive"],
        "it needs too much memory": found["memory_mib"] <= MOST_MEMORY,
        "the other client was not served": found["served"] >= LEAST_SERVED * found["asked"] and found["asked"] > 0,
        "it does not come back": found["recovered_s"] is not None,
        "the log does not go on": found.get("log_goes_on", True) and found.get("was_full", True),
    }
    return [what for what, holds in checks.items() if not holds]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", default="target/release/why502")
    arguments.add_argument("--seconds", type=float, default=6)
    arguments.add_argument("--only", help="cases, separated by commas")
    arguments.add_argument("--json")
    arguments.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    wanted = arguments.parse_args()
    if wanted.inside:
        case, name, directory = wanted.inside
        start, binary = {"why502": (why502, wanted.bin), "nginx": (nginx, shutil.which("nginx", path="/usr/sbin:/usr/bin"))}[name]
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        print(json.dumps(asyncio.run(play(case, name, start, binary, directory, wanted.seconds))))
        return
    only = wanted.only.split(",") if wanted.only else list(CASES)
    results, failed = {}, []
    print(f"{'':22} {'':7} {'MiB':>7} {'files':>6} {'served':>11} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'again in':>9}")
    for case in only:
        for name in ["why502"] if case in ONLY_HERE else ["why502", "nginx"]:
            if name == "nginx" and not shutil.which("nginx", path="/usr/sbin:/usr/bin"):
                print(f"{case:22} nginx: skipped, it is not installed")
                continue
            with tempfile.TemporaryDirectory() as directory:
                around = enclosed(case, directory)
                if around is None:
                    print(f"{case:22} skipped, this host or this user cannot have it (root, unshare, libfaketime)")
                    continue
                own = [sys.executable, os.path.abspath(__file__), "--bin", os.path.abspath(wanted.bin), "--seconds", str(wanted.seconds)]
                played = subprocess.run([*around, *own, "--inside", case, name, directory], stdout=subprocess.PIPE, text=True,
                                        timeout=120 + 4 * wanted.seconds)
            if played.returncode != 0:
                failed.append(f"{case}: {name} could not be measured")
                continue
            found = json.loads(played.stdout.splitlines()[-1])
            print(row(case, found), flush=True)
            results.setdefault(case, []).append(found)
            failed += [f"{case}: {what}" for what in wrong(found)]
    if wanted.json:
        with open(wanted.json, "w") as out:
            json.dump(results, out, indent=1)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
