#!/bin/sh
# Makes a small machine of its own in new namespaces and becomes its systemd. To be run as the first process of new mount,
# process, cgroup, IPC and host name namespaces, with private propagation, and as a member of a cgroup of its own.
#
#   boot.sh ROOT USR ETC SHARE
#
# ROOT is an empty directory, which the machine's root is mounted on; USR is laid over this machine's /usr, ETC is all of
# /etc that is not made here, SHARE is found at /mnt and is the only place of this machine that can be written.
set -eu
root=$1 usr=$2 etc=$3 share=$4

mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc var/lib var/log var/tmp run tmp proc sys dev home root srv mnt old
chmod 1777 tmp var/tmp
chmod 700 root
# Only to be read: there is no upper layer.
mount -t overlay -o "lowerdir=$usr:/usr" overlay usr
for link in bin sbin lib lib32 lib64 libx32; do
    [ ! -L "/$link" ] || cp -P "/$link" .
done
for name in alternatives group ld.so.cache login.defs nsswitch.conf passwd protocols services; do
    [ ! -e "/etc/$name" ] || cp -a "/etc/$name" etc/
done
cp -R "$etc/." etc/
# At its first boot systemd would enable every unit that there is.
echo 0123456789abcdef0123456789abcdef >etc/machine-id

mount -t proc proc proc
# Of the settings of the kernel, those of the network are the namespace's own and the others are this machine's.
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf -o mode=700 bpf sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
    : >"dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --bind "$share" mnt

pivot_root . old
cd /
umount -l old
rmdir old
# No unit but those that were put there: nothing of what this machine has installed is started.
exec env -i container=test PATH=/usr/sbin:/usr/bin SYSTEMD_UNIT_PATH=/etc/systemd/system \
    SYSTEMD_GENERATOR_PATH=/nonexistent /usr/lib/systemd/systemd --system --unit=multi-user.target --show-status=no
