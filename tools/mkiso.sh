#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mkiso.sh ELF OUT [ARGS [VIDEO]]: a disk image that boots ELF by GRUB from a CD or a USB stick,
# with BIOS or UEFI. Where ARGS is given it is the kernel's command line, the menu is not waited
# for, and VIDEO may choose the screen; see iso/grub.cfg.
#
# This is grub-mkrescue's work done by hand, for two reasons: the same inputs give the same bytes
# (grub-mkrescue puts the time into the image), and it holds only the modules needed. Three parts:
#   1. GRUB, once for BIOS and once for UEFI; it finds the disk it came from by a file on it
#   2. a FAT file system with the UEFI one, since firmware can read nothing else
#   3. the ISO 9660 file system, behind boot records for CD (El Torito) and stick (MBR, GPT)
set -eu

elf=$1 out=$2

# The date of everything inside, seconds since 1970; October 2007, when the story took place.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1192406400}
export SOURCE_DATE_EPOCH TZ=UTC MTOOLS_SKIP_CHECK=1
fat_serial=12345678          # fixed, or mformat takes the time
volume_date=2007101500000000 # fixed, or xorriso takes the time; it is the ISO's UUID too

# The first of these that is there; the console's font on a framebuffer.
for font in /usr/share/consolefonts/Lat15-Fixed16.psf.gz \
    /usr/*/kbd/consolefonts/default8x16.psfu.gz; do
    [ -e "$font" ] && break
done
grub=$(command -v grub-mkimage || command -v grub2-mkimage)
grub_lib=/usr/lib/grub
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree/boot/grub" "$tree/EFI"

cp "$elf" "$tree/boot/lazymap.elf"
cp iso/grub.cfg "$tree/boot/grub/grub.cfg"
gzip -dc "$font" >"$tree/boot/font.psf"
if [ $# -gt 2 ]; then
    # In GRUB's script a single quote inside single quotes is written '\''.
    printf "set timeout=0\nset lazymap_args='%s'\n" \
        "$(printf %s "$3" | sed "s/'/'\\\\''/g")" >"$tree/boot/grub/args.cfg"
    [ -n "${4-}" ] && echo "set lazymap_video=$4" >>"$tree/boot/grub/args.cfg"
fi

cat >"$work/early.cfg" <<'CFG'
search --no-floppy --set=root --file /boot/lazymap.elf
set prefix=($root)/boot/grub
normal
CFG
modules="iso9660 part_msdos part_gpt search search_fs_file normal configfile multiboot2 serial
    terminal echo test halt reboot minicmd all_video gfxterm"
# shellcheck disable=SC2086 # $modules is a list
"$grub" -O i386-pc-eltorito -d $grub_lib/i386-pc -c "$work/early.cfg" -p /boot/grub \
    -o "$tree/boot/grub/bios.img" biosdisk $modules
# shellcheck disable=SC2086
"$grub" -O x86_64-efi -d $grub_lib/x86_64-efi -c "$work/early.cfg" -p /boot/grub \
    -o "$work/BOOTX64.EFI" fat $modules

mformat -C -i "$tree/efi.img" -f 2880 -N $fat_serial ::
mmd -i "$tree/efi.img" ::EFI ::EFI/BOOT
mcopy -i "$tree/efi.img" "$work/BOOTX64.EFI" ::EFI/BOOT/

find "$tree" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
rm -f "$out"
if ! xorriso -as mkisofs -r -V LAZYMAP -sysid '' \
    --modification-date=$volume_date --set_all_file_dates $volume_date \
    -b boot/grub/bios.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \
    --grub2-mbr $grub_lib/i386-pc/boot_hybrid.img \
    --efi-boot efi.img -efi-boot-part --efi-boot-image --protective-msdos-label \
    -o "$out" "$tree" 2>"$work/xorriso.log"; then
    cat "$work/xorriso.log" >&2
    exit 1
fi
