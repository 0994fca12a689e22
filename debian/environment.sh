#!/bin/sh
# Make the environment that the package carries.
#
# environment.sh wheels FROM TO      take or build the wheels of all that is needed into TO; from FROM alone, if it
#                                    holds any
# environment.sh vendor TO           take the wheels of all that is bundled, and of what builds it
# environment.sh install WHEELS DESTDIR HOME
#                                    install them below DESTDIR, to be used at HOME
set -eu

python=$(readlink -f /usr/bin/python3)  # the very release that the environment is good for, as in python3.11
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
    # By name: of a file, pip would note down where it was.
    $pip --python "$environment/bin/python" install --quiet --no-compile --no-index --find-links "$wheels" "finger$EXTRAS"
    # Where the administrator's own back ends are, if there are any.
    echo "/usr/local${home#/usr}" >"$packages/local.pth"
    trim
    relocate
    noteDownPlugins
    if grep -rlF "$destdir" "$environment"; then
        echo "these files name the directory they were built in" >&2
        exit 1
    fi
}

# Leave out what nobody runs: other commands, the libraries' own tests, what pip needs to uninstall.
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

# Have nothing depend on where it was built, on the current directory or on PYTHON* variables (-I), and no byte code
# written late (-B): the package compiles it when it is installed.
relocate() {
    ln -sf "$python" "$environment/bin/python3"  # dh_link makes it relative
    ln -sf python3 "$environment/bin/python"
    sed -i '/^command = /d' "$environment/pyvenv.cfg"
    sed -i "1s|.*|#!$home/bin/python -IB|" "$environment"/bin/twist*
    # Files of libraries are no commands.
    grep -rlZ '^#!' --include='*.py' "$packages" | xargs -0 -r sed -i '1{/^#!/d}'
    find "$packages" -type f -exec chmod 644 {} +
}

# Twisted notes down which plugins there are, as soon as it is asked; installed, it could not write, or would leave a
# file behind.  It believes its notes if the plugins are older, which times that are cut off at the package's are not.
noteDownPlugins() {
    "$environment/bin/python" -IB debian/plugins.py
    find "$packages/twisted/plugins" -name '*.py' -exec touch -d "@$((SOURCE_DATE_EPOCH - 60))" {} +
    touch -d "@$SOURCE_DATE_EPOCH" "$packages/twisted/plugins/dropin.cache"
}

"$@"
