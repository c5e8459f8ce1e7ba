import contextlib
import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from monitor.core.errors import ModelError
from monitor.core.model_file import graph_sha256, metadata_entry


def tiny_model():
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    return helper.make_model(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "tiny", [x], [y]))


def test_the_hash_is_that_of_the_graph_alone():
    model = tiny_model()
    wanted = hashlib.sha256(model.graph.SerializeToString()).hexdigest()
    assert graph_sha256(model.SerializeToString()) == wanted
    model.producer_name = "somebody else"
    assert graph_sha256(model.SerializeToString() + metadata_entry("key", "value " * 99)) == wanted
    model.graph.name = "another"
    assert graph_sha256(model.SerializeToString()) != wanted


def test_appended_metadata_is_what_onnx_reads():
    model = tiny_model()
    read = type(model).FromString(model.SerializeToString() + metadata_entry("eelswatch.card", "µ" * 200))
    assert {entry.key: entry.value for entry in read.metadata_props} == {"eelswatch.card": "µ" * 200}
    assert read.graph == model.graph


@pytest.mark.parametrize("missing", [1, 5, 40])
def test_a_file_that_is_cut_off_is_refused(missing):
    with pytest.raises(ModelError):
        graph_sha256(tiny_model().SerializeToString()[:-missing][:20])


@given(st.binary(max_size=200))
@example(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
def test_any_bytes_have_one_graph_or_are_refused(content):
    with contextlib.suppress(ModelError):
        assert len(graph_sha256(content)) == 64
