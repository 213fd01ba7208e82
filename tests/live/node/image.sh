#!/bin/bash
# Makes the image of all bundles from Debian packages, in the store that is the only argument. The
# Debian below them becomes docker.io/library/debian:12-slim, on which images can be built without a
# registry.
#
# pacemaker-remote conflicts with the pacemaker of the machine, hence mmdebstrap and not the
# machine's own files. pacemaker-cli-utils: agents set promotion scores with its crm_attribute;
# without it nothing is ever promoted. force-filesystem-sockets: a container shares the network of
# its node, where the abstract sockets of libqb would clash with those of the node's Pacemaker.
set -euo pipefail
store=$1
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$store"

for sources in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
    [ ! -s "$sources" ] || break
done
packages=pacemaker-remote,pacemaker-cli-utils,pacemaker-resource-agents,resource-agents
packages=$packages,procps,busybox-static,catatonit
without_docs=(--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*'
    --dpkgopt='path-exclude=/usr/share/locale/*')
# shellcheck disable=SC2016 # $1 is mmdebstrap's
hook='mkdir -p "$1/etc/libqb" "$1/var/www"; touch "$1/etc/libqb/force-filesystem-sockets"
    echo ok >"$1/var/www/index.html"'
base=$temporary/base.tar
keep="tar -C \"\$1\" --one-file-system --exclude=./var/cache/apt -cf $base ."

# setsid: a mmdebstrap that fails ends its whole process group.
# Podman leaves a mount, locks and a cache: not in a mount namespace of its own.
# shellcheck disable=SC2016 # $1 and $2 are the inner shell's
TMPDIR=$temporary setsid --wait mmdebstrap --quiet --mode=root --variant=apt --format=tar \
    --include="$packages" "${without_docs[@]}" --essential-hook="$keep" --customize-hook="$hook" \
    bookworm - "$sources" |
    unshare --mount --propagation private bash -euc '
        mkdir -p /var/lib/containers
        mount -t tmpfs shm /dev/shm
        mount -t tmpfs cache /var/lib/containers
        podman() {
            command podman --root "$1" --runroot "$2/run" --tmpdir "$2/tmp" \
                --storage-driver overlay --events-backend file "${@:3}"
        }
        podman "$1" "$2" import - cluster.common.tag/haproxy:pcmklatest
        for name in rabbitmq mariadb redis; do
            podman "$1" "$2" tag \
                cluster.common.tag/haproxy:pcmklatest "cluster.common.tag/$name:pcmklatest"
        done
        podman "$1" "$2" tag \
            cluster.common.tag/redis:pcmklatest cluster.common.tag/redis:pcmknext
        podman "$1" "$2" import "$2/base.tar" docker.io/library/debian:12-slim
    ' import "$store" "$temporary" >/dev/null
