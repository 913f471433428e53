#!/usr/bin/env bash
# Runs many simulated networks, each with its own troubles, and stops at the
# first one that loses something or breaks a rule of docs/protocol.md.
#
# usage: scripts/sim-sweep.sh [--from N] [--go-on] [COUNT]
#          COUNT scenarios (default 50), numbered from N (default: by the
#          time); --go-on: do not stop at a breach
#        scripts/sim-sweep.sh --fixed
#          always the same few, for scripts/test.sh; under 40 s
#
# What happens in a scenario depends on nothing but its number. SIM names the
# simulator; without it build/sim is made. One line each: number, verdict, key
# figures, and the command that repeats it.
# exit status: 0 all well, 1 a breach (its output follows), 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/lib.sh

FIXED_FROM=1 FIXED_COUNT=30
LIMIT=300 # seconds of real time for one

usage() {
	echo 'usage: scripts/sim-sweep.sh [--fixed | [--from N] [--go-on] [COUNT]]' >&2
	exit 2
}

# --- chance that is the same with every bash

chance_state=0

# below N: sets REPLY to 0 .. N-1
below() {
	chance_state=$((chance_state * 6364136223846793005 + 1442695040888963407))
	REPLY=$(((chance_state >> 33 & 0x3fffffff) % $1))
}

# pick WORD...: one of them
pick() {
	below $#
	shift $REPLY
	REPLY=$1
}

# --- one scenario

options=() # of the scenario being made

# network: its size, and how far its peers are apart
network() {
	local peers
	pick 9 30 60 100 300
	below $((REPLY - 1))
	peers=$((REPLY + 2))
	pick 0 1 2 3 3 4 5
	options=(--peers "$peers" --seeds $((REPLY > 0 ? REPLY : 1)))
	pick 10-100 10-100 1-5 0-0 50-250
	options+=(--latency "$REPLY")
	pick tree tree tree flood
	options+=(--mode "$REPLY")
	below 8
	[ "$REPLY" != 0 ] || options+=(--through-codec)
}

# load: who says how much
load() {
	local publishers
	pick 1 3 10 30
	below "$REPLY"
	publishers=$((REPLY + 1))
	pick 5 20 100
	options+=(--publishers "$publishers" --rate "$REPLY")
	pick 100 300 1000
	options+=(--messages $((REPLY / publishers + 2)))
	pick 10 100 1000
	options+=(--data "$REPLY")
}

# settings: unusual ones
settings() {
	below 5
	[ "$REPLY" != 0 ] || {
		pick 10 50 200
		options+=(--store-messages "$REPLY")
	}
	below 4
	[ "$REPLY" != 0 ] ||
		options+=(--set gossip.max_outbox=256K --set gossip.outbox_high=16K)
	below 10
	[ "$REPLY" != 0 ] || options+=(--set gossip.catch_up=no)
	below 10
	[ "$REPLY" != 0 ] || options+=(--set seed.period=10s)
}

# trouble WORD: something that happens in mid-stream
trouble() {
	local share
	below 30
	share=0.$((REPLY / 10))$((REPLY % 10))
	pick process process host leave restart
	case $1 in
	crash) options+=(--crash "$share:$REPLY") ;;
	churn) options+=(--churn "0.0${share:3}:$REPLY") ;;
	pause) options+=(--pause "$share") ;;
	slow-output) options+=(--slow-output "$share") ;;
	partition)
		below 40
		options+=(--partition $((REPLY + 1)))
		;;
	join-storm)
		below 100
		options+=(--join-storm $((REPLY + 1)))
		;;
	seed-restart) options+=(--seed-restart) ;;
	seed-split)
		below 30
		options+=(--seed-split $((REPLY + 1)))
		;;
	esac
}

# scenario NUMBER: fills options
scenario() {
	local troubles=(crash churn pause slow-output partition join-storm
		seed-restart seed-split)
	local n which
	chance_state=$(($1 * 2654435761 + 12345))
	below 1000
	network
	load
	settings
	pick 0 1 1 2 3
	for ((n = REPLY; n > 0; n--)); do
		below ${#troubles[@]}
		which=$REPLY
		trouble "${troubles[which]}"
		unset "troubles[which]" # no two of a kind
		troubles=("${troubles[@]}")
	done
	options+=(--seed "$1")
}

# --- running them

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# figures FILE: what is worth seeing of one line of JSON
figures() {
	local key line=
	for key in reliability redundancy p99_ms lost reported_lost components; do
		line+=" $key=$(json_field $key <"$1")"
	done
	echo "$line"
}

# run_one NUMBER
run_one() {
	local out=$logs/$1 code=0 verdict=ok
	scenario "$1"
	timeout -k 5 $LIMIT "$sim" "${options[@]}" --json \
		>"$out" 2>"$out.err" || code=$?
	[ $code = 0 ] || verdict="FAILED ($code)"
	printf '%6d %s%s: %s\n' "$1" "$verdict" "$(figures "$out")" \
		"$sim ${options[*]}"
	[ $code = 0 ] || cat "$out.err"
	return $code
}

# run_all FROM COUNT: as many at a time as there are processors
run_all() {
	local number running=0 failed=0 most
	most=$(nproc)
	for ((number = $1; number < $1 + $2; number++)); do
		[ $failed = 0 ] || [ -n "$go_on" ] || break
		run_one $number &
		running=$((running + 1))
		[ $running -lt "$most" ] || {
			wait -n || failed=1
			running=$((running - 1))
		}
	done
	while [ $running -gt 0 ]; do
		wait -n || failed=1
		running=$((running - 1))
	done
	return $failed
}

# --- all of it

from=$((EPOCHSECONDS % 1000000)) count=50 go_on=
while [ $# -gt 0 ]; do
	case $1 in
	--fixed) from=$FIXED_FROM count=$FIXED_COUNT ;;
	--go-on) go_on=yes ;;
	--from)
		[ $# -ge 2 ] || usage
		need_number "$1" "$2" 999999
		from=$((10#$2))
		shift
		;;
	-*) usage ;;
	*)
		need_number COUNT "$1" 999999
		count=$((10#$1))
		;;
	esac
	shift
done
[ -n "${SIM-}" ] || make -s sim
sim=${SIM-build/sim}
begin=$(now_ms)
run_all "$from" "$count" || exit 1
echo "$count scenarios in $(seconds_since "$begin") s, all well"
