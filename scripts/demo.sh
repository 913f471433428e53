#!/usr/bin/env bash
# Shows a whole network at work: installs what is missing, builds, starts the
# seeds of config.ini and some peers, and hands you one more at its prompt.
#
# usage: scripts/demo.sh [--peers N] [--seconds S]
#   --peers N     this many peers in the background (default 5)
#   --seconds S   no prompt: play the tour and leave after S seconds, or when
#                 the tour has ended, whichever is later
#
# Without a terminal it plays the tour too, in at most 30 s once built: shows
# `1` and `2`, sends a message, kills a peer, and looks whether everybody
# noticed. Everything it started is stopped when it ends, or at Ctrl-C.
# exit status: 0 all of it worked, 1 something did not, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/lib.sh

usage() {
	echo 'usage: scripts/demo.sh [--peers N] [--seconds S]' >&2
	exit 2
}

peers=5 seconds=
while [ $# -gt 0 ]; do
	case $1 in
	--peers) peers=${2-} && need_number "$1" "$peers" 200 ;;
	--seconds) seconds=${2-} && need_number "$1" "$seconds" 86400 ;;
	-h | --help)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) usage ;;
	esac
	shift 2
done
tour=yes
if [ -z "$seconds" ] && [ -t 0 ] && [ -t 1 ]; then
	tour=
fi

# --- what the summary says

results=() failed=0 lists=

# result OUTCOME TEXT [TIME]
result() {
	results+=("$(printf '%-4s %-52s %s' "$1" "$2" "${3-}")")
	[ "$1" = yes ] || failed=1
}

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\e[1m' plain=$'\e[0m'
fi
caption() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
indent() { sed 's/^/    /'; }
uncolored() { sed 's/\x1b\[[0-9;]*m//g'; }

# --- start and stop

logs=bin # where the daemons log
directory=$(mktemp -d "${TMPDIR:-/tmp}/seedpeer-demo.XXXXXX")

finish() {
	local code=$?
	set +e                    # and the terminal may be gone:
	trap '' INT TERM HUP PIPE # nothing stops the stopping
	[ ${#STARTED[@]} = 0 ] || [ -n "$tour" ] ||
		echo "Stopping ${#STARTED[@]} processes ..." 2>/dev/null
	stop_started || code=1
	rm -rf "$directory"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap 'exit 141' PIPE

# If another network has our ports, this one moves instead of disturbing it,
# with its logs.
choose_ports() {
	local entries name address taken=
	entries=$(seed_entries)
	while read -r name address; do
		! port_taken "${address##*:}" || taken+=" ${address##*:}"
	done <<<"$entries"
	[ -n "$taken" ] || return 0
	echo "Another network has port$taken: this one takes free ports, logs in $directory."
	logs=$directory
	DAEMON_OPTIONS=(--log-dir "$logs")
	while read -r name address; do
		DAEMON_OPTIONS+=(--set "seeds.$name=127.0.0.1:$(free_port)")
	done <<<"$entries"
}

start_network() {
	local seeds
	if ! seeds=$(seed_entries) || [ -z "$seeds" ]; then
		bin/peer --check || exit 1
		echo 'config.ini names no seeds' >&2
		exit 1
	fi
	choose_ports
	seed_count=$(wc -l <<<"$seeds")
	caption "Starting $seed_count seeds and $peers peers"
	start_seeds "$directory" && start_peers "$peers" "$directory" || exit 1
	for line in "${STARTED[@]}"; do
		read -r pid _ role name log <<<"$line"
		printf '%s %s  pid %s  log %s\n' "$role" "$name" "$pid" \
			"${log#"$PWD/"}"
	done | indent
}

# --- with a terminal: one peer at its prompt

has_ended() { ! proc_start "$1" >/dev/null; }

prompt() {
	caption 'And one peer for you'
	cat <<-END | indent
		1 lists its neighbors, 2 the messages, 3 leaves and stops everything.
		send hello     publishes a message; every peer's log will have it:
		               tail -f $logs/clients/output_*.log in another terminal
		Kill a peer (kill -9 PID) and watch $logs/servers/output_*.log.
	END
	echo
	# In the background for the shell, so that it can act on a hang-up at
	# once; the terminal is still the peer's.
	bin/peer "${DAEMON_OPTIONS[@]}" <&0 &
	local pid=$! code=0
	trap : INT # reaches the peer as well: a way to leave like any other
	remember $pid 'peer yours' - || :
	wait $pid || code=$?
	if [ $code = 130 ]; then
		wait_for 2 has_ended $pid || :
		code=0
	fi
	exit $code
}

# --- without: the tour

start_talking_peer() {
	mkfifo "$directory/in"
	exec 4<>"$directory/in" # both ways: never blocks, never SIGPIPE
	START_IN=$directory/in START_OUT=$directory/out
	start 'peer yours' "$directory/yours.err" \
		bin/peer "${DAEMON_OPTIONS[@]}" || exit 1
	START_IN=/dev/null START_OUT=/dev/null
}

answered() {
	awk -v n="$1" 'NR > n && /^{"address"/ { found = 1 } END { exit !found }' \
		"$directory/out"
}

# ask COMMAND: types it at our peer's prompt and prints what comes back. The
# status after it marks the end of the answer.
ask() {
	local before
	before=$(wc -l <"$directory/out")
	printf '%s\nstatus\n' "$1" >&4
	wait_for 5 answered "$before" || return 1
	tail -n "+$((before + 1))" "$directory/out" | sed '/^{"address"/,$d'
}

show() {
	echo "    > $1"
	ask "$1" | uncolored | indent
}

# for_each_peer COMMAND: COMMAND NAME PORT LOG, until one fails.
for_each_peer() {
	local line role name log
	for line in "${STARTED[@]}"; do
		read -r _ _ role name log <<<"$line"
		[ "$role" = seed ] ||
			"$1" "$name" "$(log_port "$log")" "$log" || return 1
	done
}

is_listed() { grep -q ":$2\"" <<<"$lists"; }
has_neighbor() { grep -q 'Peer Reply.*accepted' "$3"; }
has_text() { [ "$1" = yours ] || grep -qF "$text" "$3"; }

all_joined() {
	lists=$(seed_lists) && for_each_peer is_listed &&
		for_each_peer has_neighbor
}

tour_join() {
	local begin outcome=yes
	begin=$(now_ms)
	caption "Each peer registers with more than half of the seeds and dials others"
	wait_for 10 all_joined || outcome=NO
	while read -r line; do
		echo "seed $(json_field seed <<<"$line") knows $(json_field count <<<"$line") peers"
	done <<<"$lists" | indent
	result $outcome "$((peers + 1)) peers are listed and have neighbors" \
		"$(seconds_since "$begin") s"
	caption 'What a peer says of its neighbors'
	show 1 || result NO 'the peer answers at its prompt'
}

tour_message() {
	local begin outcome=yes line role name log
	text="hello from the demo, number $$"
	caption 'One peer publishes a message, all others get it'
	begin=$(now_ms)
	show "send $text" || result NO 'the peer takes a message'
	wait_for 5 for_each_peer has_text || outcome=NO
	result $outcome "the message reached all $peers other peers" \
		"$(seconds_since "$begin") s"
	for line in "${STARTED[@]}"; do
		read -r _ _ role name log <<<"$line"
		[ "$role" != seed ] && [ "$name" != yours ] || continue
		printf 'peer %-3s %s\n' "$name" \
			"$(grep -m 1 -F "$text" "$log" | uncolored)"
	done | indent
	caption 'The messages it has sent and received'
	show 2 || result NO 'the peer answers at its prompt'
}

# dropped PORT: every seed answers, and none lists it.
dropped() {
	local lists
	lists=$(seed_lists) || return 1
	[ "$(grep -c '"up": *true' <<<"$lists")" = "$seed_count" ] &&
		! grep -q ":$1\"" <<<"$lists"
}

# death_lines PORT: what the seeds' logs, written every 100 ms, say of it.
death_lines() { grep -h "Death.*:$1 " "$logs"/servers/*.log; }

tour_death() {
	local begin took outcome=yes pid ticks log port line
	read -r pid ticks _ _ log <<<"${STARTED[seed_count]}" # peer 1
	port=$(log_port "$log")
	caption "Peer 1 (port $port) crashes: kill -KILL $pid"
	seed_lists | while read -r line; do
		! grep -q ":$port\"" <<<"$line" ||
			echo "seed $(json_field seed <<<"$line") lists it"
	done | indent
	begin=$(now_ms)
	! proc_is "$pid" "$ticks" || kill -KILL "$pid"
	wait_for 10 dropped "$port" || outcome=NO
	took=$(seconds_since "$begin")
	if [ $outcome = yes ]; then
		echo "    no seed lists it any more, $took s later; they were told:"
		wait_for 1 death_lines "$port" | tail -n 2 | uncolored | indent || :
	fi
	result $outcome 'every seed dropped the killed peer' "$took s"
}

tour_end() {
	local begin outcome=yes
	printf '3\n' >&4
	caption 'Everybody leaves'
	begin=$(now_ms)
	stop_started && [ $FORCED = 0 ] || outcome=NO
	result $outcome 'all processes ended when asked' \
		"$(seconds_since "$begin") s"
}

# --- the demo

build_programs || exit 1
start_network
[ -n "$tour" ] || prompt
begin=$(now_ms)
start_talking_peer
tour_join
tour_message
tour_death
[ -z "$seconds" ] ||
	while [ $(($(now_ms) - begin)) -lt $((10#$seconds * 1000)) ]; do
		sleep 0.1
	done
tour_end
caption 'Seen'
printf '%s\n' "${results[@]}" | indent
exit $failed
