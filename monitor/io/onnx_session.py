"""ONNX Runtime: a model's bytes become a session on the processor or on a graphics card."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from monitor.core.errors import ConfigError, ModelError, UsageError

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
DEVICES = ("auto", "cuda", "cpu")
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
"""Products in full single precision, so that a score is what the processor would say; no search of seconds for the
fastest convolution each time that a scan has another width."""
ONLY_ERRORS = 3


def open_session(model: bytes, device: str, *, name: str) -> Any:
    """An InferenceSession of the file `name` on `device` (auto: CUDA where ONNX Runtime offers it, else CPU).

    Raises UsageError for a device of another name, ConfigError where the one asked for is not there, ModelError for
    bytes that are no model.
    """
    if device not in DEVICES:
        raise UsageError(f"device {device!r}; wanted one of {', '.join(DEVICES)}")
    ort = _onnxruntime()
    offered = CUDA in ort.get_available_providers()
    if device == "cuda" and not offered:
        raise ConfigError(
            "device cuda was asked for, but ONNX Runtime offers none here; install the gpu extra or use --device cpu"
        )
    on_cuda = device != "cpu" and offered
    options = ort.SessionOptions()
    options.log_severity_level = ONLY_ERRORS
    if on_cuda:
        _load_cuda(ort)
    else:
        options.intra_op_num_threads = 1  # strips are scored side by side instead
    providers = [(CUDA, CUDA_OPTIONS), CPU] if on_cuda else [CPU]
    try:
        session = ort.InferenceSession(model, options, providers=providers)
    except Exception as fault:  # ONNX Runtime has many exceptions and no common base
        raise ModelError(f"{name} is no ONNX model ({_first_line(fault)}); make one with 'eelswatch export'") from fault
    if device == "cuda" and session.get_providers()[0] != CUDA:
        raise ConfigError("device cuda was asked for, but CUDA did not start; check the driver or use --device cpu")
    return session


def only_what_is_fetched() -> Any:
    """RunOptions that leave out whatever the outputs asked for do not need."""
    options = _onnxruntime().RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as fault:
        raise ConfigError("ONNX Runtime is not installed; pip install 'eelswatch[cpu]' or 'eelswatch[gpu]'") from fault
    return onnxruntime


def _load_cuda(ort: Any) -> None:
    """Find NVIDIA's libraries where pip has put them; what is not there is looked for on the system's own paths."""
    ort.set_default_logger_severity(ONLY_ERRORS)
    if hasattr(ort, "preload_dlls"):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it misses; the session says so too
            ort.preload_dlls()


def _first_line(fault: Exception) -> str:
    return str(fault).splitlines()[0][:160] if str(fault) else type(fault).__name__
