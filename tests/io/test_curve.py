"""CURVE on loopback, with real sockets: the right keys get every message, others nothing and a line in the log."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import structlog
import zmq
import zmq.asyncio
import zmq.auth
from zmq.auth.asyncio import AsyncioAuthenticator

from monitor.core.errors import ConfigError
from monitor.files.curve_keys import read_key_pair, read_public_key
from monitor.io import resend
from monitor.io.curve import CurveClient
from monitor.io.stream_source import StreamSource
from tests import streams

PATIENCE_S, SILENCE_S = 10.0, 0.5
KINDS = {"sub": zmq.XPUB, "pull": zmq.PUSH}


@pytest.fixture
def keys(tmp_path):
    """Key files of a source, a monitor and a stranger, made as docs/sources.md says."""
    for name in ("source", "monitor", "stranger"):
        zmq.auth.create_certificates(tmp_path, name)
    return tmp_path


def run(work):
    """What the coroutine `work(context)` gives, on a loop and with a context of its own."""

    async def with_context():
        context = zmq.asyncio.Context()
        try:
            return await work(context)
        finally:
            context.destroy(linger=0)

    return asyncio.run(with_context())


def bound(context, kind, keys):
    """A socket of the source's, encrypted with its secret key, and its address."""
    socket = context.socket(kind)
    socket.curve_server = True
    socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(keys / "source.key_secret")
    return socket, f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"


@asynccontextmanager
async def connected(context, endpoint, mode, curve, wait_s):
    source = StreamSource(endpoint, mode, curve)
    source.open(context)
    try:
        await source.settle(wait_s)
        yield source
    finally:
        source.close()


async def hears(context, mode, curve, keys, wait_s=SILENCE_S):
    """What a source with `curve` hears from an encrypting sender within the time, and what was logged."""
    sender, endpoint = bound(context, KINDS[mode], keys)

    async def send():
        if mode == "sub":
            await sender.recv()  # the subscription: what is sent before it comes goes to nobody
        await sender.send_multipart(streams.start())

    with sender, structlog.testing.capture_logs() as log:
        async with connected(context, endpoint, mode, curve, wait_s) as source:
            sending = asyncio.ensure_future(send())
            try:
                return await asyncio.wait_for(source.receive(), wait_s), log
            except TimeoutError:
                return None, log
            finally:
                sending.cancel()


@pytest.mark.parametrize("mode", KINDS)
def test_with_the_sources_key_messages_arrive(mode, keys):
    curve = CurveClient.from_files(keys / "source.key", None)
    heard, log = run(lambda context: hears(context, mode, curve, keys, PATIENCE_S))
    assert heard == streams.start()
    assert log == []


@pytest.mark.parametrize("mode", KINDS)
@pytest.mark.parametrize("key", ["stranger.key", None], ids=["another key", "no key"])
def test_without_the_sources_key_nothing_arrives_and_the_log_says_so_once(mode, key, keys):
    curve = CurveClient.from_files(keys / key, None) if key is not None else None
    heard, log = run(lambda context: hears(context, mode, curve, keys))
    assert heard is None
    assert [entry["event"] for entry in log] == ["source refused the handshake; do the keys fit?"]


@pytest.mark.parametrize(
    ("own", "known"), [("monitor.key_secret", True), ("stranger.key_secret", False), (None, False)]
)
def test_a_source_may_take_only_monitors_that_it_knows(own, known, keys, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "monitor.key").write_bytes((keys / "monitor.key").read_bytes())
    curve = CurveClient.from_files(keys / "source.key", keys / own if own is not None else None)

    async def work(context):
        guard = AsyncioAuthenticator(context)
        guard.start()
        guard.configure_curve(domain="*", location=str(allowed))
        try:
            return await hears(context, "sub", curve, keys, PATIENCE_S if known else SILENCE_S)
        finally:
            guard.stop()

    heard, _ = run(work)
    assert (heard is not None) == known


@pytest.mark.parametrize(("key", "answered"), [("source.key", True), ("stranger.key", False)])
def test_resends_are_asked_for_and_answered_encrypted(key, answered, keys, monkeypatch):
    monkeypatch.setattr(resend, "SILENCE_MS", 1000)
    block = streams.block(streams.a_map()[0:1], (0, 0), 1)
    end = [b'{"schema": "eelswatch.stream/1", "type": "resend_end", "scan": "s", "missing": []}']

    async def answer(router):
        client, _ = await router.recv_multipart()
        for frames in (block, end):
            await router.send_multipart([client, *frames])

    async def work(context):
        router, endpoint = bound(context, zmq.ROUTER, keys)
        answering = asyncio.create_task(answer(router))
        curve = CurveClient.from_files(keys / key, None)
        with router:
            try:
                return [frames async for frames in resend.fetch(context, endpoint, "s", [(1, 1)], curve=curve)]
            finally:
                answering.cancel()

    if answered:
        assert run(work) == [block]
    else:
        with pytest.raises(TimeoutError, match="has been silent"):
            run(work)


# key files


def test_a_public_key_is_read_from_either_file(keys):
    assert read_public_key(keys / "source.key") == read_key_pair(keys / "source.key_secret").public


def test_a_public_key_where_the_secret_one_is_wanted_is_one_line(keys):
    with pytest.raises(ConfigError, match=r"monitor\.key holds no secret key; wanted the NAME\.key_secret"):
        read_key_pair(keys / "monitor.key")


@pytest.mark.parametrize("text", [None, "", "no key at all", 'curve\n    public-key = "tooshort"\n', "\xff"], ids=repr)
def test_a_file_that_is_no_key_is_one_line(text, tmp_path):
    file = tmp_path / "bad.key"
    if text is not None:
        file.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"key file .*bad\.key") as refused:
        read_public_key(file)
    assert "\n" not in str(refused.value)
