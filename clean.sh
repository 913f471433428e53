#!/usr/bin/env bash
# Removes what running has left in the checkout that this script lies in.
#
# usage: ./clean.sh [--all]
#   --all   also what was built: bin/ and build/ (a network of
#           scripts/network.sh is stopped first)
#
# Without --all: the logs, bin/servers and bin/clients. Follows no symbolic
# link. exit status: 0 gone, or nothing was there; 1 failed; 2 wrong usage.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

case $#${1-} in
0) what=(bin/servers bin/clients) ;;
1--all) what=(bin build) ;;
*)
	echo 'usage: ./clean.sh [--all]' >&2
	exit 2
	;;
esac
if [ -L bin ]; then
	echo 'clean.sh: bin is a symbolic link; not touched' >&2
	exit 1
fi
[ $# = 0 ] || [ ! -e bin/run/network.pids ] || scripts/network.sh down
# Without a slash at the end rm removes a link itself, and inside of a
# directory it never follows one.
rm -rf -- "${what[@]}"
