#!/bin/sh
# Builds the Debian package: build.sh PYTHON WHEEL DIRECTORY
#
#   PYTHON     a Python with pip 22.3 or newer; it can differ from the system's Python
#   WHEEL      wheel of pacemaker-bundle-exporter
#   DIRECTORY  output directory for the package
#
# The package contains a virtual environment for this machine's Python: build it on the Debian release
# on which you will install it. SOURCE_DATE_EPOCH sets its date (default: the last commit, or now).
# DEBFULLNAME and DEBEMAIL set the maintainer.
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

# --- Files in Debian's directories ------------------------------------------------------------

ln -s "../lib/$name/bin/$name" "$root/usr/bin/$name"
cp -r "$venv/share/." "$root/usr/share/"
rm -rf "$venv/share"
mkdir -p "$root/usr/share/zsh/vendor-completions"
mv "$root/usr/share/zsh/site-functions"/* "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
gzip -9n "$root/usr/share/man/man1/$name.1"
install -D -m 644 "$here/default" "$root/etc/default/$name"
install -D -m 644 "$here/lintian-overrides" "$root/usr/share/lintian/overrides/$name"
install -D -m 644 -t "$root/lib/systemd/system" "$here/../systemd/$name.service" \
    "$here/../systemd/$name-corosync.socket" "$here/../systemd/$name-corosync@.service"
install -D -m 755 "$here/../systemd/corosync-reader" "$root/usr/libexec/$name/corosync-reader"
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
# Install the documents so that their relative links work.
install -m 644 "$source"/*.md "$doc/"
install -D -m 644 -t "$doc/docs" "$source"/docs/*.md
install -D -m 644 -t "$doc/docs" "$source"/docs/*
ln -s "../../$name/deploy" "../../$name/grafana" "$doc/"
ln -s copyright "$doc/LICENSE"
"$python" "$here/copyright.py" "$venv/lib/python$x/site-packages" >"$doc/copyright"

# --- Control files ----------------------------------------------------------------------------

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
 Runs crm_mon and reports to Prometheus what "pcs status" shows to operators:
 how many replicas of each bundle are configured, running and ready, their
 roles and hosts, and their failures.
 .
 It runs on each node of a cluster, as an unprivileged user in the group
 haclient. It never changes the cluster and does not write to disk.
END
echo "/etc/default/$name" >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "$here/$script" "$root/DEBIAN/$script"
done
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z |
    xargs -0 md5sum) >"$root/DEBIAN/md5sums"

find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$directory/${name}_${version}_$architecture.deb"
