#!/usr/bin/env python3
"""Starts a network of one system, measures it, prints one JSON object.

usage: drive.py --node COMMAND [--boot COMMAND] [--nodes N] PHASE[,SIZE=NUMBER]...

A node publishes each line of its stdin and prints each line that others
published; network.py says what may stand in a command. Phases: idle, survey,
latency, throughput, join, kill; their sizes are the parameters in phases.py.

  drive.py --nodes 16 --boot 'bin/seed ... {boot}' --node 'bin/peer ... {port}' \\
           latency,rate=100,seconds=5 throughput,messages=20000,size=256

exit status: 0 measured, 1 not, 2 wrong usage.
"""

import argparse
import json
import resource
import signal
import sys

from network import Failed, Network, System
from phases import PHASES

SETTLE_SECONDS = 1.0
CONNECT_SECONDS = 60


def parse_phase(text):
    """'latency,rate=100' -> ('latency', {'rate': 100})"""
    name, *sizes = text.split(",")
    if name not in PHASES:
        raise argparse.ArgumentTypeError(f"no phase {name}; there are {', '.join(PHASES)}")
    given = {}
    for size in sizes:
        key, _, value = size.partition("=")
        if key not in PHASES[name].__code__.co_varnames[1:PHASES[name].__code__.co_argcount]:
            raise argparse.ArgumentTypeError(f"{name} has no size {key}")
        given[key] = float(value) if "." in value else int(value)
    return name, given


def prepare():
    """Three descriptors a node; and whoever ends us ends the nodes, too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def drive(system, n, base, phases, connect_seconds=CONNECT_SECONDS, settle=SETTLE_SECONDS):
    """{phase: figures} of one network; phases: (name, sizes) in order."""
    with Network(system, n, base) as net:
        out = {"connect": {"seconds": net.connect(connect_seconds)}}
        net.run_for(settle)
        for name, sizes in phases:
            out[name] = PHASES[name](net, **sizes)
        ended = [node.index for node in net.nodes if node.ended]
    if ended and not any(name == "kill" for name, _ in phases):
        raise Failed(f"{system.name}: nodes {ended} ended by themselves")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", required=True)
    parser.add_argument("--boot", default="")
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--base", type=int, default=21001, help="port of node 0")
    parser.add_argument("phases", nargs="+", type=parse_phase)
    given = parser.parse_args()
    prepare()
    try:
        out = drive(System("system", given.node, given.boot), given.nodes, given.base,
                    given.phases)
    except Failed as why:
        sys.exit(f"drive.py: {why}")
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
