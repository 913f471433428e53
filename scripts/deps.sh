#!/usr/bin/env bash
# Installs what building needs and this machine has not got.
#
# usage: scripts/deps.sh [--test | --bench]
#   --test   also what scripts/test.sh needs: cmocka, pytest, clang with the
#            runtimes of its sanitizers and llvm-cov, ip and nft for networks
#            of its own; on Debian dpkg-source, for the source of cJSON
#   --bench  also what scripts/bench.sh cannot do without: python3
#
# Says nothing and changes nothing when all is there. Installs with apt-get,
# dnf, apk or pacman, as root or through sudo; elsewhere it says what to
# install. exit status: 0 all is there, 1 something is missing, 2 wrong usage.
set -euo pipefail
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # dpkg insists on them

# thing       apt                         dnf                      apk                     pacman
BUILD_TABLE='
cc            gcc,libc6-dev               gcc,glibc-devel          gcc,musl-dev            gcc
make          make                        make                     make                    make
pkg-config    pkg-config                  pkgconf-pkg-config       pkgconf                 pkgconf
libcjson      libcjson-dev                cjson-devel              cjson-dev               cjson
inih          libinih-dev                 inih-devel               inih-dev                libinih
libsodium     libsodium-dev               libsodium-devel          libsodium-dev           libsodium
uthash        uthash-dev                  uthash-devel             uthash-dev              uthash
'
BENCH_TABLE='
python3       python3                     python3                  python3                 python
'
TEST_TABLE='
cmocka        libcmocka-dev               libcmocka-devel          cmocka-dev              cmocka
pytest        python3,python3-pytest      python3,python3-pytest   python3,py3-pytest      python,python-pytest
clang         clang                       clang                    clang                   clang
llvm-cov      llvm                        llvm                     llvm                    llvm
gcc-runtimes  gcc                         gcc,libasan,libubsan     gcc                     gcc
clang-runtimes clang-runtimes             compiler-rt              compiler-rt             compiler-rt
ip            iproute2                    iproute                  iproute2                iproute2
nft           nftables                    nftables                 nftables                nftables
dpkg-source   dpkg-dev                    -                        -                       -
'

say() { printf 'deps: %s\n' "$*" >&2; }

die() {
	say "$@"
	exit 1
}

# compiles COMPILER [FLAG...]: can it make a program with these flags?
compiles() {
	local out rc=0
	command -v "$1" >/dev/null || return 1
	out=$(mktemp)
	printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' |
		"$@" -x c - -o "$out" 2>/dev/null || rc=1
	rm -f "$out"
	return $rc
}

have() {
	case $1 in
	cc) compiles "${CC:-cc}" ;;
	make) command -v make >/dev/null ;;
	pkg-config) command -v pkg-config >/dev/null ;;
	uthash) # has no .pc file
		[ -e /usr/include/uthash.h ] ||
			printf '#include <uthash.h>\n' |
			"${CC:-cc}" -E - >/dev/null 2>&1 ;;
	pytest) test_python >/dev/null ;;
	llvm-cov) command -v "$(clang -print-prog-name=llvm-cov)" >/dev/null ;;
	clang | ip | nft | python3) command -v "$1" >/dev/null ;;
	dpkg-source) # of Debian alone
		! command -v apt-get >/dev/null ||
			command -v dpkg-source >/dev/null ;;
	gcc-runtimes) compiles gcc -fsanitize=address,undefined ;;
	clang-runtimes)
		compiles clang -fsanitize=address,undefined &&
			compiles clang -fsanitize=thread ;;
	*) pkg-config --exists "$1" 2>/dev/null ;;
	esac
}

# missing TABLE: the lines of the table whose thing is not there.
missing() {
	local thing rest
	while read -r thing rest; do
		[ -z "$thing" ] || have "$thing" || echo "$thing $rest"
	done <<<"$1"
}

# packages COLUMN LINES: their package names in one column, commas to spaces.
packages() {
	awk -v n="$1" '{ gsub(",", " ", $n); print $n }' <<<"$2" | tr '\n' ' '
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@" # nobody is there to type a password
	fi
}

# Debian names the runtimes by clang's version; older releases have them in
# libclang-common-N-dev.
clang_runtime_package() {
	local major
	major=$(clang -dumpversion | cut -d. -f1)
	if apt-cache show "libclang-rt-$major-dev" >/dev/null 2>&1; then
		echo "libclang-rt-$major-dev"
	else
		echo "libclang-common-$major-dev"
	fi
}

apt_install() {
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y
		-o DPkg::Lock::Timeout=300)
	as_root "${apt[@]}" update || say 'apt-get update failed, going on'
	local names=${*/clang-runtimes/}
	# shellcheck disable=SC2086 # a list of names
	[ -z "${names// /}" ] ||
		as_root "${apt[@]}" install --no-install-recommends $names ||
		return 1
	if [[ " $* " == *' clang-runtimes '* ]]; then
		as_root "${apt[@]}" install --no-install-recommends \
			"$(clang_runtime_package)"
	fi
}

# install COLUMN PACKAGE...: with the package manager of that column.
install() {
	local column=$1
	shift
	case $column in
	2) apt_install "$@" ;;
	3) as_root dnf install -y "$@" ;;
	4) as_root apk add "$@" ;;
	5) as_root pacman -Sy --noconfirm --needed "$@" ;;
	esac
}

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(uname -s)" = Linux ] || die "Seed and Peer runs on Linux only"
table=$BUILD_TABLE
case ${1-} in
'') ;;
--test) table+=$TEST_TABLE ;;
--bench) table+=$BENCH_TABLE ;;
*)
	say "usage: scripts/deps.sh [--test | --bench]"
	exit 2
	;;
esac

lacking=$(missing "$table")
[ -n "$lacking" ] || exit 0

column=0 n=1
for manager in apt-get dnf apk pacman; do
	n=$((n + 1))
	if command -v $manager >/dev/null; then
		column=$n
		break
	fi
done
things=$(awk '{ print $1 }' <<<"$lacking" | tr '\n' ' ')
[ $column != 0 ] || die "please install: $things"
read -ra names <<<"$(packages $column "$lacking")"
shown=${names[*]}
if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
	die "please install as root: ${shown//clang-runtimes/libclang-rt-dev}"
fi

say "installing ${shown//clang-runtimes/its runtimes} with $manager (a minute or two)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install $column "${names[@]}" >"$log" 2>&1; then
	tail -n 15 "$log" >&2
	die "could not install: ${names[*]}"
fi
hash -r
lacking=$(missing "$table")
[ -z "$lacking" ] ||
	die "installed, but still not usable: $(awk '{ print $1 }' <<<"$lacking" | tr '\n' ' ')"
