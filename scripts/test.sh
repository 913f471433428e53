#!/usr/bin/env bash
# Installs what is missing, builds, and passes all tests.
#
# usage: scripts/test.sh [--full]
#   (quick)  gcc build, the checks of the house, all unit and system tests, a
#            fixed sweep of simulated networks, 10 s of fuzzing for each target;
#            under 8 minutes on 2 cores
#   --full   the same with the long system tests, more simulated networks and
#            longer fuzzing; then clang, gcc's address and undefined-behavior
#            sanitizers, clang's thread sanitizer; under 45 minutes
#
# Warnings are errors. Every build has its own place, build/NAME, so bin/ and
# whatever runs from it stay as they are. The first failure is printed and
# ends it. Whatever it started is stopped by process id, also at Ctrl-C.
# exit status: 0 all passed, 1 something failed, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/lib.sh

UNIT_SECONDS=60     # one unit test program, on a plain build
SYSTEM_SECONDS=1500 # all system tests of one build; each has its own limit
FAULTS_EVERY=17     # of so many points of failure the short form tries one
SLOW=5              # how much slower a sanitizer makes everything
declare -A FUZZ_SECONDS=([quick]=10 [full]=30) # for each target

export PYTHONDONTWRITEBYTECODE=1
# 99 is no status of ours: a report can never pass for an expected failure.
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS=print_stacktrace=1:exitcode=99
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:exitcode=99

# --- starting and stopping

# Each command runs in a process group of its own, so that one signal reaches
# all of it; daemons that leave the group are found by this mark in their
# environment.
set -m
export SPTEST_MARK=$$-${EPOCHREALTIME/[.,]/}
child=
gentle= # set while the child stops better by a SIGINT to itself
logs=$(mktemp -d)

# marked: the pids of all that carry our mark.
marked() {
	local file pid
	grep -lzsx "SPTEST_MARK=$SPTEST_MARK" /proc/[0-9]*/environ |
		while read -r file; do
			pid=${file//[!0-9]/}
			! proc_start "$pid" >/dev/null || echo "$pid"
		done || :
}

none_marked() { [ -z "$(marked)" ]; }

finish() {
	local code=$? pid
	set +e
	trap '' INT TERM HUP PIPE
	if [ -n "$child" ]; then
		if [ -n "$gentle" ]; then
			kill -INT "$child" 2>/dev/null || :
		else
			kill -TERM -- "-$child" 2>/dev/null || :
		fi
		wait_for 10 has_ended "$child" || :
		kill -KILL -- "-$child" 2>/dev/null || :
	fi
	for pid in $(marked); do
		kill -KILL "$pid" 2>/dev/null || :
	done
	rm -rf "$logs"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap 'exit 141' PIPE

has_ended() { ! proc_start "$1" >/dev/null; }

# run COMMAND...: in the background, so that a signal to us is acted on now.
run() {
	local code=0
	"$@" </dev/null &
	child=$!
	wait "$child" || code=$?
	child=
	return $code
}

fail() {
	printf '\ntest.sh: FAILED: %s\n' "$*"
	exit 1
}

# stage NAME COMMAND...: with its name before and its time after it.
times=()
stage() {
	local name=$1 begin
	shift
	begin=$(now_ms)
	printf '\n== %s\n' "$name"
	"$@" || fail "$name"
	times+=("$(printf '%6s s  %s' "$(seconds_since "$begin")" "$name")")
}

nothing_left() {
	local pid
	wait_for 5 none_marked && return 0
	echo 'still running after the tests:'
	for pid in $(marked); do
		echo "  $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
	done
	return 1
}

# --- the stages; a build is named by its directory under build/

# build NAME CC [SANITIZERS]: with sanitizers no warnings, for they change what
# gcc sees; the plain builds have judged them.
build() {
	local how=(WERROR=1)
	[ $# = 2 ] || how=(SAN="$3" WARN=-w)
	run make -s -j"$(nproc)" BUILD="build/$1" BIN="build/$1/bin" CC="$2" \
		"${how[@]}" all unit sim replays benchmarks
}

checks_test_themselves() {
	run scripts/check-core.sh --self-test &&
		run scripts/check-layers.sh --self-test
}

unit_passed=0 unit_failed=0

# count WORD FILE: the tests in cmocka's lines "[  WORD  ] N test(s)"
count() {
	awk -v word="$1" '$1 == "[" && $2 == word && $5 ~ /^test/ { n += $4 }
		END { print n + 0 }' "$2"
}

# unit NAME: every program of tests/unit, a line for each.
unit() {
	local source program log code
	for source in tests/unit/test_*.c; do
		program=build/$1/unit/$(basename "$source" .c)
		log=$logs/unit
		code=0
		run "${wrap[@]}" timeout -k 5 $((UNIT_SECONDS * ${SEEDPEER_SLOW-1})) \
			"$program" >"$log" 2>&1 || code=$?
		unit_passed=$((unit_passed + $(count PASSED "$log")))
		unit_failed=$((unit_failed + $(count FAILED "$log")))
		if [ $code != 0 ]; then
			cat "$log"
			echo "$program: exit status $code"
			return 1
		fi
		printf '%-16s %s\n' "$(basename "$program")" \
			"$(grep -F '[  PASSED  ]' "$log")"
	done
	nothing_left
}

# replay NAME: the kept inputs of every fuzz target, as that build sees them.
replay() {
	local pack target files
	for pack in tests/fuzz/corpus/*.pack; do
		target=$(basename "$pack" .pack)
		files=("$pack" "${pack%.pack}"/*)
		[ -e "${files[1]}" ] || files=("$pack")
		printf '%-16s ' "$target"
		run "${wrap[@]}" timeout -k 5 $((UNIT_SECONDS * ${SEEDPEER_SLOW-1})) \
			build/"$1"/fuzz/replay_"$target" "${files[@]}" || return 1
	done
}

# fuzz SECONDS: of each target, a core for each.
fuzz() {
	run scripts/fuzz.sh "$1"
}

# networks NAME ARGUMENTS...: simulated ones; a failure names its number.
networks() {
	local name=$1
	shift
	SIM=build/$name/sim run scripts/sim-sweep.sh "$@"
}

system_lines=() system_last=
wrap=() # before every test

# system NAME ARGUMENTS...: pytest over real processes of that build. SIGINT to
# timeout alone reaches pytest once, and pytest then stops its daemons.
system() {
	local name=$1 code=0 tee
	shift # the first argument is a directory of tests/
	rm -f "$logs/pipe"
	mkfifo "$logs/pipe"
	tee -i "$logs/system" <"$logs/pipe" &
	tee=$!
	gentle=yes
	SEEDPEER_BIN=build/$name/bin run "${wrap[@]}" \
		timeout --foreground -s INT -k 30 $SYSTEM_SECONDS \
		"$python" -m pytest -q -p no:cacheprovider "$@" \
		>"$logs/pipe" 2>&1 || code=$?
	gentle=
	wait_for 5 has_ended $tee || :
	system_last=$(tail -n 1 "$logs/system")
	system_lines+=("$name ${1#tests/}: $system_last")
	nothing_left && return $code
}

# torture NAME OPTION...: everything at once; `make torture` does it for longer.
torture() {
	local name=$1
	shift
	SEEDPEER_BIN=build/$name/bin run "${wrap[@]}" \
		"$python" tests/torture/torture.py "$@" && nothing_left
}

# sanitized NAME CC SANITIZERS: a build, and all tests on it, slowly.
sanitized() {
	settle_addresses
	stage "build with $2, $3" build "$1" "$2" "$3"
	export SEEDPEER_SLOW=$SLOW
	stage "unit tests ($3)" unit "$1"
	stage "fuzz inputs replayed ($3)" replay "$1"
	[ "$1" = tsan ] || stage "simulated networks ($3)" networks "$1" --fixed
	stage "a hostile world ($3)" system "$1" tests/hostile
	stage "system tests ($3)" system "$1" tests/system -k 'not v6'
	stage "torture ($3)" torture "$1" --minutes 1 --slow $SLOW
	unset SEEDPEER_SLOW
}

# Sanitizers of these compilers cannot live with much randomness in addresses.
settle_addresses() {
	local bits=/proc/sys/vm/mmap_rnd_bits
	if [ -r $bits ] && [ "$(cat $bits)" -gt 28 ] &&
		setarch -R true 2>/dev/null; then
		wrap=(setarch -R)
	fi
}

# faults ARGUMENTS...: fault injection, in a build with sanitizers of its own.
faults() {
	local wrap=()
	settle_addresses
	run "${wrap[@]}" scripts/inject.sh "$@"
}

quick() {
	stage 'build with gcc' build gcc gcc
	stage 'the checks find breaches' checks_test_themselves
	stage 'core is pure' run scripts/check-core.sh build/gcc
	stage 'rooms and lengths' run scripts/check-layers.sh
	stage 'unit tests' unit gcc
	stage 'fuzz inputs replayed' replay gcc
	stage 'fuzzing' fuzz "${FUZZ_SECONDS[$tier]}"
	stage 'simulated networks' networks gcc --fixed
	stage 'a hostile world' system gcc tests/hostile
	stage 'system tests' system gcc tests/system
	[ $tier = full ] || # another sample every day
		stage 'fault injection, a sample' faults --noise 10 \
			--every $FAULTS_EVERY --from $((10#$(date +%j) % FAULTS_EVERY))
}

full() {
	SEEDPEER_FULL=1 quick
	stage 'more simulated networks' networks gcc --from 1000 400
	stage 'build with clang' build clang clang
	stage 'core is pure (clang)' run scripts/check-core.sh build/clang
	stage 'unit tests (clang)' unit clang
	stage 'fuzz inputs replayed (clang)' replay clang
	stage 'coverage' run scripts/coverage.sh
	stage 'system tests (clang)' system clang tests/system -k 'not v6' \
		--ignore=tests/system/test_networks.py
	sanitized asan gcc address,undefined
	stage 'fault injection' faults --noise 200
	sanitized tsan clang thread
}

# --- all of it

case $#${1-} in
0) tier=quick ;;
1--full) tier=full ;;
*)
	echo 'usage: scripts/test.sh [--full]' >&2
	exit 2
	;;
esac
begin=$(now_ms)
stage 'what tests need' run scripts/deps.sh --test
python=$(test_python)
$tier
printf '\n== %s s in all\n' "$(seconds_since "$begin")"
printf '%s\n' "${times[@]}"
printf '\nunit: %d passed, %d failed\n' $unit_passed $unit_failed
printf '%s\n' "${system_lines[@]}" "$system_last"
