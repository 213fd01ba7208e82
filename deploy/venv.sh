#!/bin/sh
# Makes the virtual environment that the .deb and the RPM hold:
#
#   venv.sh PYTHON PIP_PYTHON WHEEL CONSTRAINTS ROOT HOME
#
#   PYTHON       the one that it is for, as it is called where it will run: /usr/bin/python3.11
#   PIP_PYTHON   one that has pip from 22.3 on; it may be another
#   WHEEL        of pacemaker-bundle-exporter
#   CONSTRAINTS  the versions of what it needs
#   ROOT HOME    it is made in ROOT/HOME, to be found in /HOME later
set -eu
[ $# = 6 ] || { echo 'usage: venv.sh PYTHON PIP_PYTHON WHEEL CONSTRAINTS ROOT HOME' >&2; exit 2; }

name=pacemaker-bundle-exporter
python=$1 pip=$2 wheel=$3 constraints=$4 root=$5 home=$6
venv=$root$home
umask 022

"$python" -m venv --without-pip "$venv"
"$pip" -m pip --quiet --disable-pip-version-check --python "$venv/bin/python" \
    install --no-compile --constraint "$constraints" "$wheel"

# Scripts know where they were made, and of them one is wanted. -s and -P: nothing of the user's or
# of the current directory is imported.
sed -i "1s|.*|#!$home/bin/python3 -sP|" "$venv/bin/$name"
find "$venv/bin" -mindepth 1 ! -name "$name" -delete
ln -s "$(realpath --canonicalize-missing --relative-to="$home/bin" "$python")" "$venv/bin/python3"
printf 'home = %s\ninclude-system-site-packages = false\n' "$(dirname "$python")" >"$venv/pyvenv.cfg"
rm -rf "${venv:?}/include" "${venv:?}/lib64"

site=$(echo "$venv"/lib/python3.*/site-packages)
# They tell where files came from and where they were put, which is elsewhere now.
rm -f "$site"/*.dist-info/direct_url.json "$site"/*.dist-info/RECORD "$site"/*.dist-info/REQUESTED
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$root" "$venv/lib"
find "$site" -name '*.so' -exec strip --strip-unneeded {} + 2>/dev/null || true
