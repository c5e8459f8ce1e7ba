"""A camera's image becomes one spectrum."""

import numpy as np
import pytest

from monitor.core.errors import WireError
from monitor.core.readouts import spectrum_of


@pytest.mark.parametrize(
    ("sent", "wire"), [("<u1", "<u4"), (">u2", "<u4"), ("<u4", "<u4"), (">i2", "<i4"), ("<i4", "<i4"), (">f4", "<f4")]
)
def test_rows_are_summed_and_columns_are_channels(sent, wire):
    spectrum = spectrum_of(np.array([[1, 2, 3], [10, 20, 30]], sent))
    assert spectrum.dtype == np.dtype(wire)
    assert spectrum.tolist() == [11, 22, 33]


def test_sums_are_wider_than_the_detectors_own_type():
    assert spectrum_of(np.full((300, 2), 254, np.uint8)).tolist() == [76200, 76200]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_a_pixel_without_data_adds_nothing(dtype):
    image = np.ones((3, 2), dtype)
    image[1, 0] = np.iinfo(dtype).max
    assert spectrum_of(image).tolist() == [2, 3]
    assert image[1, 0] == np.iinfo(dtype).max, "the image itself stays as it was"


@pytest.mark.parametrize(
    "image",
    [
        np.full((2, 1), 2**32 - 2, np.uint32),
        np.full((2, 1), -(2**31), np.int32),
        np.array([[np.nan], [1.0]], np.float32),
        np.array([[np.inf], [1.0]], np.float64),
    ],
    ids=["unsigned", "signed", "NaN", "infinite"],
)
def test_a_sum_that_the_wire_cannot_hold_is_refused(image):
    with pytest.raises(WireError, match="over 2 detector rows does not fit") as refused:
        spectrum_of(image)
    assert refused.value.kind == "counts"
