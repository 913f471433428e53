#!/usr/bin/env bash
# Which lines and branches of the decisions the unit tests alone reach.
#
# usage: scripts/coverage.sh [--missing]
#   --missing   also print every line and branch that was not reached
#
# Builds everything into build/cov with clang, runs every program of
# tests/unit, and prints one line for each file of the pre-scan, frames, codec,
# node and registry: src/wire, src/core and src/io/inbox.c. Each of them must
# have LINES_MIN and BRANCHES_MIN percent.
#
# clang's coverage (llvm-cov) rather than gcov: gcov counts the branches inside
# of uthash's macros as ours, some seventy in a file that uses it, of which most
# cannot be taken for one type of key; clang leaves out what is spelled in a system
# header and counts each condition of an && or || by itself. Nothing else is
# left out: what happens without memory counts, too.
# exit status: 0 fine, 1 a file below the bars or a failed test, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

LINES_MIN=95
BRANCHES_MIN=90
BUILD=build/cov
SECONDS_MAX=120 # one test program
SOURCES=(src/wire/*.c src/core/*.c src/io/inbox.c)

usage() {
	echo 'usage: scripts/coverage.sh [--missing]' >&2
	exit 2
}
case $#${1-} in
0) missing=no ;;
1--missing) missing=yes ;;
*) usage ;;
esac

# tool NAME: the one that belongs to this clang.
tool() {
	local path
	path=$(clang -print-prog-name="$1") && command -v "$path" || {
		echo "coverage.sh: $1 is missing (package llvm)" >&2
		exit 1
	}
}

cov=$(tool llvm-cov) || exit 1
merge=$(tool llvm-profdata) || exit 1
scratch=$(mktemp -d)
child=
finish() {
	[ -z "$child" ] || kill "$child" 2>/dev/null || :
	rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

make -s -j"$(nproc)" BUILD=$BUILD CC=clang SAN= \
	CFLAGS='-O0 -g -fprofile-instr-generate -fcoverage-mapping' unit

# In the background, so that a signal to us is acted on now.
objects=()
for source in tests/unit/test_*.c; do
	program=$BUILD/unit/$(basename "$source" .c)
	objects+=(-object "$program")
	LLVM_PROFILE_FILE="$scratch/%m.profraw" timeout -k 5 $SECONDS_MAX \
		"$program" </dev/null >"$scratch/log" 2>&1 &
	child=$!
	wait $child || {
		cat "$scratch/log"
		echo "coverage.sh: $program failed"
		exit 1
	}
	child=
done
"$merge" merge -o "$scratch/all" "$scratch"/*.profraw
sources=()
for source in "${SOURCES[@]}"; do
	sources+=("$PWD/$source")
done

# llvm_cov WHAT OPTIONS...: the first program stands without -object.
llvm_cov() {
	"$cov" "$@" -instr-profile "$scratch/all" "${objects[1]}" \
		"${objects[@]:2}" "${sources[@]}"
}

if [ $missing = yes ]; then
	llvm_cov show -show-branches=count | awk '
		/^\/.*:$/ { file = $0; sub(/.*\/src\//, "src/", file) }
		match($0, /^ *[0-9]+\|/) {
			text = $0; sub(/^ *[0-9]+\| *[0-9.kM]*\|/, "", text)
			split($0, part, "|"); at = part[1] + 0
			if (part[2] ~ /^ *0$/) print file at ": never run: " text }
		/Branch \(.*(True|False): 0[],]/ {
			split($0, part, /[(:]/); key = file $0
			if (!seen[key]++)
				print file part[2] ": never " \
					($0 ~ /True: 0,/ ? "true" : "false") ": " text }'
	echo
fi

# The columns of "report": name, three of functions, lines, branches, each
# with its number, those missed and the percentage.
llvm_cov report -show-region-summary=0 >"$scratch/report"
awk -v lines=$LINES_MIN -v branches=$BRANCHES_MIN '
	function percent(all, missed) {
		return all ? 100 * (all - missed) / all : 100 }
	function row(name, l, lm, b, bm) {
		low = percent(l, lm) < lines || percent(b, bm) < branches
		bad += low
		printf "%-24s %5d %6.1f %%  %5d %6.1f %%%s\n", name, l,
			percent(l, lm), b, percent(b, bm), low ? "  too low" : "" }
	BEGIN { print "                         lines          branches" }
	NF == 10 && $1 ~ /\.[ch]$/ { files++; row($1, $5, $6, $8, $9) }
	$1 == "TOTAL" { row("all", $5, $6, $8, $9) }
	END {
		printf "at least %d %% of the lines, %d %% of the branches of each: %s\n",
			lines, branches, bad || !files ? "FAILED" : "yes"
		exit bad > 0 || !files }' "$scratch/report"
