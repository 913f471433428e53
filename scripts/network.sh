#!/usr/bin/env bash
# A network to play with: the seeds of config.ini and some peers, running in
# the background until they are told to stop.
#
# usage: scripts/network.sh up [--peers N] | status | down
#   up       builds, then starts the seeds and N peers (default 5); does
#            nothing if it is up already
#   status   lists the processes and what each seed knows
#   down     stops what `up` started, and nothing else; fine if nothing runs
#
# What runs is noted in bin/run/network.pids with each process's start time;
# a pid that belongs to another process by now is never signalled.
# exit status: 0 done, or for status: all run; 1 failed, or some have ended;
# 2 wrong usage; 3 status: the network is not up.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
. scripts/lib.sh

directory=bin/run
state=$directory/network.pids

usage() {
	echo 'usage: scripts/network.sh up [--peers N] | status | down' >&2
	exit 2
}

load() {
	STARTED=()
	[ ! -e $state ] || mapfile -t STARTED <$state
}

undo() {
	local code=$?
	set +e
	trap '' INT TERM HUP PIPE
	echo 'Not up: stopping what was started' >&2
	load
	stop_started && rm -f $state
	exit $((code ? code : 1))
}

refuse_taken_ports() {
	local entries name address
	if ! entries=$(seed_entries) || [ -z "$entries" ]; then
		bin/peer --check || exit 1
		echo 'config.ini names no seeds' >&2
		exit 1
	fi
	while read -r name address; do
		if port_taken "${address##*:}"; then
			echo "$address of seed $name is taken: does another network run? Nothing started." >&2
			exit 1
		fi
	done <<<"$entries"
}

up() {
	load
	if ! none_runs; then
		echo "The network is up already ($(started_that_run | wc -l) processes)."
		return 0
	fi
	build_programs
	refuse_taken_ports
	mkdir -p $directory
	: >$state
	STATE_FILE=$state
	trap undo EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP PIPE
	start_seeds $directory && start_peers "$1" $directory || exit 1
	trap - EXIT INT TERM HUP PIPE
	status
	echo 'bin/peer joins it, scripts/network.sh down stops it.'
}

status() {
	local line pid ticks role name log list ended=0
	load
	if none_runs; then
		echo 'The network is not up.'
		return 3
	fi
	for line in "${STARTED[@]}"; do
		read -r pid ticks role name log <<<"$line"
		if proc_is "$pid" "$ticks"; then
			echo "$role $name  pid $pid  ${log#"$PWD/"}"
		else
			echo "$role $name  has ended  ${log#"$PWD/"}"
			ended=1
		fi
	done
	while read -r list; do
		[ -z "$list" ] ||
			echo "seed $(json_field seed <<<"$list") knows $(json_field count <<<"$list") peers"
	done <<<"$(seed_lists)"
	return $ended
}

down() {
	load
	if ! stop_started; then
		echo 'Some processes do not end; see scripts/network.sh status' >&2
		return 1
	fi
	rm -f $state $directory/*.err
	echo 'The network is down.'
}

peers=5
command=${1-}
[ $# = 0 ] || shift
if [ "$command" = up ] && [ "${1-}" = --peers ]; then
	peers=${2-}
	need_number "$1" "$peers" 1000
	shift 2
fi
[ $# = 0 ] || usage
case $command in
up) up "$peers" ;;
status) status ;;
down) down ;;
-h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" ;;
*) usage ;;
esac
