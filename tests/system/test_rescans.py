"""The life of a rescan, with an instrument that knows the interface's text alone."""

from tests import streams
from tests.live import command, energy_of, hear, instrument, messages_of, say


def proposals(service, sender, material, scan="film"):
    sender.send(*messages_of(material.image, scan))
    service.closed(scan)
    found = service.until(lambda: service.ask("api/rescans")[1]["rescans"] or None, "a proposal")
    return sorted(found, key=lambda request: -request["reason"]["score"])


def state_of(service, rescan_id):
    return next(r for r in service.ask("api/rescans")[1]["rescans"] if r["id"] == rescan_id)["state"]


def test_hidden_defects_become_regions_with_an_edge_and_a_shift(serve, material):
    service, sender = serve()
    proposals(service, sender, material)
    regions = service.ask("api/scans/film/regions")[1]["regions"]
    truth = material.scan.truth
    hits = [r for r in regions if truth[r["region"][0] : r["region"][2], r["region"][1] : r["region"][3]].any()]
    assert hits
    strongest = hits[0]
    assert "Fe L" in strongest["label"]
    assert 1.0 < abs(strongest["shift_ev"]) < 4.0
    low, high = strongest["energy_span_ev"]
    assert 690 < low <= high < 740


def test_an_approved_request_arrives_exactly_once_and_a_denied_one_never(serve, material):
    service, sender = serve()
    with instrument(service) as socket:
        first, *_ = proposals(service, sender, material)
        by_hand = {"scan": "film", "region": [0, 0, 4, 6], "dwell_factor": 2.0}
        status, second = service.ask("api/rescans", by_hand)
        assert (status, second["state"]) == (201, "proposed")
        assert service.ask(f"api/rescans/{second['id']}/deny", {})[1]["state"] == "denied"
        assert service.ask(f"api/rescans/{first['id']}/approve", {})[0] == 200
        request = hear(socket)
        assert (request["id"], request["scan"], request["scan_shape"]) == (first["id"], "film", [32, 32])
        assert request["region"] == first["region"]
        for state in ("accepted", "running", "done"):
            say(socket, type="status", id=first["id"], state=state, scan="child" if state != "accepted" else None)
        service.until(lambda: state_of(service, first["id"]) == "done", "the end of the request")
        say(socket, type="hello", client="test instrument")
        assert hear(socket, timeout_s=1.5) is None
    done = next(r for r in service.ask("api/rescans")[1]["rescans"] if r["id"] == first["id"])
    assert done["child_scan"] == "child"
    assert [step["state"] for step in done["history"]] == [
        "proposed",
        "approved",
        "sent",
        "accepted",
        "running",
        "done",
    ]


def test_a_request_not_acknowledged_is_sent_again_to_the_next_hello(serve, material):
    service, sender = serve()
    sender.send(*messages_of(material.image, "film"))
    service.closed("film")
    request = service.ask("api/rescans", {"scan": "film", "region": [0, 0, 4, 4], "dwell_factor": 1.0})[1]
    assert service.ask(f"api/rescans/{request['id']}/approve", {})[1]["state"] == "approved"
    with instrument(service) as socket:
        assert hear(socket)["id"] == request["id"]
    with instrument(service) as socket:
        assert hear(socket)["id"] == request["id"]
        say(socket, type="status", id=request["id"], state="refused", message="the shutter is closed")
        service.until(lambda: state_of(service, request["id"]) == "refused", "the refusal")


def test_requests_survive_a_restart_of_the_monitor(serve, material):
    service, sender = serve()
    first = proposals(service, sender, material)[0]
    service.ask(f"api/rescans/{first['id']}/approve", {})
    service.stop()
    again, _ = serve(sender=sender)
    assert state_of(again, first["id"]) == "approved"
    with instrument(again) as socket:
        assert hear(socket)["id"] == first["id"]


def test_pings_are_answered_and_nonsense_on_the_link_harms_nobody(serve):
    service, _ = serve()
    with instrument(service) as socket:
        for nonsense in (b"", b"{", b'{"schema": "eelswatch.rescan/1", "type": "status", "id": "x", "state": "done"}'):
            socket.send(nonsense)
        say(socket, type="ping")
        assert socket.poll(5000)
        assert b"pong" in socket.recv()
        service.until(lambda: service.ask("api/health")[1]["instrument"] == "test instrument", "the instrument's name")


def test_a_child_scan_is_scored_and_tied_to_its_request(serve, material):
    service, sender = serve()
    first = proposals(service, sender, material)[0]
    row0, col0, row1, col1 = first["region"]
    parent = {"scan": "film", "region": first["region"], "rescan": first["id"]}
    counts = material.image.counts[row0:row1, col0:col1]
    head = streams.start("child", counts.shape[:2], energy_of(material.image), counts.dtype.str, parent=parent)
    sender.send(head, streams.block(counts, (0, 0), 1, "child"), streams.end(2, "child"))
    child = service.closed("child")
    assert child["parent"] == parent
    assert child["pixels"]["flagged"] > 0
    tied = next(r for r in service.ask("api/rescans")[1]["rescans"] if r["id"] == first["id"])
    assert tied["child_scan"] == "child"
    assert not [r for r in service.ask("api/rescans")[1]["rescans"] if r["scan"] == "child"]


def test_the_demo_finds_a_defect_and_its_child_scan_confirms_it(tmp_path, material):
    """The demo's own microscope and monitor; the model is the demo's own too, made by the demo itself."""
    faster = ["--seconds", "25", "--rate", "800"]
    done = command("demo", "--no-browser", *faster, "--auto-approve", "--folder", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "eelswatch ready http://127.0.0.1:" in done.stdout
    from monitor.core.axes import EnergyAxis
    from monitor.core.calibration import Calibration, Tail
    from monitor.core.flagging import FlagRule
    from monitor.core.model_card import Card, Noise, Training
    from monitor.io.archive import Archive

    tail = Tail(threshold=1.0, p_at_threshold=1.0, shape=0.0, scale=1.0)
    card = Card(
        created="",
        title="",
        energy=EnergyAxis(offset_ev=0.0, step_ev=1.0, size=1),
        halo=(0, 0),
        evidence=[],
        calibration=Calibration(pixels=0, counts_per_pixel=(0, 0), knots_score=[0], knots_p=[1], tail=tail),
        noise=Noise(gain=1.0, channel_correlation=0.0),
        training=Training(inputs=[], config={}, seed=0, versions={}, losses={}),
        parity=0.0,
        sha256="",
    )
    archive = Archive(tmp_path / "data", card=card, rule=FlagRule(fdr=0.01))
    archive.open()
    finished = [request for request in archive.rescans() if request.state == "done"]
    assert finished
    assert any(archive.views[request.child_scan].pixels.flagged > 0 for request in finished)
    archive.close()
