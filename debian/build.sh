#!/bin/sh
# Build the package of this checkout in a directory, unless it was built from the same files before.
#
# sh debian/build.sh DIRECTORY
set -eu

for needed in dpkg-buildpackage=dpkg-dev dh=debhelper dh_python3=dh-python; do
    command -v "${needed%=*}" >/dev/null || missing="${missing-} ${needed#*=}"
done
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing="${missing-} python3-venv"
if [ -n "${missing-}" ]; then
    echo "the Debian package cannot be built: install the missing tools with 'sudo apt install$missing'" >&2
    exit 1
fi

mkdir -p "$1"
target=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
source=$work/twisted-finger-$(dpkg-parsechangelog --show-field Version)

# Copy what a clean checkout has, by the list that source packages use.  Hash the files that become the package.
mkdir "$source"
sed -n 's/^tar-ignore = //p' debian/source/options |
    tar --create --exclude-vcs --exclude-from=- . | tar --extract --directory "$source"
hash=$(cd "$source" && find . \( -path ./tests -o -path ./tutorial \) -prune -o -type f -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
if [ "$hash" = "$(cat "$target/built-from" 2>/dev/null)" ]; then
    exit 0
fi

if ! (cd "$source" && dpkg-buildpackage --unsigned-source --unsigned-changes) >"$work/log" 2>&1; then
    tail -n 40 "$work/log" >&2
    exit 1
fi
rm -f "$target"/twisted-finger_* "$target/built-from"
cp "$work"/twisted-finger_* "$target"
echo "$hash" >"$target/built-from"
