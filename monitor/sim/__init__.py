"""A simulated specimen, camera and microscope that speak the real wire."""
