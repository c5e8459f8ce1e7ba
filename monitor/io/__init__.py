"""The shells around the core: sockets, ONNX Runtime, the store on disk, HTTP."""
