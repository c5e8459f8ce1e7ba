"""The page's websocket and files over real uvicorn on loopback."""

import asyncio
import base64
import gc
import json
import os
import socket
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from fake_app import FakeServer
from fake_live import FakeLive, FakeScan
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dashboard.feed import is_foreign
from monitor.core.frame import decode_frame


@pytest.fixture
def server():
    live = FakeLive()
    live.start(FakeScan(scan="a", shape=(32, 16), spot=(4, 4, 10, 10)))
    running = FakeServer(live).start()
    yield running
    running.stop()


def address(server):
    return f"ws://127.0.0.1:{server.port}/ws"


async def receive(socket):
    return decode_frame(await asyncio.wait_for(socket.recv(), 10))


async def receive_until(socket, holds):
    while True:
        header, payload = await receive(socket)
        if holds(header):
            return header, payload


def never(header):
    return False


def fetch(server, path):
    return urllib.request.urlopen(server.url + path, timeout=10)


def test_the_socket_sends_a_snapshot_then_changed_rows(server):
    async def talk():
        async with connect(address(server), max_size=None) as socket:
            header, payload = await receive(socket)
            assert header["maps"][0]["rows"] == list(range(32))
            assert payload.size == 5 * 32 * 16
            server.do(server.live.reveal, "a", [5, 6])
            header, payload = await receive_until(socket, lambda header: header["maps"])
            assert header["maps"][0]["rows"] == [5, 6]
            assert payload.size == 5 * 2 * 16

    asyncio.run(talk())


def test_the_heartbeat_comes_each_second_though_nothing_happens(server):
    async def talk():
        async with connect(address(server), max_size=None) as socket:
            first, _ = await receive(socket)
            second, _ = await receive(socket)
            assert second["version"] == first["version"]
            assert 0.9e9 < second["now_ns"] - first["now_ns"] < 2.5e9

    asyncio.run(talk())


def test_a_fast_scan_is_told_at_most_ten_times_a_second(server):
    async def talk():
        async with connect(address(server), max_size=None) as socket:
            first, _ = await receive(socket)
            messages, version = 0, None
            changes = asyncio.create_task(asyncio.to_thread(churn, server, 300))
            while not changes.done() or version != server.live._version:
                header, _ = await receive(socket)
                messages, version = messages + 1, header["version"]
            took_s = (header["now_ns"] - first["now_ns"]) / 1e9
            assert server.live._version > 300
            assert messages <= 11 * took_s + 1

    asyncio.run(talk())


def churn(server, times):
    for turn in range(times):
        server.do(server.live.reveal, "a", [turn % 32])


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:1", "null", "https://[", "http://localhost"]
)
def test_a_foreign_origin_is_refused_before_the_socket_opens(server, origin):
    async def talk():
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address(server), origin=origin):
                pass
        assert refused.value.response.status_code == 403

    asyncio.run(talk())


def test_the_own_origin_is_let_in(server):
    async def talk():
        async with connect(address(server), origin=f"http://127.0.0.1:{server.port}", max_size=None) as socket:
            assert (await receive(socket))[0]["watched"]["scan"] == "a"

    asyncio.run(talk())


def test_origins_are_compared_by_host_and_port():
    assert not is_foreign(None, "h:1")
    assert not is_foreign("http://Scope-PC:8765", "scope-pc:8765")
    assert is_foreign("http://scope-pc:8766", "scope-pc:8765")
    assert is_foreign("http://scope-pc:8765", None)


@pytest.mark.parametrize("message", ["nonsense", '{"watch": 3}', b"\x00\x01", "x" * 5000, "[" * 1500])
def test_a_malformed_message_closes_its_own_socket_with_a_reason_and_harms_nobody(server, message):
    async def talk():
        async with connect(address(server), max_size=None) as good, connect(address(server), max_size=None) as bad:
            await receive(good)
            await bad.send(message)
            with pytest.raises(ConnectionClosed) as closed:
                await receive_until(bad, never)
            assert closed.value.rcvd.code == 1008
            assert closed.value.rcvd.reason
            server.do(server.live.reveal, "a", [1])
            header, _ = await receive_until(good, lambda header: header["maps"])
            assert header["maps"][0]["rows"] == [1]

    asyncio.run(talk())


def test_another_scan_is_sent_when_asked_for(server):
    server.do(server.live.start, FakeScan(scan="b/ü?", shape=(4, 4)))

    async def talk():
        async with connect(address(server), max_size=None) as socket:
            assert (await receive(socket))[0]["watched"]["scan"] == "b/ü?"
            await socket.send(json.dumps({"watch": "a", "beside": None}))
            header, _ = await receive_until(socket, lambda header: header["maps"])
            assert header["watched"]["scan"] == "a"
            assert header["maps"][0]["whole"] is True

    asyncio.run(talk())


def test_browsers_that_come_and_go_leave_nothing_behind(server):
    def tasks():
        gc.collect()
        return len(asyncio.all_tasks(server._loop))

    async def visit():
        async with connect(address(server), max_size=None) as socket:
            await receive(socket)

    async def settle(wanted):
        for _ in range(100):
            if server.do(tasks) <= wanted:
                return
            await asyncio.sleep(0.05)
        pytest.fail("tasks of pages that left are still there")

    async def talk():
        before = server.do(tasks)
        for _ in range(5):
            await asyncio.gather(*(visit() for _ in range(8)))
        await settle(before)
        looks = server.live.calls
        await asyncio.sleep(0.5)
        assert server.live.calls == looks, "nobody watches, so nothing is looked at"

    asyncio.run(talk())


@contextmanager
def page_that_never_reads(server):
    """A websocket that opens and then leaves everything in the network's buffers."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /ws HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", "",
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", server.port)) as stalled:
        stalled.sendall("\r\n".join(lines).encode())
        assert b"101" in stalled.recv(16)
        yield


def test_nothing_piles_up_for_a_page_that_does_not_read_and_the_others_do_not_wait(server):
    server.do(server.live.start, FakeScan(scan="large", shape=(512, 512)))
    asked = []
    map_rows = server.live.map_rows
    server.live.map_rows = lambda scan, since: asked.append(since) or map_rows(scan, since)
    changes = 20
    with page_that_never_reads(server):
        for _ in range(changes):
            server.do(server.live.reveal, "large", range(512))
            time.sleep(0.12)
        # 4 MB a message: a few fit into the buffers of the sockets, then the server waits instead of building more.
        assert 1 <= len(asked) < changes / 2

        async def talk():
            async with connect(address(server), max_size=None) as good:
                header, _ = await receive(good)
                assert header["version"] == server.live._version

        asyncio.run(talk())


def test_a_fault_in_the_live_view_ends_that_socket_alone(server, caplog):
    async def talk():
        async with connect(address(server), max_size=None) as socket:
            await receive(socket)
            health, server.live.health = server.live.health, None
            try:
                with pytest.raises(ConnectionClosed):
                    await receive_until(socket, never)
            finally:
                server.live.health = health
        async with connect(address(server), max_size=None) as socket:
            assert (await receive(socket))[0]["health"]["status"] == "ok"

    asyncio.run(talk())


def test_the_server_stops_at_once_with_pages_open():
    running = FakeServer(FakeLive()).start()

    async def talk():
        async with connect(address(running), max_size=None) as socket:
            await receive(socket)
            await asyncio.to_thread(running.stop)
            with pytest.raises(ConnectionClosed):
                await receive_until(socket, never)

    asyncio.run(talk())


def test_the_page_and_its_files_come_from_here_with_a_strict_policy(server):
    with fetch(server, "") as page:
        policy = page.headers["Content-Security-Policy"]
        html = page.read().decode()
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src" not in policy, "scripts come under default-src 'self'"
    assert "http://" not in html
    assert "https://" not in html
    for path in ("static/main.js", "static/page.css", "static/icon.svg", "static/bokeh/bokeh.min.js"):
        assert path.split("/")[-1] in html
        with fetch(server, path) as file:
            assert file.headers["X-Content-Type-Options"] == "nosniff"
            assert file.read()


@pytest.mark.parametrize(
    "path",
    [
        "static/none.js",
        "static/..%2frouter.py",
        "static/%2e%2e/router.py",
        "static/bokeh/..%2f..%2f__init__.py",
        "static/",
    ],
)  # fmt: skip
def test_no_other_file_is_served(server, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(server, path)
    assert refused.value.code == 404
    refused.value.close()
