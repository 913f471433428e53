#!/usr/bin/env python3
"""Many small inputs of a fuzz target in one file, and back.

usage: pack.py pack FILE DIRECTORY     all files of the directory, by name
       pack.py unpack FILE DIRECTORY   one file each, named by its contents

Each input stands behind its length in four bytes, big-endian.
"""
import hashlib
import pathlib
import sys


def pack(file, directory):
    inputs = sorted({path.read_bytes() for path in directory.iterdir()},
                    key=lambda b: (len(b), b))
    file.write_bytes(b"".join(len(b).to_bytes(4, "big") + b for b in inputs))
    print(f"{file}: {len(inputs)} inputs, {file.stat().st_size} bytes")


def unpack(file, directory):
    directory.mkdir(parents=True, exist_ok=True)
    rest = file.read_bytes()
    while rest:
        n = int.from_bytes(rest[:4], "big")
        one, rest = rest[4:4 + n], rest[4 + n:]
        (directory / hashlib.sha1(one).hexdigest()).write_bytes(one)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    {"pack": pack, "unpack": unpack}[sys.argv[1]](
        *map(pathlib.Path, sys.argv[2:]))
