#!/bin/busybox sh
# Process 1 of `cargo xtask vm`: loads the modules, runs each line of /steps, and says on the serial line how it went.
/bin/busybox mkdir -p /dev /proc /sys /tmp /sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
export PATH=/bin:/sbin
# No link replaces what is there: the real ip and tc.
/bin/busybox --install -s /bin 2>/dev/null

echo "VM-KERNEL $(uname -r)"
failed=''
for module in /modules/*; do
    insmod "$module" || failed="$failed $module"
done
ip link set lo up

# What a test cannot do here is a failure: it is what the machine is for.
export CI=true DHCP_OBSERVER_BIN=/tests/dhcp-observer
cd /tmp
while read -r step; do
    echo "VM-STEP $step"
    before=$(cut -d. -f1 /proc/uptime)
    if $step </dev/null 2>&1; then end=ok; else end=failed; failed="$failed $step"; fi
    echo "VM-STEP $end after $(($(cut -d. -f1 /proc/uptime) - before)) s"
done </steps

echo "VM-RESULT ${failed:-ok}"
poweroff -f
