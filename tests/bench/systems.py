"""The systems that are compared, as commands (see network.py)."""

import shlex
import shutil
from dataclasses import dataclass

from network import System

COMMON = "--config /dev/null --set seeds.s=127.0.0.1:{boot}"
QUIET = "--log-level warn"
LOGGED = "--log-dir {dir}/log --log-level info --set log.color=never"


def _literal(path):
    """A path inside of a command: neither the shell's rules nor {} touch it."""
    return shlex.quote(str(path)).replace("{", "{{").replace("}", "}}")


def ours(name, programs, logged=False, key_file=None):
    """bin/seed and bin/peer, the whole protocol."""
    common = COMMON + (f" --set security.key_file={_literal(key_file)}" if key_file else "")
    peer, seed = _literal(programs / "peer"), _literal(programs / "seed")
    return System(name,
                  f"{peer} {common} {LOGGED if logged else QUIET} --send --receive "
                  "--listen 127.0.0.1:{port}",
                  f"{seed} {common} {QUIET} --log-dir {{dir}}/log s")


def nats(yards):
    server = shutil.which("nats-server") or "/usr/sbin/nats-server"
    return System("nats", f"{_literal(yards / 'nats_node')} {{boot}}",
                  f"{_literal(server)} -a 127.0.0.1 -p {{boot}}")


def floor(name, yards):
    return System(name, f"{_literal(yards / name)} {{i}} {{n}} {{base}}")


@dataclass(frozen=True)
class Foreign:
    """NAME=COMMAND of --system or --boot."""
    name: str
    command: str

    @classmethod
    def parse(cls, text):
        name, equals, command = text.partition("=")
        if not equals or not name or not shlex.split(command):
            raise ValueError(f"not NAME=COMMAND: {text}")
        return cls(name, command)


def foreign(nodes, boots):
    by_name = {boot.name: boot.command for boot in boots}
    return [System(node.name, node.command, by_name.get(node.name, "")) for node in nodes]


def all_of_them(programs, yards, key_file, other=None, more=()):
    """{name: System}"""
    known = [ours("ours", programs), ours("ours_logged", programs, True),
             ours("ours_keyed", programs, key_file=key_file),
             floor("floor_flood", yards), floor("floor_tree", yards), nats(yards), *more]
    if other:
        known += [ours("other", other), ours("other_logged", other, True),
                  ours("other_keyed", other, key_file=key_file)]
    return {system.name: system for system in known}
