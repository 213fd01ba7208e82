#!/bin/sh
# Builds the Debian package: build.sh PYTHON WHEEL DIRECTORY
#
#   PYTHON     one that has pip from 22.3 on, which need not be the system's
#   WHEEL      of pacemaker-bundle-exporter
#   DIRECTORY  where the package goes
#
# It holds a virtual environment for the Python of this machine: build it on the release that it
# is for. SOURCE_DATE_EPOCH is its date (else the last commit's, else now), DEBFULLNAME and DEBEMAIL
# are who answers for it.
set -eu
[ $# = 3 ] || { echo 'usage: build.sh PYTHON WHEEL DIRECTORY' >&2; exit 2; }

name=pacemaker-bundle-exporter
here=$(cd "$(dirname "$0")" && pwd)
source=$here/../..
pip=$1 wheel=$2 directory=$3
python=/usr/bin/python3
umask 022

: "${SOURCE_DATE_EPOCH:=$(git -C "$source" log -1 --format=%ct 2>/dev/null || date +%s)}"
export SOURCE_DATE_EPOCH
version=$(basename "$wheel" | cut -d- -f2)-1
x=$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")')
next=${x%.*}.$((${x#*.} + 1))
architecture=$(dpkg --print-architecture)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/$name
home=/usr/lib/$name
venv=$root$home
doc=$root/usr/share/doc/$name
mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/usr/share" "$doc" "$directory"

"$source/deploy/venv.sh" "/usr/bin/python$x" "$pip" "$wheel" "$source/constraints.txt" "$root" "$home"

# --- where Debian wants the rest --------------------------------------------------------------

ln -s "../lib/$name/bin/$name" "$root/usr/bin/$name"
cp -r "$venv/share/." "$root/usr/share/"
rm -rf "$venv/share"
mkdir -p "$root/usr/share/zsh/vendor-completions"
mv "$root/usr/share/zsh/site-functions"/* "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
gzip -9n "$root/usr/share/man/man1/$name.1"
install -D -m 644 "$here/default" "$root/etc/default/$name"
install -D -m 644 "$here/lintian-overrides" "$root/usr/share/lintian/overrides/$name"
install -D -m 644 "$here/../systemd/$name.service" "$root/lib/systemd/system/$name.service"
install -D -m 644 "$here/../systemd/sysusers.conf" "$root/usr/lib/sysusers.d/$name.conf"

maintainer="${DEBFULLNAME:-The authors of $name} <${DEBEMAIL:-packages@example.org}>"
changes() {
    cat <<END
$name ($version) unstable; urgency=medium

  * See CHANGELOG.md in this directory.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
}
changes | gzip -9n >"$doc/changelog.Debian.gz"
gzip -9nc "$source/CHANGELOG.md" >"$doc/changelog.gz"
# The documents, among what they link to.
install -m 644 "$source"/*.md "$doc/"
install -D -m 644 -t "$doc/docs" "$source"/docs/*
ln -s "../../$name/deploy" "../../$name/grafana" "$doc/"
ln -s copyright "$doc/LICENSE"
"$python" "$here/copyright.py" "$venv/lib/python$x/site-packages" >"$doc/copyright"

# --- control ----------------------------------------------------------------------------------

cat >"$root/DEBIAN/control" <<END
Package: $name
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Section: net
Priority: optional
Installed-Size: $(du -sk --apparent-size "$root" | cut -f1)
Depends: python3 (>= $x), python3 (<< $next), libc6 (>= 2.28), systemd | systemd-standalone-sysusers | systemd-sysusers
Recommends: pacemaker-cli-utils
Suggests: prometheus
Description: Prometheus exporter for Pacemaker clusters and their bundles
 Asks crm_mon what operators ask "pcs status", and tells Prometheus how many
 replicas of each bundle are configured, running and ready, in which role, on
 which host, and what is wrong with them.
 .
 It runs on each node of a cluster, as an unprivileged user in group haclient.
 It never changes the cluster, and writes nothing to disk.
END
echo "/etc/default/$name" >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "$here/$script" "$root/DEBIAN/$script"
done
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z |
    xargs -0 md5sum) >"$root/DEBIAN/md5sums"

find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$directory/${name}_${version}_$architecture.deb"
