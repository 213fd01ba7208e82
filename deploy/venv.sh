#!/bin/sh
# Creates the virtual environment that the .deb and the RPM contain:
#
#   venv.sh PYTHON PIP_PYTHON WHEEL CONSTRAINTS ROOT HOME
#
#   PYTHON       path of the Python on the machine where it will run, such as /usr/bin/python3.11
#   PIP_PYTHON   a Python with pip 22.3 or newer; it can differ from PYTHON
#   WHEEL        wheel of pacemaker-bundle-exporter
#   CONSTRAINTS  constraints file with the versions of the dependencies
#   ROOT HOME    build directory and final path: created in ROOT/HOME, installed in /HOME
set -eu
[ $# = 6 ] || { echo 'usage: venv.sh PYTHON PIP_PYTHON WHEEL CONSTRAINTS ROOT HOME' >&2; exit 2; }

name=pacemaker-bundle-exporter
python=$1 pip=$2 wheel=$3 constraints=$4 root=$5 home=$6
venv=$root$home
umask 022

"$python" -m venv --without-pip "$venv"
"$pip" -m pip --quiet --disable-pip-version-check --python "$venv/bin/python" \
    install --no-compile --constraint "$constraints" "$wheel"

# Scripts contain the path of the build directory. Keep only one script and correct its path. -s and -P
# prevent imports from the user's site-packages and the current directory.
sed -i "1s|.*|#!$home/bin/python3 -sP|" "$venv/bin/$name"
find "$venv/bin" -mindepth 1 ! -name "$name" -delete
ln -s "$(realpath --canonicalize-missing --relative-to="$home/bin" "$python")" "$venv/bin/python3"
printf 'home = %s\ninclude-system-site-packages = false\n' "$(dirname "$python")" >"$venv/pyvenv.cfg"
rm -rf "${venv:?}/include" "${venv:?}/lib64"

site=$(echo "$venv"/lib/python3.*/site-packages)
# These files contain paths of the build directory.
rm -f "$site"/*.dist-info/direct_url.json "$site"/*.dist-info/RECORD "$site"/*.dist-info/REQUESTED
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$root" "$venv/lib"
find "$site" -name '*.so' -exec strip --strip-unneeded {} + 2>/dev/null || true
