#!/bin/busybox sh
# The first program of the guest, out of the initramfs: makes the host's own files its root, nothing of them writable,
# and hands over to the job. The kernel's command line says where what is made for this guest lies.
export PATH=/bin
for program in mkdir mount insmod sed switch_root echo sh; do /bin/busybox ln -sf busybox "/bin/$program"; done
fail() {
    echo "guest: $*" >/dev/console
    echo o >/proc/sysrq-trigger
    while :; do :; done
}
word() { sed -n "s/.*archetype\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

mkdir -p /proc /lower /rw /root
mount -t proc proc /proc
for module in /modules/*; do insmod "$module" || fail "cannot load $module"; done
mount -t virtiofs -o ro archetype-root /lower || fail "cannot mount the host's files"
# What is written stays in the guest's memory.
mount -t tmpfs -o mode=755 rw /rw && mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work root /root || fail "cannot lay a layer over them"
mount -t proc proc /root/proc
mount -t sysfs sysfs /root/sys
mount -t devtmpfs devtmpfs /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /root/dev/pts
mount -t tmpfs -o mode=1777 shm /root/dev/shm
mount -t tmpfs -o mode=755 run /root/run
mount -t cgroup2 cgroup /root/sys/fs/cgroup || fail "no control groups"
mkdir -p /root/lib/modules
mount --bind "/root/$(word modules)" /root/lib/modules || fail "no modules"
exec switch_root /root /bin/bash "$(word job)"
