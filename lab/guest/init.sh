#!/bin/sh
# The whole user space of the lab's test image: reads the config drive, says on
# the serial port that the machine is up, and waits for the power button.
# It stores nothing on the disk, and nobody can log in.

PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
umask 022

# Kernel messages would break the line that the lab waits for.
dmesg -n 1
while read -r module; do
    insmod "/lib/modules/$module"
done </lib/modules/load-order

# volume_label DEVICE: the label of an ISO 9660 or FAT file system.
volume_label() {
    [ "$(bytes "$1" 32769 5)" = CD001 ] && { bytes "$1" 32808 32; return; }
    case "$(bytes "$1" 54 3)" in FAT) bytes "$1" 43 11; return ;; esac
    case "$(bytes "$1" 82 5)" in FAT32) bytes "$1" 71 11 ;; esac
}

# bytes DEVICE OFFSET COUNT: printable text at that place, trailing blanks removed.
bytes() {
    dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null | tr -cd ' -~' | sed 's/ *$//'
}

block_devices() {
    for entry in /sys/class/block/*; do
        name=${entry##*/}
        case "$name" in
        loop* | ram* | dm-* | fd*) ;;
        *) [ -b "/dev/$name" ] && echo "$name" ;;
        esac
    done
}

# labelled LABEL: the first block device with this volume label, any case.
labelled() {
    for name in $(block_devices); do
        label=$(volume_label "/dev/$name" | tr A-Z a-z)
        [ "$label" = "$1" ] && { echo "$name"; return; }
    done
}

# whole_disk NAME: the disk that a partition belongs to.
whole_disk() {
    [ -n "$1" ] || { echo none; return; }
    [ -e "/sys/class/block/$1/partition" ] || { echo "$1"; return; }
    parent=$(readlink -f "/sys/class/block/$1/..")
    echo "${parent##*/}"
}

# field PATH: the value at PATH of the meta data, as it was before JSON.
field() {
    printf '%b' "$(awk -F '\t' -v path="$1" '$1 == path { print substr($0, length($1) + 2); exit }' /run/meta_data)"
}

# public_keys: all keys, a line each, from either of the two forms in use.
public_keys() {
    printf '%b\n' "$(awk -F '\t' '
        $1 ~ /^public_keys\// { found = 1; print substr($0, length($1) + 2) }
        $1 ~ /^keys\/[0-9]+\/data$/ { other = other substr($0, length($1) + 2) "\n" }
        END { if (!found) printf "%s", other }
    ' /run/meta_data)" | sed '/^[[:space:]]*$/d'
}

config_drive() {
    mkdir -p /run /mnt /root/.ssh
    : >/run/meta_data
    drive=$(labelled config-2)
    [ -n "$drive" ] || return
    if ! mount -r -t iso9660 "/dev/$drive" /mnt && ! mount -r -t vfat "/dev/$drive" /mnt; then
        echo "DROPHAMMER-WARN cannot mount the config drive $drive"
        return
    fi
    if ! awk -f /lib/json.awk /mnt/openstack/latest/meta_data.json >/run/meta_data; then
        echo "DROPHAMMER-WARN no readable openstack/latest/meta_data.json on $drive"
        : >/run/meta_data
    fi
    umount /mnt
}

# Disks may appear a moment after their driver.
tries=0
root=$(labelled drophammer)
while [ -z "$root" ] && [ $tries -lt 50 ]; do
    usleep 100000
    tries=$((tries + 1))
    root=$(labelled drophammer)
done

# The kernel only reports the power button; to act on it is up to us. The device
# is open before the machine says that it is up: no press is lost.
for name in /sys/class/input/event*/device/name; do
    [ -e "$name" ] || continue
    case "$(cat "$name")" in
    *"Power Button"*)
        event=${name%/device/name}
        exec 3<"/dev/input/${event##*/}"
        (head -c 1 <&3 >/dev/null && echo DROPHAMMER-DOWN && poweroff -f) &
        exec 3<&-
        ;;
    esac
done

config_drive
hostname=$(field hostname)
case "$hostname" in
'') hostname=localhost ;;
*[!A-Za-z0-9.-]*)
    echo "DROPHAMMER-WARN the host name of the config drive is not one"
    hostname=localhost
    ;;
esac
hostname "$hostname"
(umask 077; public_keys >/root/.ssh/authorized_keys)
keys=$(wc -l </root/.ssh/authorized_keys)
firmware=bios
[ -d /sys/firmware/efi ] && firmware=uefi
dmesg | grep -q 'Secure boot enabled' && firmware=uefi-secure-boot
echo "DROPHAMMER-FIRMWARE $firmware"
read -r uptime _ </proc/uptime
printf '\nDROPHAMMER-UP hostname=%s keys=%d disk=%s uptime=%s\n' \
    "$hostname" "$keys" "$(whole_disk "$root")" "$uptime"

while :; do sleep 3600; done
