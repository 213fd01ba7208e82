#!/bin/bash
# Becomes PID 1 of a node, in network, mount, pid, ipc and uts namespaces of its own. Its root is
# the machine's, read-only, below a layer of its own that outlives a power cut: cluster.py passes
#   NODE      its name
#   DISK      a directory that survives, for that layer and for containers
#   SHARED    hosts, corosync.conf, authkey and the power switch, the same for all nodes
#   IMAGES    podman's store of images
#   EXPORTER  a virtual environment with the exporter
set -euo pipefail
root=$DISK/root
hostname "$NODE"
mkdir -p "$DISK"/{upper,work,root,containers}
mount -t overlay overlay -o "lowerdir=/,upperdir=$DISK/upper,workdir=$DISK/work" "$root"

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
# crun refuses the hybrid of cgroup v1 and v2.
if mountpoint -q "$root/sys/fs/cgroup/unified"; then umount "$root/sys/fs/cgroup/unified"; fi
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero full random urandom tty fuse; do
    [ -e "/dev/$device" ] || continue
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -p "$root"/dev/{pts,shm,mqueue}
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number%:*}" "$root/dev/${number#*:}"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777,size=512m shm "$root/dev/shm" # the buffers of Pacemaker's own IPC
mount -t mqueue mqueue "$root/dev/mqueue"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root"/run/{lock,crm,power,resource-agents}
chown hacluster:haclient "$root/run/crm"
chmod 750 "$root/run/crm"

mkdir -p "$root"/{var/lib/containers,srv/images,opt/exporter}
mount --bind "$SHARED/power" "$root/run/power"
mount --bind "$DISK/containers" "$root/var/lib/containers" # podman's overlay cannot lie on ours
mount --bind "$IMAGES" "$root/srv/images"
mount --bind "$EXPORTER" "$root/opt/exporter"
mount -o remount,ro,bind "$root/srv/images"
mount -o remount,ro,bind "$root/opt/exporter"

# The first boot: an identity of its own, and nothing of what the machine may have kept.
if [ ! -e "$root/etc/hostname.of-node" ]; then
    files=$(dirname "$(readlink -f "$0")")
    echo "$NODE" | tee "$root/etc/hostname" >"$root/etc/hostname.of-node"
    rm -rf "$root"/var/lib/{pacemaker,corosync} "$root/var/log" "$root/etc/corosync"
    mkdir -p "$root"/var/lib/pacemaker/{blackbox,cib,cores,pengine} "$root/var/lib/corosync" \
        "$root"/var/log/{pacemaker/bundles,corosync,cluster} \
        "$root"/etc/{corosync/uidgid.d,pacemaker,containers}
    chown hacluster:haclient "$root"/var/lib/pacemaker{,/*} "$root/var/log/pacemaker"
    chmod 750 "$root"/var/lib/pacemaker/*
    chmod 770 "$root/var/log/pacemaker"
    cp "$SHARED/hosts" "$root/etc/"
    cp "$SHARED/corosync.conf" "$root/etc/corosync/"
    install -m 640 -g haclient "$SHARED/authkey" "$root/etc/pacemaker/"
    cp "$files"/{containers,storage}.conf "$root/etc/containers/"
    install -m 755 "$files/fence_power" "$root/usr/sbin/"
    for user in pacemaker-exporter:2001 stranger:2002; do
        echo "${user%:*}:x:${user#*:}:${user#*:}::/tmp:/usr/sbin/nologin" >>"$root/etc/passwd"
        echo "${user%:*}:x:${user#*:}:" >>"$root/etc/group"
    done
    sed -i '/^haclient:/{s/:$/:pacemaker-exporter/;t;s/$/,pacemaker-exporter/}' "$root/etc/group"
fi

ip link set lo up
cd "$root"
mkdir -p .machine
pivot_root . .machine
cd /
umount -l /.machine
rmdir /.machine
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 catatonit -P </dev/null
