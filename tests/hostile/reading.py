"""Reads files, each in a child process of its own with little memory and time, and tells what came of it.

    python -m hostile.reading READER < paths, as a JSON list    writes a JSON list of what came of each

What a reader has to import is imported once; a child is a fork, and takes a few milliseconds.
"""

import importlib
import json
import os
import resource
import select
import signal
import sys
import time

MEMORY = 256 * 2**20  # bytes beyond what the process has when it begins to read
SECONDS = 10

# What readers import when they are called, here before, so that nothing is left to be imported while one is watched.
LATER = ("encodings.cp437", "numpy.random", "safetensors.numpy")
# Reader -> the module, the function, and what more it imports.
READERS = {
    "model": ("xprnn", "load", ()),
    "arrays": ("xprnn.io.npz", "read_array", ()),
    "torch": ("xprnn.io.torch", "read", ()),
    "keras": ("xprnn.io.keras", "load", ("h5py",)),
    "onnx": ("xprnn", "load_onnx", ("onnx", "onnx.checker", "google.protobuf.message")),
}

# What Python tells of what is done in it; "open" is looked at by its mode. None of it is any reader's business.
FORBIDDEN = (
    "exec", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pickle.find_class", "marshal.", "tempfile.",
)  # fmt: skip
HARMLESS = ("os.listdir", "os.scandir")


def watch(done):
    """Note in ``done`` what no reader has to do."""

    def hook(event, arguments):
        if event == "open":
            path, mode, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                done.append(f"open {path} {mode}")
        elif event.startswith(FORBIDDEN) and event not in HARMLESS:
            done.append(f"{event} {arguments!r}"[:200])

    sys.addaudithook(hook)


def size():
    """The bytes of address space that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def attempt(read, path):
    """In a child: what came of reading ``path``."""
    done = []
    limit = size() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    watch(done)
    begin = time.process_time()  # whatever else the machine has to do
    try:
        result = read(path)
        told = {"outcome": "read", "result": type(result).__name__}
    except BaseException as error:  # whatever it is, the test has to see it
        told = {"outcome": type(error).__name__, "message": str(error)}
    return told | {"seconds": time.process_time() - begin, "done": done}


def outcome(read, path):
    """What came of reading ``path`` in a child, which may crash, hang or be killed."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        try:
            told = json.dumps(attempt(read, path)).encode()
            while told:
                told = told[os.write(theirs, told) :]
        finally:
            os._exit(0)
    os.close(theirs)
    told, end = b"", time.monotonic() + SECONDS
    while select.select([ours], [], [], max(0.0, end - time.monotonic()))[0] and (piece := os.read(ours, 65536)):
        told += piece
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(ours)
    return json.loads(told) if told else {"outcome": f"ended by itself or us: {status}", "message": ""}


def main():
    """Read all files of standard input."""
    module, name, more = READERS[sys.argv[1]]
    read = getattr(importlib.import_module(module), name)
    for needed in (*LATER, *more):
        importlib.import_module(needed)
    print(json.dumps([outcome(read, path) for path in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
