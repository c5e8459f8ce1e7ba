"""Streams for tests, written from the interface's text with json alone, so that they are independent of the codec."""

import json
from dataclasses import dataclass

import numpy as np

ENERGY = {"offset_ev": 420.0, "step_ev": 10.0, "size": 40}


def start(scan="s", shape=(6, 5), energy=ENERGY, dtype="<u2", **more):
    header = {"schema": "eelswatch.stream/1", "type": "scan_start", "scan": scan, "seq": 0, "t_ns": 1}
    return [json.dumps(header | {"shape": list(shape), "energy": energy, "dtype": dtype} | more).encode()]


def block(counts, origin, seq, scan="s", **more):
    header = {"schema": "eelswatch.stream/1", "type": "block", "scan": scan, "seq": seq, "t_ns": 1}
    header |= {"origin": list(origin), "shape": list(counts.shape[:2])} | more
    return [json.dumps(header).encode(), np.ascontiguousarray(counts).tobytes()]


def end(seq, scan="s", reason="complete", **more):
    header = {"schema": "eelswatch.stream/1", "type": "scan_end", "scan": scan, "seq": seq, "t_ns": 1}
    return [json.dumps(header | {"reason": reason, "blocks": seq - 1} | more).encode()]


def a_map(shape=(6, 5), channels=40, seed=0, dtype="<u2"):
    return np.random.default_rng(seed).poisson(200, (*shape, channels)).astype(dtype)


def rows_of(counts, scan="s"):
    """A whole scan, a row a block: its messages from scan_start to scan_end."""
    blocks = [block(counts[row : row + 1], (row, 0), row + 1, scan) for row in range(counts.shape[0])]
    return [
        start(scan, counts.shape[:2], dtype=counts.dtype.str.replace("|", "<")),
        *blocks,
        end(len(blocks) + 1, scan),
    ]


@dataclass(frozen=True)
class Hostile:
    """A message that must be refused with one error of `kind`; `frames` fit into an open scan "s" of 6 x 5 u2."""

    name: str
    kind: str
    frames: list


def hostile_corpus():
    """Malformed, and well-formed but insane."""
    good = a_map()[0:1]
    header = json.loads(block(good, (0, 0), 3)[0])

    def bent(**changes):
        bent_header = {k: v for k, v in (header | changes).items() if v is not ...}
        return [json.dumps(bent_header).encode(), good.tobytes()]

    floats = good.astype("<f4")
    floats[0, 0, 0] = np.nan
    return [
        Hostile("an empty message", "frames", []),
        Hostile("bytes that are no JSON", "json", [b"\x00\xff\x13", b""]),
        Hostile("JSON that is no object", "keys", [b"[1, 2]", good.tobytes()]),
        Hostile("JSON that is cut off", "json", [json.dumps(header).encode()[:-5], good.tobytes()]),
        Hostile(
            "a key that is not UTF-8", "json", [json.dumps(header)[:-1].encode() + b', "x": "\xff"}', good.tobytes()]
        ),
        Hostile("NaN in the header", "json", [json.dumps(header | {"t_ns": float("nan")}).encode(), good.tobytes()]),
        Hostile("a header of 65 KiB", "header_size", [json.dumps(header | {"x": "y" * 66_000}).encode(), b""]),
        Hostile("nesting without end", "json", [b'{"x":' + b"[" * 30_000, b""]),
        Hostile("another schema", "schema", bent(schema="eelswatch.stream/2")),
        Hostile("no schema", "schema", bent(schema=...)),
        Hostile("an unknown type", "type", bent(type="frame")),
        Hostile("a missing key", "keys", bent(origin=...)),
        Hostile("true for an integer", "keys", bent(seq=True)),
        Hostile("text for an integer", "keys", bent(seq="3")),
        Hostile("a fraction for an integer", "keys", bent(seq=3.5)),
        Hostile("3.0 for an integer", "keys", bent(seq=3.0)),
        Hostile("a negative seq", "keys", bent(seq=-3)),
        Hostile("a block with seq 0", "keys", bent(seq=0)),
        Hostile("a seq far beyond the last", "seq", bent(seq=2**24 + 1000)),
        Hostile("a seq beyond all integers", "seq", bent(seq=10**40)),
        Hostile("three numbers for a shape", "keys", bent(shape=[1, 5, 1])),
        Hostile("a block of no rows", "keys", bent(shape=[0, 5])),
        Hostile("a block out of bounds", "bounds", bent(origin=[6, 0])),
        Hostile("a block that hangs over the edge", "bounds", bent(origin=[0, 1])),
        Hostile("an origin beyond all integers", "bounds", bent(origin=[10**40, 0])),
        Hostile("a payload too short", "payload", [json.dumps(header).encode(), good.tobytes()[:-1]]),
        Hostile("a payload too long", "payload", [json.dumps(header).encode(), good.tobytes() + b"\0"]),
        Hostile("no payload", "frames", [json.dumps(header).encode()]),
        Hostile("a third frame", "frames", [json.dumps(header).encode(), good.tobytes(), b""]),
        Hostile("a scan_start with a payload", "frames", [*start(), b"x"]),
        Hostile("a different scan_start of this scan", "conflict", start(shape=(7, 5))),
        Hostile("a scan_start with seq 1", "keys", start(scan="t", seq=1)),
        Hostile(
            "a scan_start without a seq",
            "keys",
            [json.dumps({k: v for k, v in json.loads(start(scan="t")[0]).items() if k != "seq"}).encode()],
        ),
        Hostile(
            "an energy axis without end",
            "keys",
            start(scan="t", energy=ENERGY | {"offset_ev": 1e308, "step_ev": 1e308}),
        ),
        Hostile("an empty scan id", "keys", start(scan="")),
        Hostile("a scan id of 129 characters", "keys", start(scan="x" * 129)),
        Hostile("a scan id that cannot be printed", "keys", start(scan="a\nb")),
        Hostile("a scan of no columns", "keys", start(scan="t", shape=(4, 0))),
        Hostile("a scan wider than the limit", "limits", start(scan="t", shape=(4, 4097))),
        Hostile("a scan of too many channels", "limits", start(scan="t", energy=ENERGY | {"size": 16385})),
        Hostile(
            "a scan larger than max_scan_gib",
            "limits",
            start(scan="t", shape=(4096, 4096), energy=ENERGY | {"size": 16384}),
        ),
        Hostile("an energy step of 0", "keys", start(scan="t", energy=ENERGY | {"step_ev": 0.0})),
        Hostile("an infinite energy step", "json", start(scan="t", energy=ENERGY | {"step_ev": float("inf")})),
        Hostile("an energy size of 0", "keys", start(scan="t", energy=ENERGY | {"size": 0})),
        Hostile("an unknown dtype", "keys", start(scan="t", dtype="<f8")),
        Hostile("a parent region that is empty", "keys", start(scan="t", parent={"scan": "s", "region": [2, 2, 2, 4]})),
        Hostile("a scan_end whose blocks are not seq - 1", "count", end(7, blocks=3)),
        Hostile("a scan_end before a block that is in", "seq", end(1)),
        Hostile("an unknown reason", "keys", end(7, reason="bored")),
    ]
