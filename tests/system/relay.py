#!/usr/bin/env python3
"""A slow road: packets that enter a TUN device leave it again later, each by a
time of its own, so they also overtake one another.

usage: relay.py DEVICE MILLISECONDS JITTER SEED

For kernels without netem. Prints one line when packets may come; ends with its stdin.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def main():
    name, delay, jitter, seed = sys.argv[1:]
    delay, jitter, chance = float(delay) / 1000, float(jitter) / 1000, random.Random(int(seed))
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    print("ready", flush=True)
    waiting, count = [], 0
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready = select.select([tun, 0], [], [], left)[0]
        if 0 in ready:
            return
        while tun in ready:
            try:
                packet = os.read(tun, 65536)
            except BlockingIOError:
                break
            count += 1
            due = time.monotonic() + delay + chance.uniform(-jitter, jitter)
            heapq.heappush(waiting, (due, count, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            try:
                os.write(tun, heapq.heappop(waiting)[2])
            except OSError:
                pass  # what the device does not take is lost, as anywhere


if __name__ == "__main__":
    main()
