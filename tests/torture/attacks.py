"""Those who mean harm. Each is a function of the world and its own random numbers, runs
in a thread of its own, ends by itself, and expects nothing of those it attacks."""

import contextlib
import random
import socket
import time

import client
from frames import BREACHES

PATIENCE = 2.0  # seconds for one connection


def _connect(address, timeout=PATIENCE):
    return socket.create_connection(client.split_address(address), timeout)


def _anybody(world, chance):
    return chance.choice([r.address for r in world.runners()] + [s.address for s in world.seeds])


def _quietly(call, *args, **how):
    with contextlib.suppress(OSError, client.Ended, client.Malformed, AssertionError):
        return call(*args, **how)
    return None


def garbage(world, chance, beat):
    """Frames that breach the protocol, noise, and frames that end early."""
    kinds = list(BREACHES.values())
    for _ in range(20):
        data = chance.choice((chance.choice(kinds), chance.randbytes(chance.randrange(1, 5000)),
                              client.frame(client.message("Liveliness", nonce=1))[:-2]))

        def one(data=data):
            with _connect(_anybody(world, chance)) as s:
                s.sendall(data)
                if chance.random() < 0.5:
                    s.recv(100)
        _quietly(one)


def slowloris(world, chance, beat):
    """Twenty connections that say a byte now and then, and never a frame."""
    address = _anybody(world, chance)
    held = [s for s in (_quietly(_connect, address) for _ in range(20)) if s]
    drip = client.frame(client.message("Liveliness", nonce=1))
    end = time.monotonic() + 3 * beat
    for byte in drip[:-1]:
        if time.monotonic() > end or world.over.wait(0.2):
            break
        for s in held:
            _quietly(s.sendall, bytes([byte]))
    for s in held:
        s.close()


def flood(world, chance, beat):
    """Two hundred connections at once; half of them stay for a while."""
    address = _anybody(world, chance)
    held = []
    for i in range(200):
        s = _quietly(_connect, address, 0.5)
        if s is None:
            break
        if i % 2:
            held.append(s)
        else:
            s.close()
    world.over.wait(chance.uniform(0, 1))
    for s in held:
        s.close()


def forged_deaths(world, chance, beat):
    """Says to the seeds, with the right incarnations, that live peers are dead."""
    for r in chance.sample(world.runners(), min(5, len(world.runners()))):
        identity = _quietly(client.identity, r.address, PATIENCE)
        for s in world.seeds:
            reason = chance.choice(("silent", "reset", "refused"))
            if identity:
                _quietly(client.request, s.address, "Death", PATIENCE, address=identity[0],
                         incarnation=identity[1], reporter=identity[0], reason=reason)


def _join(world, chance, fake):
    """Links of a stranger to one or two peers."""
    links = []
    for r in chance.sample(world.runners(), min(2, len(world.runners()))):
        got = _quietly(fake.ask_link, r.address, PATIENCE, urgent=chance.random() < 0.5)
        if got and got[1]["verdict"] == "accepted":
            links.append(got[0])
    return links


def stranger(world, chance, beat):
    """Is accepted, publishes, and is gone with a reset; who heard it passes it on. It leaves
    out numbers that nobody will ever find."""
    with client.FakePeer(host=world.hosts.observer) as fake:
        links = _join(world, chance, fake)
        for i in range(chance.choice((1, 30, 300))):
            said = client.frame(fake.next_message(f"stranger says {i}"))
            for link in links:
                if chance.random() < 0.8:
                    _quietly(link.send_bytes, said)
            if chance.random() < 0.02:
                fake.seq += 2
        for link in links:
            if chance.random() < 0.5:
                _quietly(link.ping, PATIENCE)
            link.reset()


def black_hole(world, chance, beat):
    """Registers, becomes a neighbor of whoever asks, answers, and forwards nothing; at
    some time it does not even answer any more."""
    with client.FakePeer(host=world.hosts.observer) as fake:
        for s in world.seeds:
            _quietly(fake.register, s.address, timeout=PATIENCE)
        for link in _join(world, chance, fake):
            _quietly(link.send, "Graft", runs=[], all=True)
        world.over.wait(chance.uniform(0.5, 2) * beat)
        fake.mute = True
        world.over.wait(chance.uniform(0, 1.5) * beat)


ATTACKS = {"garbage": garbage, "slowloris": slowloris, "flood": flood,
           "forged Deaths": forged_deaths, "stranger": stranger, "black hole": black_hole}


def attack(world, kind, chance, beat):
    ATTACKS[kind](world, random.Random(chance.random()), beat)
