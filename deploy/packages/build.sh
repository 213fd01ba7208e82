#!/bin/sh
# Builds the Debian package and the RPM from the portable exporter: build.sh NFPM ARCHIVE DIRECTORY
#
#   NFPM       path of the program nfpm
#   ARCHIVE    pacemaker-bundle-exporter-VERSION.linux-ARCHITECTURE.tar.gz
#   DIRECTORY  output directory
#
# The packages are for every release with glibc 2.17 or newer. SOURCE_DATE_EPOCH sets their date (default: the last
# commit, or now); DEBFULLNAME and DEBEMAIL set the maintainer.
set -eu
[ $# = 3 ] || { echo 'usage: build.sh NFPM ARCHIVE DIRECTORY' >&2; exit 2; }

name=pacemaker-bundle-exporter
nfpm=$1 archive=$(realpath --no-symlinks "$2")
mkdir -p "$3"
directory=$(realpath "$3")
cd "$(dirname "$0")/../.."
umask 022

: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
VERSION=$(basename "$archive" | sed "s/^$name-//; s/\.linux-.*//")
ARCH=$(basename "$archive" .tar.gz | sed 's/.*\.linux-//')
MAINTAINER="${DEBFULLNAME:-The authors of $name} <${DEBEMAIL:-packages@example.org}>"
export SOURCE_DATE_EPOCH VERSION ARCH MAINTAINER

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir "$tree"
tar -x -z -f "$archive" -C "$tree" --strip-components=1

# stage UNITS ZSH: the files of a package, in the directories of its distributions, below $STAGE
stage() {
    home=$STAGE/usr/lib/$name doc=$STAGE/usr/share/doc/$name
    mkdir -p "$home" "$STAGE/usr/bin" "$doc/docs"
    cp -a "$tree/$name" "$tree/bin" "$tree/lib" "$tree/licenses" "$tree/bom.cdx.json" "$home/"
    cp -a "$tree/share" "$STAGE/usr/"
    mkdir -p "$STAGE/usr/share/zsh/$2"
    [ "$2" = site-functions ] || mv "$STAGE/usr/share/zsh/site-functions"/* "$STAGE/usr/share/zsh/$2/"
    rmdir --ignore-fail-on-non-empty "$STAGE/usr/share/zsh/site-functions"
    gzip -9n "$STAGE/usr/share/man/man1/$name.1"
    ln -s "../lib/$name/$name" "$STAGE/usr/bin/$name"
    install -m 755 deploy/packages/choose-unit "$home/"
    install -D -m 644 -t "$STAGE/$1" deploy/systemd/$name.service \
        "deploy/systemd/$name-corosync.socket" "deploy/systemd/$name-corosync@.service"
    install -D -m 755 deploy/systemd/corosync-reader "$STAGE/usr/libexec/$name/corosync-reader"
    install -D -m 644 deploy/systemd/sysusers.conf "$STAGE/usr/lib/sysusers.d/$name.conf"
    # Install the documents so that their relative links work.
    install -m 644 ./*.md "$doc/"
    install -m 644 docs/* "$doc/docs/"
    ln -s "../../$name/deploy" "../../$name/grafana" "$doc/"
}

package() {
    find "$STAGE" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    "$nfpm" package --config deploy/packages/nfpm.yaml --packager "$1" --target "$directory/"
}

STAGE=$work/deb
export STAGE
# Older releases of Debian look for units only in /lib.
stage lib/systemd/system vendor-completions
gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
gzip -9nc >"$doc/changelog.Debian.gz" <<END
$name ($VERSION-1) unstable; urgency=medium

  * See CHANGELOG.md in this directory.

 -- $MAINTAINER  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
{
    cat deploy/packages/deb/copyright
    sed 's/^$/./; s/^/ /' "$tree/licenses/LIST"
} >"$doc/copyright"
ln -s copyright "$doc/LICENSE"
install -D -m 644 deploy/packages/deb/lintian-overrides "$STAGE/usr/share/lintian/overrides/$name"
package deb

STAGE=$work/rpm
stage usr/lib/systemd/system site-functions
install -m 644 LICENSE "$STAGE/usr/share/doc/$name/"
package rpm
