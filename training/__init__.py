"""Offline training of the 3D-CVAE: data, network, loss, calibration."""
