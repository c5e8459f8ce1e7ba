"""The pure heart of the monitor: numpy, scipy and msgspec; no socket, thread, file or clock."""
