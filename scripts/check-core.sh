#!/usr/bin/env bash
# The core decides and touches nothing: fails if an object of base, wire or
# core imports a symbol that is neither defined in these three rooms nor on the
# short list below (no socket, clock, thread, file, environment, printing).
#
# usage: scripts/check-core.sh [BUILD]     default build; `make pure` first
#        scripts/check-core.sh --self-test
#
# Foreign libraries: cJSON only in wire/codec.o, inih only in base/config*.o,
# libsodium only in base/crypto.o. Judges plain builds of gcc or clang, for a
# sanitizer imports what it likes.
# exit status: 0 pure, 1 a breach (each is printed), 2 wrong usage or no build.
set -euo pipefail

# Memory, strings, numbers, sorting, and two pure functions of the network
# library. Regular expressions, matched whole.
ALLOWED='
malloc calloc realloc free
memcpy memmove memset memcmp bcmp memchr memrchr memmem
strlen strnlen strcmp strncmp strcasecmp strncasecmp strchr strrchr strstr
strcspn strspn strpbrk strcpy stpcpy strdup strndup strtok_r
strtod strtol strtoll strtoul strtoull __isoc23_strto[a-z]+
snprintf vsnprintf qsort bsearch
inet_pton inet_ntop htons ntohs htonl ntohl
isdigit isalnum isalpha isspace isxdigit isprint tolower toupper
__ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc
__errno_location ___errno abort __assert_fail
__stack_chk_fail __stack_chk_guard _GLOBAL_OFFSET_TABLE_
__(mem|str|v?snprintf)[a-z]*_chk
__(popcount|clz|ctz|ffs|bswap|parity)[sdt]i2
__(u?div|u?mod|u?divmod|mul|ashl|ashr|lshr)[sdt]i[34]
'

# room/name.o and what it alone may import.
foreign() {
	case $1 in
	wire/codec.o) echo 'cJSON_[A-Za-z0-9_]+' ;;
	base/config*.o) echo 'ini_[a-z_]+' ;;
	base/crypto.o) echo '(sodium|crypto|randombytes)(_[a-z0-9_]+)?' ;;
	esac
}

# check BUILD SOURCE: prints every breach. Objects whose source is gone do not
# count, sources without an object do.
check() {
	local build=$1 source=$2 file object own pattern symbols symbol bad=0
	local objects=()
	for file in "$source"/{base,wire,core}/*.c; do
		[ -e "$file" ] || continue
		object=${file#"$source/"}
		object=${object%.c}.o
		if [ ! -e "$build/$object" ]; then
			echo "check-core: $build/$object is not there; make pure BUILD=$build" >&2
			return 2
		fi
		objects+=("$object")
	done
	if [ ${#objects[@]} = 0 ]; then
		echo "check-core: no sources under $source" >&2
		return 2
	fi
	if nm -P "${objects[@]/#/$build/}" | grep -qE '^__(asan|tsan|ubsan|msan)_'; then
		echo "check-core: $build was built with a sanitizer" >&2
		return 2
	fi
	own=$(nm -P "${objects[@]/#/$build/}" | awk '$2 ~ /^[TDBRVWC]$/ { print $1 }' | sort -u)
	for object in "${objects[@]}"; do
		# shellcheck disable=SC2086 # words on purpose
		pattern=$(printf '%s\n' $ALLOWED "$(foreign "$object")" | grep . | paste -sd '|')
		symbols=$(nm -P "$build/$object" | awk '$2 ~ /^[Uvw]$/ { print $1 }' |
			sed 's/@.*//' | sort -u | comm -23 - <(echo "$own") |
			grep -vxE "$pattern" || :)
		[ -z "$symbols" ] || bad=1
		for symbol in $symbols; do
			echo "check-core: ${object%.o}.c may not use $symbol"
		done
	done
	return $bad
}

# A small tree that is fine, then one breach after the other put into it.
self_test() {
	local cc=${CC:-cc} tree failed=0 room noun want code
	tree=$(mktemp -d)
	# shellcheck disable=SC2064 # the name as it is now
	trap "rm -rf '$tree'" EXIT
	expect() { # WANT NAME
		local got=0
		check "$tree/build" "$tree/src" >"$tree/said" 2>&1 || got=$?
		if [ $got != "$1" ] || { [ -n "$3" ] && ! grep -qw "$3" "$tree/said"; }; then
			echo "check-core: self-test: $2: status $got, not $1" >&2
			failed=1
		fi
	}
	compile() { # ROOM NOUN CODE
		mkdir -p "$tree/src/$1" "$tree/build/$1"
		printf '%b\n' "$3" >"$tree/src/$1/$2.c"
		$cc -O2 -w -c -o "$tree/build/$1/$2.o" "$tree/src/$1/$2.c"
	}
	compile base buf '#include <stdlib.h>\nvoid *buf_new(int n) { return malloc(n); }'
	compile core node '#include <string.h>\nvoid *buf_new(int);\nvoid *node_new(char *s) { return buf_new(strlen(s)); }'
	compile wire codec 'void *cJSON_Parse(char *s);\nvoid *codec(char *s) { return cJSON_Parse(s); }'
	expect 0 'a pure tree' ''
	while read -r room noun want code; do
		compile "$room" "$noun" "$code"
		expect 1 "$want in $room" "$want"
		rm "$tree/src/$room/$noun.c"
	done <<-'END'
		core a time long time(long *);\nlong a(void) { return time(0); }
		core b socket int socket(int, int, int);\nint b(void) { return socket(1, 1, 1); }
		base c printf int printf(const char *, ...);\nint c(int n) { return printf("%d", n); }
		base d getenv char *getenv(char *);\nchar *d(void) { return getenv("A"); }
		wire e pthread_create int pthread_create();\nint e(void) { return pthread_create(); }
		core f cJSON_Parse void *cJSON_Parse(char *);\nvoid *f(char *s) { return cJSON_Parse(s); }
		core g crypto_generichash int crypto_generichash();\nint g(void) { return crypto_generichash(); }
		wire h clock_now_ms long clock_now_ms(void);\nlong h(void) { return clock_now_ms(); }
		core i stderr extern void *stderr;\nvoid *i(void) { return stderr; }
	END
	expect 0 'the pure tree again' ''
	rm "$tree/build/base/buf.o"
	expect 2 'an object is missing' ''
	[ $failed = 0 ] && echo 'check-core: self-test passed'
}

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
case $# in
0) check build src ;;
1)
	case $1 in
	--self-test) self_test ;;
	-*) echo 'usage: scripts/check-core.sh [BUILD | --self-test]' >&2 && exit 2 ;;
	*) check "$1" src ;;
	esac
	;;
*) echo 'usage: scripts/check-core.sh [BUILD | --self-test]' >&2 && exit 2 ;;
esac
