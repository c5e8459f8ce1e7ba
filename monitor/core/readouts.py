"""A camera's image -> one spectrum: the sum over the detector's rows, energy along its columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import WireError
from monitor.core.messages import Dtype

_SUMS: dict[str, tuple[type[np.generic], Dtype]] = {
    "u": (np.uint64, "<u4"),
    "i": (np.int64, "<i4"),
    "f": (np.float64, "<f4"),
}


def spectrum_of(image: NDArray[Any]) -> NDArray[Any]:
    """Sum an image (detector row, detector column) over its rows; shape (detector column,), in a type of the wire.

    The largest value of an unsigned type marks a pixel without data and adds nothing. Raises WireError where a sum does
    not fit into 32 bits or is not finite.
    """
    wide, dtype = _SUMS[image.dtype.kind]
    if image.dtype.kind == "u":
        no_data = np.iinfo(image.dtype).max
        if image.size and image.max() == no_data:
            image = np.where(image == no_data, 0, image)
    with np.errstate(all="ignore"):  # what is not finite is refused below
        total = image.sum(axis=0, dtype=wide)
    bounds = np.finfo(dtype) if dtype == "<f4" else np.iinfo(dtype)
    if not ((total >= bounds.min) & (total <= bounds.max)).all():
        raise WireError("counts", f"a sum over {image.shape[0]} detector rows does not fit into {dtype}")
    return total.astype(dtype)
