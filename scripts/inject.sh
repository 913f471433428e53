#!/usr/bin/env bash
# Fault injection: builds build/asan/inject and runs it: a seed and two peers
# in one process, whose system calls and allocations fail, one after the other.
#
# usage: scripts/inject.sh [--every K] [--from F] [--noise N] [--only FAULT]
#   (nothing)    every call, failing alone and with all that follow
#   --every K    one of K of them, beginning with the one numbered F
#   --noise N    runs with short reads and writes and EINTR
#   --only FAULT repeats one, for example malloc:17:once
# exit status: 0 all fine, 1 findings (each is printed), 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

make -s -j"$(nproc)" BUILD=build/asan BIN=build/asan/bin CC=gcc \
	SAN=address,undefined WARN=-w build/asan/inject
# Runs wait more than they compute. What a run needs of the sanitizers it says itself.
unset ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
exec build/asan/inject --jobs $(($(nproc) * 2)) "$@"
