#!/usr/bin/env bash
# Fuzzes: finds inputs that break something, beyond those that are kept.
#
# usage: scripts/fuzz.sh [SECONDS | --runs N] [--jobs N] [TARGET...]
#   SECONDS   for each target; 10 by default
#   --runs    that many executions of each, instead
#   --jobs    targets at a time; one per core by default
#   TARGET    of: frame node seed config console differential; all by default
#
# Builds with clang, address and undefined-behavior sanitizers into build/fuzz,
# with the source of cJSON where it can be had (scripts/cjson-source.sh). Each
# target begins with its kept inputs (tests/fuzz/corpus) and what earlier runs
# have found; new ones stay in build/fuzz/corpus. An input that takes more
# than 5 s (sanitizers and a busy machine counted in) or allocates 64 MiB at
# once is a finding, too. A finding is put into build/fuzz/findings and ends
# the run; it is said how to repeat it.
# exit status: 0 no finding, 1 a finding or no build, 2 wrong usage.
#
# scripts/fuzz.sh --keep [TARGET...]: keeps a small set of inputs that reaches
# every line of code that all in build/fuzz/corpus reach.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/lib.sh

ALL=(frame node seed config console differential)
BUILD=build/fuzz
KEPT_BYTES=600 # longer inputs are found, but not kept
LONGEST=1000
SLOWEST=5 # seconds for one input

export ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=16:malloc_context_size=8
export UBSAN_OPTIONS=print_stacktrace=1
export CMOCKA_TEST_ABORT=1 PYTHONDONTWRITEBYTECODE=1

usage() {
	sed -n '/^# usage/,/^# Builds/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
	exit 2
}

known() {
	local target
	for target in "${ALL[@]}"; do
		[ "$target" != "$1" ] || return 0
	done
	return 1
}

build() {
	local cjson=()
	if scripts/cjson-source.sh build/cjson; then
		cjson=(CJSON=build/cjson)
	else
		echo 'fuzz: cJSON is fuzzed as a library, nothing sees inside of it'
	fi
	make -s -j"$(nproc)" BUILD=$BUILD CC=clang WARN=-w "${cjson[@]}" \
		SAN=fuzzer-no-link,address,undefined fuzzers
}

# unpack TARGET: its kept inputs, among those that were found before.
unpack() {
	local kept=tests/fuzz/corpus/$1 to=$BUILD/corpus/$1
	mkdir -p "$to" $BUILD/findings
	[ ! -e "$kept.pack" ] ||
		"$python" tests/fuzz/pack.py unpack "$kept.pack" "$to"
	[ ! -d "$kept" ] || cp "$kept"/* "$to"/
}

# fuzz_one TARGET LOG
fuzz_one() {
	local dict=() limit=("-max_total_time=$seconds")
	[ ! -e tests/fuzz/"$1".dict ] || dict=(-dict=tests/fuzz/"$1".dict)
	[ -z "$runs" ] || limit=("-runs=$runs")
	$BUILD/fuzz/fuzz_"$1" "${dict[@]}" "${limit[@]}" -max_len=$LONGEST \
		-timeout=$SLOWEST -rss_limit_mb=1024 -malloc_limit_mb=64 -reload=0 \
		-print_final_stats=1 -artifact_prefix=$BUILD/findings/"$1"- \
		$BUILD/corpus/"$1" >"$2" 2>&1
}

differential() {
	local limit=(--seconds "$seconds" --seed "$RANDOM")
	[ -z "$runs" ] || limit=(--runs "$runs" --seed 1)
	"$python" tests/fuzz/differential.py $BUILD/fuzz/differ.so \
		--finding $BUILD/findings/differential-text "${limit[@]}" \
		tests/fuzz/corpus/frame.pack >"$1" 2>&1
}

# told LOG: what libFuzzer counted, on one line.
told() {
	awk '/ cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
		/number_of_executed_units/ { runs = $2 }
		/average_exec_per_sec/ { speed = $2 }
		/peak_rss_mb/ { rss = $2 }
		END { print runs " runs, " speed "/s, " cov " edges, " rss " MiB" }' "$1"
}

# found TARGET LOG: how it ended, and how to see it again.
found() {
	local file repeat=$BUILD/fuzz/fuzz_$1
	grep -vE '^#[0-9]+|^INFO: |Uses: ' "$2" | head -60
	file=$(sed -nE 's/.*(Test unit written to|, now in) //p' "$2" | tail -n 1)
	[ "$1" != differential ] ||
		repeat="$python tests/fuzz/differential.py $BUILD/fuzz/differ.so"
	printf '\nfuzz: FINDING in %s: %s\nfuzz: to repeat: %s %s\n' \
		"$1" "${file:-see above}" "$repeat" "$file"
}

# run_target TARGET: one line, or the whole story of a finding.
run_target() {
	local log=$BUILD/log-$1 code=0
	unpack "$1"
	if [ "$1" = differential ]; then
		differential "$log" || code=$?
		[ $code != 0 ] || printf '%-13s %s\n' "$1" "$(sed -n '$s/^differential: //p' "$log")"
	else
		fuzz_one "$1" "$log" || code=$?
		[ $code != 0 ] || printf '%-13s %s\n' "$1" "$(told "$log")"
	fi
	[ $code = 0 ] || found "$1" "$log"
	return $code
}

# Short inputs first, and of the longer ones those that reach new code.
keep() {
	local target=$1 small=$BUILD/small-$1
	rm -rf "$small"
	mkdir -p "$small" tests/fuzz/corpus
	$BUILD/fuzz/fuzz_"$target" -merge=1 -use_counters=0 -max_len=$KEPT_BYTES "$small" \
		$BUILD/corpus/"$target" >$BUILD/log-merge 2>&1
	"$python" tests/fuzz/pack.py pack tests/fuzz/corpus/"$target".pack "$small"
}

seconds=10 runs='' jobs=$(nproc) targets=() keep=
while [ $# -gt 0 ]; do
	case $1 in
	--runs | --jobs)
		[ $# -ge 2 ] && [[ $2 =~ ^[1-9][0-9]{0,9}$ ]] || usage
		declare "${1#--}=$2"
		shift
		;;
	--keep) keep=yes ;;
	[1-9]*)
		[[ $1 =~ ^[0-9]{1,6}$ ]] || usage
		seconds=$1
		;;
	*)
		known "$1" || usage
		targets+=("$1")
		;;
	esac
	shift
done
[ ${#targets[@]} -gt 0 ] || targets=("${ALL[@]}")

python=$(test_python) || python=python3
build
if [ -n "$keep" ]; then
	for target in "${targets[@]}"; do
		[ "$target" = differential ] || keep "$target"
	done
	exit 0
fi

# Each target runs in a process group of its own, and ends with it.
set -m
stop() {
	local pid
	for pid in $(jobs -p); do
		kill -TERM -- "-$pid" 2>/dev/null || :
	done
}
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM HUP

failed=0 running=0
for target in "${targets[@]}"; do
	if [ $running -ge "$jobs" ]; then
		wait -n || failed=1
		running=$((running - 1))
	fi
	[ $failed = 0 ] || break
	run_target "$target" </dev/null &
	running=$((running + 1))
done
while [ $running -gt 0 ]; do
	[ $failed = 0 ] || stop
	wait -n || failed=1
	running=$((running - 1))
done
exit $failed
