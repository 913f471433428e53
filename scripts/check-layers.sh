#!/usr/bin/env bash
# Keeps the rooms of the house apart: reads the include lines under include/,
# src/ and tests/sim/, and the lengths of functions.
#
# usage: scripts/check-layers.sh [--self-test]
#
#   room         may include
#   base         base
#   wire         base, wire
#   core         base, core, wire/message.h, wire/frame.h
#   io           base, wire, io
#   seed, peer   all but each other
#   sim          base, wire, core, sim (it has no operating system)
#
# An include line names the room. include/ knows nothing of headers private to
# src/, and no room those of another; but the simulator's checks look inside of
# the core. cJSON is included by src/wire/codec.c,
# inih by src/base/config*.c, libsodium by src/base/crypto.c, and by nobody
# else; base, wire and core include no header of the operating system that is
# about files, clocks, threads or connections. A .c file starts with its own
# header. No function has more than 70 lines; the 90th percentile is printed
# (aim: 35).
# exit status: 0 fine, 1 a breach (each is printed), 2 wrong usage.
set -euo pipefail

LINES_MAX=70
INSPECTOR='tests/sim/check.c core/node_impl.h' # looks inside of the core

sources() {
	find include src tests/sim -name '*.[ch]' 2>/dev/null | sort
}

# allowed ROOM HEADER: HEADER is room/name.h
allowed() {
	case $1:$2 in
	base:base/* | wire:base/* | wire:wire/* | core:base/* | core:core/*) ;;
	core:wire/message.h | core:wire/frame.h) ;;
	io:base/* | io:wire/* | io:io/*) ;;
	seed:peer/* | peer:seed/*) return 1 ;;
	seed:*/* | peer:*/*) ;;
	sim:base/* | sim:wire/* | sim:core/* | sim:sim/*) ;;
	*) return 1 ;;
	esac
}

# foreign_ok FILE HEADER: HEADER as it stands between < and >
foreign_ok() {
	case $2 in
	cJSON.h | */cJSON.h | cJSON_*) [ "$1" = src/wire/codec.c ] ;;
	ini.h | inih/*) [[ $1 = src/base/config*.c ]] ;;
	sodium.h | sodium/*) [ "$1" = src/base/crypto.c ] ;;
	unistd.h | fcntl.h | time.h | poll.h | signal.h | pthread.h | \
		threads.h | netdb.h | dirent.h | sys/socket.h | sys/time.h | \
		sys/stat.h | sys/epoll.h | sys/ioctl.h)
		[[ $1 != */base/* && $1 != */wire/* && $1 != */core/* ]]
		;;
	esac
}

# room_of FILE
room_of() {
	case $1 in
	tests/sim/*) echo sim ;;
	*) cut -d/ -f2 <<<"$1" ;;
	esac
}

# check_own_header FILE FIRST-INCLUDE
check_own_header() {
	local own=${1#src/}
	own=${own%.c}.h
	if [ -e "include/$own" ] || [ -e "src/$own" ]; then
		[ "$2" = "\"$own\"" ] || echo "$1: the first include is not \"$own\""
	fi
}

check_file() {
	local file=$1 room include header first=
	room=$(room_of "$file")
	while read -r include; do
		[ -n "$include" ] || continue
		header=${include:1:-1}
		[ -n "$first" ] || first=$include
		foreign_ok "$file" "$header" ||
			echo "$file: $include belongs to another file"
		[ "${include:0:1}" = '"' ] || continue
		if [[ $header != */* ]]; then
			[ "$room" = sim ] || foreign_name "$header" ||
				echo "$file: $include does not name its room"
		elif ! allowed "$room" "$header"; then
			echo "$file: $room may not include $include"
		elif [ ! -e "include/$header" ] && [ -e "src/$header" ]; then
			[[ $file = src/$room/* && $header = $room/* ]] ||
				[ "$file $header" = "$INSPECTOR" ] ||
				echo "$file: $include is private to its room"
		fi
	done < <(sed -nE 's/^[ \t]*#[ \t]*include[ \t]*(<[^>]*>|"[^"]*").*/\1/p' "$file")
	case $file in
	src/*.c) check_own_header "$file" "$first" ;;
	esac
}

foreign_name() {
	[[ $1 = cJSON.h || $1 = ini.h || $1 = sodium.h || $1 = ut*.h ]]
}

# functions FILE...: "lines name file:line" of each; from the line its head
# begins on to the brace that closes it, both in column 0.
functions() {
	awk '
	FNR == 1 { head = 0; inside = 0 }
	inside && /^}/ {
		print FNR - head + 1, name, FILENAME ":" head
		inside = 0; head = 0; next }
	inside { next }
	/^{/ { if (head) inside = 1; next }
	/^[A-Za-z_]/ && !/;[ \t]*$/ && !/^[a-z]+:/ {
		if (!head) { head = FNR; name = "" } }
	head && name == "" && match($0, /[A-Za-z0-9_]+\(/) {
		name = substr($0, RSTART, RLENGTH - 1) }
	/;[ \t]*$/ || /^[ \t]*$/ || /^#/ || /^}/ || /\*\/[ \t]*$/ { head = 0 }
	' "$@"
}

check_lengths() {
	local all
	# shellcheck disable=SC2046 # names without spaces
	all=$(functions $(sources | grep '\.c$') /dev/null | sort -n)
	[ -n "$all" ] || return 0
	awk -v max=$LINES_MAX '$1 > max {
		print $3 ": " $2 " has " $1 " lines, more than " max }' <<<"$all"
	awk '{ n[NR] = $1; last = $0 } END {
		p50 = int(NR * 0.5 + 0.999); p90 = int(NR * 0.9 + 0.999)
		print "functions: " NR ", median " n[p50] " lines, 90th percentile " \
			n[p90] ", longest " last }' <<<"$all" >&2
}

# check: every breach of the tree in the current directory.
check() {
	local file breaches
	breaches=$(
		while read -r file; do
			check_file "$file"
		done < <(sources)
		check_lengths
	)
	[ -z "$breaches" ] && return 0
	printf '%s\n' "$breaches"
	return 1
}

# A small tree that is fine, then one breach after the other put into it.
self_test() {
	local tree failed=0 file want text
	tree=$(mktemp -d)
	# shellcheck disable=SC2064 # the name as it is now
	trap "rm -rf '$tree'" EXIT
	cd "$tree"
	expect() { # WANT-STATUS NAME TEXT-SAID
		local got=0
		check >said 2>said.lengths || got=$?
		if [ $got != "$1" ] || { [ -n "$3" ] && ! grep -qF "$3" said; }; then
			echo "check-layers: self-test: $2: status $got, not $1" >&2
			cat said >&2
			failed=1
		fi
	}
	mkdir -p {include,src}/{base,wire,core,io,seed,peer} tests/sim
	echo '#include <stddef.h>' | tee include/base/buf.h include/wire/frame.h \
		include/wire/message.h include/wire/codec.h include/core/node.h \
		include/io/link.h src/core/node_impl.h src/io/link_impl.h \
		>src/seed/service.h
	printf '#include "core/node.h"\n#include "core/node_impl.h"\n' >src/core/node.c
	printf '#include "wire/codec.h"\n#include <cjson/cJSON.h>\n' >src/wire/codec.c
	printf '#include "io/link.h"\n#include <poll.h>\n#include "wire/frame.h"\n' >src/io/link.c
	printf '#include "core/node.h"\n#include "io/link.h"\n' >src/peer/main.c
	{
		printf '/* a */\nstatic int\nlong_one(int a,\n\tint b)\n{\n'
		printf '\ta += %d;\n' {1..64}
		printf '\treturn a;\n}\n'
	} >src/base/long.c
	expect 0 'a clean tree' ''
	grep -q 'longest 70 long_one src/base/long.c:2' said.lengths ||
		{ echo 'check-layers: self-test: lengths' >&2 && failed=1; }
	while read -r file want text; do
		printf '%b' "$text" >"$file"
		expect 1 "$text in $file" "$want"
		rm "$file"
	done <<-'END'
		src/base/a.c wire/frame.h #include "wire/frame.h"\n
		include/base/a.h core/node.h #include "core/node.h"\n
		src/wire/a.c core/node.h #include "core/node.h"\n
		src/core/a.c wire/codec.h #include "wire/codec.h"\n
		src/core/b.c io/link.h   # include "io/link.h" // why\n
		src/io/a.c core/node.h #include "core/node.h"\n
		src/io/b.c seed/service.h #include "seed/service.h"\n
		src/peer/a.c seed/service.h #include "seed/service.h"\n
		src/peer/b.c private #include "core/node_impl.h"\n
		src/seed/a.c private #include "io/link_impl.h"\n
		include/core/b.h private #include "core/node_impl.h"\n
		src/core/c.c cJSON #include <cjson/cJSON.h>\n
		src/io/c.c sodium #include <sodium.h>\n
		src/peer/c.c ini.h #include "ini.h"\n
		src/core/d.c time.h #include <time.h>\n
		src/io/d.c room #include "link.h"\n
		tests/sim/a.c io/link.h #include "io/link.h"\n
		src/seed/service.c first #include "base/buf.h"\n#include "seed/service.h"\n
	END
	sed -i 's/^	return a;/\n&/' src/base/long.c
	expect 1 'a function of 71 lines' 'long_one has 71 lines'
	[ $failed = 0 ] && echo 'check-layers: self-test passed'
}

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
case $#${1-} in
0) check ;;
1--self-test) self_test ;;
*)
	echo 'usage: scripts/check-layers.sh [--self-test]' >&2
	exit 2
	;;
esac
