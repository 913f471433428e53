# What demo.sh, network.sh, deps.sh and test.sh share. To be sourced by bash.
#
# A process that was started here is remembered as "pid start-time label log"
# and is only ever signalled while both its pid and its start time still fit:
# a pid that the system has given to somebody else is left alone.
# No python, jq or procps: a fresh machine has none of them.
# shellcheck shell=bash

# The one place that says which python runs the tests: Debian's python3-pytest
# belongs to /usr/bin/python3, which need not be the first one in PATH.
test_python() {
	local python
	for python in /usr/bin/python3 python3; do
		if "$python" -c 'import pytest' 2>/dev/null; then
			echo "$python"
			return 0
		fi
	done
	return 1
}

# now_ms: for time-outs and for showing how long something took.
now_ms() {
	local us=${EPOCHREALTIME/[.,]/}
	echo $((us / 1000))
}

# seconds_since MS: "1.3"
seconds_since() {
	local ms=$(($(now_ms) - $1))
	printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# wait_for SECONDS COMMAND...: until it succeeds; fails when time is up.
wait_for() {
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.1
	done
}

# need_number WHAT VALUE MAX
need_number() {
	if ! [[ $2 =~ ^[0-9]{1,6}$ ]] || ((10#$2 < 1 || 10#$2 > $3)); then
		printf '%s: %s takes a number from 1 to %s, not "%s"\n' \
			"$0" "$1" "$3" "$2" >&2
		exit 2
	fi
}

# build_programs: bin/seed and bin/peer, with whatever building needs.
build_programs() {
	local log
	if [ ! -r /proc/self/stat ]; then
		echo "$0: /proc is not mounted (mount -t proc proc /proc)" >&2
		return 1
	fi
	scripts/deps.sh || return 1
	make -q >/dev/null 2>&1 || echo "Building bin/seed and bin/peer ..."
	if ! log=$(make -s -j"$(nproc)" 2>&1); then
		printf '%s\n' "$log" >&2
		return 1
	fi
}

# --- processes

# proc_start PID: its start time in ticks since boot; fails if there is no
# such process, or nothing of it but its exit status.
proc_start() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	# The name in parentheses may hold anything: cut behind the last one.
	read -ra stat <<<"${stat##*) }"
	[ "${stat[0]}" != Z ] && echo "${stat[19]}"
}

# proc_is PID START: that very process still runs.
proc_is() {
	[ "$(proc_start "$1")" = "$2" ]
}

# proc_log PID: the log file that a daemon holds open.
proc_log() {
	local fd path
	for fd in "/proc/$1/fd/"*; do
		path=$(readlink "$fd") || continue
		case $path in
		*/servers/output_*.log | */clients/output_*.log)
			echo "$path"
			return 0
			;;
		esac
	done
	return 1
}

# log_port LOG: the port in the name of a peer's log.
log_port() {
	local name=${1##*_}
	echo "${name%.log}"
}

# port_taken PORT: somebody listens on it, on whatever address.
port_taken() {
	local files=(/proc/net/tcp)
	[ ! -r /proc/net/tcp6 ] || files+=(/proc/net/tcp6)
	awk -v port="$(printf ':%04X' "$1")" '
		$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 }
		END { exit !found }' "${files[@]}"
}

# free_port: one below those the kernel gives to outgoing connections.
free_port() {
	local port
	while :; do
		port=$((15000 + RANDOM % 15000))
		port_taken $port || break
	done
	echo $port
}

# --- the network

STARTED=()        # "pid start-time label log", the label being two words
STATE_FILE=       # if set, the same lines go there at once
DAEMON_OPTIONS=() # for every seed and peer
START_IN=/dev/null START_OUT=/dev/null

# seed_entries: "name host:port" for each seed of the configuration.
seed_entries() {
	bin/peer "${DAEMON_OPTIONS[@]}" --print-config | awk '
		/^\[/ { inside = ($0 == "[seeds]") }
		inside && /^[A-Za-z0-9_-]+ *=/ {
			split($0, a, / *= */); print a[1], a[2] }'
}

# remember PID LABEL LOG; fails if that process has ended.
remember() {
	local ticks
	ticks=$(proc_start "$1") || return 1
	STARTED+=("$1 $ticks $2 $3")
	[ -z "$STATE_FILE" ] || echo "$1 $ticks $2 $3" >>"$STATE_FILE"
}

has_log_or_ended() {
	proc_log "$1" >/dev/null || ! proc_start "$1" >/dev/null
}

# start LABEL ERRORS COMMAND...: a daemon in a session of its own, so that a
# Ctrl-C at this terminal is not for it. Waits until its log is open.
start() {
	local label=$1 errors=$2 pid log
	shift 2
	setsid "$@" <"$START_IN" >"$START_OUT" 2>"$errors" &
	pid=$!
	disown $pid # its end is no news for this shell to print
	if wait_for 10 has_log_or_ended $pid && log=$(proc_log $pid) &&
		remember $pid "$label" "$log"; then
		return 0
	fi
	printf '%s did not start: %s\n' "$label" "$*" >&2
	tail -n 5 "$errors" >&2
	remember $pid "$label" - || : # so that it is stopped, if it hangs
	return 1
}

# start_seeds DIRECTORY: all of the configuration, stderr to the directory.
start_seeds() {
	local entries name address
	entries=$(seed_entries)
	while read -r name address; do
		start "seed $name" "$1/$name.err" \
			bin/seed "${DAEMON_OPTIONS[@]}" "$name" || return 1
		if ! wait_for 5 port_taken "${address##*:}"; then
			echo "seed $name does not listen on $address" >&2
			return 1
		fi
	done <<<"$entries"
}

# start_peers NUMBER DIRECTORY
start_peers() {
	local i
	for ((i = 1; i <= $1; i++)); do
		start "peer $i" "$2/peer$i.err" \
			bin/peer "${DAEMON_OPTIONS[@]}" || return 1
	done
}

# started_that_run [ROLE]: "pid role name log" of each that still runs.
started_that_run() {
	local line pid ticks role rest
	for line in "${STARTED[@]}"; do
		read -r pid ticks role rest <<<"$line"
		[ "${1-$role}" = "$role" ] && proc_is "$pid" "$ticks" &&
			echo "$pid $role $rest"
	done
	return 0
}

# signal_started SIGNAL [ROLE]
signal_started() {
	local signal=$1 pid rest
	shift
	while read -r pid rest; do
		[ -z "$pid" ] || kill "-$signal" "$pid" 2>/dev/null || :
	done <<<"$(started_that_run "$@")"
}

none_runs() {
	[ -z "$(started_that_run "$@")" ]
}

# stop_started: asks the peers to leave, then the seeds, so that a peer can
# still say so to them; ends whoever is there after that, and counts it.
FORCED=0
stop_started() {
	local role
	for role in peer seed; do
		signal_started TERM $role
		if ! wait_for 3 none_runs $role; then
			FORCED=$((FORCED + $(started_that_run $role | wc -l)))
			signal_started KILL $role
		fi
	done
	wait_for 2 none_runs || return 1
	STARTED=()
}

# seed_lists: what every seed answers, one JSON object a line.
seed_lists() {
	bin/peer "${DAEMON_OPTIONS[@]}" --list --json 2>/dev/null
}

# json_field KEY: its value (a number or a plain string) in a line of JSON.
json_field() {
	sed -n 's/.*"'"$1"'": *"\{0,1\}\([^",}]*\).*/\1/p'
}
