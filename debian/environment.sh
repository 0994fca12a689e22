#!/bin/sh
# Make the Python environment of the package.
#
# environment.sh wheels FROM TO      collect the wheels of finger and all it needs in TO; if FROM has wheels, use no
#                                    others
# environment.sh vendor TO           collect the wheels of the bundled libraries and of the build tools in TO
# environment.sh install WHEELS DESTDIR HOME
#                                    install the wheels below DESTDIR, for use at HOME
set -eu

python=$(readlink -f /usr/bin/python3)  # with the release that the environment is for, as in python3.11
pip="$TOOLS/bin/python -m pip --disable-pip-version-check --no-cache-dir"

wheels() {
    from=$1 to=$2
    if ls "$from"/*.whl >/dev/null 2>&1; then
        export PIP_NO_INDEX=1 PIP_FIND_LINKS="$from"
    fi
    $python -m venv "$TOOLS"
    $pip install --quiet --constraint debian/constraints.txt hatchling
    $pip wheel --quiet --no-build-isolation --constraint debian/constraints.txt --wheel-dir "$to" ".$EXTRAS"
}

vendor() {
    $python -m venv "$TOOLS"
    $pip wheel --quiet --constraint debian/constraints.txt --wheel-dir "$1" hatchling ".$EXTRAS"
    rm "$1"/finger-*.whl
}

install() {
    wheels=$1 destdir=$2 home=$3
    environment=$destdir$home
    packages=$environment/lib/${python##*/}/site-packages
    $python -m venv --without-pip "$environment"
    # By name, because pip would record the path of a file.
    $pip --python "$environment/bin/python" install --quiet --no-compile --no-index --find-links "$wheels" "finger$EXTRAS"
    # The place for back ends that the administrator installs.
    echo "/usr/local${home#/usr}" >"$packages/local.pth"
    trim
    relocate
    cachePlugins
    if grep -rlF "$destdir" "$environment"; then
        echo "these files contain the path of their build directory" >&2
        exit 1
    fi
}

# Remove what the package does not use: other commands, the libraries' own tests, pip's records for uninstalling.
trim() {
    for command in "$environment"/bin/*; do
        case ${command##*/} in
            python | python3 | twistd | twisted-finger | twisted-fingerd) ;;
            *) rm "$command" ;;
        esac
    done
    rm -rf "$environment/include" "$environment/lib64"
    find "$packages" -type d \( -name test -o -name tests -o -name newsfragments -o -name __pycache__ \) -prune -exec rm -rf {} +
    rm -f "$packages"/*.dist-info/RECORD "$packages"/*.dist-info/INSTALLER "$packages"/*.dist-info/REQUESTED
}

# Make the environment independent of its build directory, of the current directory and of PYTHON* variables (-I).
# Commands write no byte code (-B): the package compiles it at installation.
relocate() {
    ln -sf "$python" "$environment/bin/python3"  # dh_link makes it relative
    ln -sf python3 "$environment/bin/python"
    sed -i '/^command = /d' "$environment/pyvenv.cfg"
    sed -i "1s|.*|#!$home/bin/python -IB|" "$environment"/bin/twist*
    # Files of libraries are not commands.
    grep -rlZ '^#!' --include='*.py' "$packages" | xargs -0 -r sed -i '1{/^#!/d}'
    find "$packages" -type f -exec chmod 644 {} +
}

# Twisted caches its list of plugins when it first needs it.  After installation it could not write the cache, or would
# leave a file behind.  It uses a cache that is newer than the plugins, but the package gives all files the same time.
cachePlugins() {
    "$environment/bin/python" -IB debian/plugins.py
    find "$packages/twisted/plugins" -name '*.py' -exec touch -d "@$((SOURCE_DATE_EPOCH - 60))" {} +
    touch -d "@$SOURCE_DATE_EPOCH" "$packages/twisted/plugins/dropin.cache"
}

"$@"
