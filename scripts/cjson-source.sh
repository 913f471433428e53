#!/usr/bin/env bash
# The source of the cJSON that is installed, so that a fuzzer sees inside of it.
#
# usage: scripts/cjson-source.sh DIRECTORY
#
# Puts cJSON.c and cJSON.h of Debian's source package, with Debian's patches,
# into DIRECTORY, unless they are there. Needs apt-get and dpkg-source; changes
# nothing on the machine: lists and downloads are private, and derived from
# the repositories that apt knows (which often name no sources). No root.
# exit status: 0 they are there, 1 not to be had (one line says why), 2 usage.
set -euo pipefail

if [ $# != 1 ]; then
	echo 'usage: scripts/cjson-source.sh DIRECTORY' >&2
	exit 2
fi
to=$1
[ ! -e "$to/cJSON.c" ] || exit 0

no() {
	printf 'cjson-source: no source of cJSON: %s\n' "$*" >&2
	exit 1
}

for tool in apt-get dpkg-source dpkg-query; do
	command -v $tool >/dev/null || no "there is no $tool"
done
version=$(dpkg-query -W -f '${source:Version}' libcjson1 2>/dev/null) ||
	no 'libcjson1 is not a package of this system'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"

# Every place that apt takes packages from, asked for its sources.
key=
for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
	[ ! -e $file ] || key="[signed-by=$file] "
done
apt-get indextargets --format '$(ORIGIN) $(SITE) $(RELEASE) $(COMPONENT)' \
	'Created-By: Packages' 2>/dev/null | sort -u |
	while read -r origin place; do
		[ "$origin" = Debian ] || key=
		echo "deb-src $key$place"
	done >"$work/sources.list"

apt=(apt-get -q -o "Dir::Etc::sourcelist=$work/sources.list"
	-o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists"
	-o "Dir::Cache=$work/cache" -o APT::Sandbox::User=
	-o Acquire::http::Timeout=20 -o Acquire::Retries=1)
cd "$work"
"${apt[@]}" update >log 2>&1 || no "$(tail -n 1 log)"
compgen -G 'lists/*_Sources*' >list || no "$(grep -m 1 '^[EW]:' log)"
"${apt[@]}" --download-only source "cjson=$version" >log 2>&1 ||
	no "$(tail -n 1 log)"
dpkg-source -x cjson_*.dsc source >log 2>&1 || no "$(tail -n 1 log)"
cd - >/dev/null
mkdir -p "$to"
cp "$work/source/cJSON.h" "$to/"
cp "$work/source/cJSON.c" "$to/" # last: it says that all is there
