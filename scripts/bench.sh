#!/usr/bin/env bash
# Installs what is missing, builds, and measures how fast it is, in turns with
# programs that do nothing but move bytes (tests/bench), and with a NATS broker
# if there is one.
#
# usage: scripts/bench.sh [OPTION]...
#   --rounds N       how often everything is measured; medians count (5)
#   --quick          one round and small sizes: does it work?
#   --only ROW,...   some groups of rows (--help names them)
#   --out DIR        for bench.json, bench.svg and bench.txt (build/bench)
#   --bin DIR        measure the programs in DIR (build/release/bin, built here)
#   --against DIR    compare with the programs in DIR, too
#   --strict         status 1 when a bar is missed
#   --help           all options
#
# Measures on 127.0.0.1; nothing else should run meanwhile. docs/performance.md
# says what the rows mean. Whatever it started is stopped by process id.
# exit status: 0 measured (with --strict: all bars reached), 1 not, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/lib.sh

BUILD=build/release

case " $* " in
*' --help '* | *' -h '*) ;;
*)
	scripts/deps.sh --bench
	make -s -j"$(nproc)" BUILD=$BUILD BIN=$BUILD/bin SAN= all benchmarks
	;;
esac
export PYTHONDONTWRITEBYTECODE=1
exec python3 tests/bench/bench.py --bin $BUILD/bin --yards $BUILD/bench "$@"
