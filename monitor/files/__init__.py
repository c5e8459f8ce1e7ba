"""File formats: spectrum images in, score maps out. No socket, no thread."""
