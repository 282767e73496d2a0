#!/usr/bin/env bash
# Installs the Debian package into a throw-away copy of this system, boots systemd in it, and holds
# the unit to what it promises: READY, a file done, reload, watchdog, crash, bad configuration, stop.
#   ops/rehearse-systemd.sh            builds the package first
#   ops/rehearse-systemd.sh FILE.deb   takes this one
# Needs root, systemd and a kernel with overlayfs and namespaces. Processes, mounts, network, host name
# and control groups are the copy's own, it writes into memory alone, and it may not set the kernel.
# Exit code 1 means that a promise is not kept.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -le 1 ] || die "one package at most; see the first lines of ops/rehearse-systemd.sh"
[ "$(id -u)" -eq 0 ] || die "namespaces need root; run it as root"
for program in unshare nsenter findmnt ip /lib/systemd/systemd; do
  command -v "$program" >/dev/null || die "there is no $program; install util-linux, iproute2 and systemd"
done
groups=$(findmnt --noheadings --types cgroup2 --output TARGET | head -n 1)
[ -n "$groups" ] || die "cgroup2 is not mounted; mount it, systemd needs it"

work=$(mktemp -d)
group=$groups/${work##*/}
container=''
clean() {
  # With its first process end all others of the copy, and with them its mounts.
  [ -z "$container" ] || { kill -KILL "$container" 2>/dev/null && wait "$container" 2>/dev/null; } || true
  sleep 0.5
  [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} +
  rm -rf --one-file-system "$work"
}
trap clean EXIT

package=${1:-}
if [ -z "$package" ]; then
  ops/package.sh "$work"
  package=$(echo "$work"/*.deb)
fi
ops/fetch-spectra.sh
mkdir "$work/copy" "$group"
cp "$package" "$work/starmill.deb"
cp "$state"/spectra/spec-*.fits* "$work/"

# Runs in new namespaces: lays the copy over this system, installs the package and becomes systemd.
boot() {
  local work=$1 copy=$1/copy root=$1/copy/root node unit
  mount -t tmpfs tmpfs "$copy"
  mkdir "$copy/changes" "$copy/scratch" "$root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$copy/changes,workdir=$copy/scratch" "$root"
  mount -t proc proc "$root/proc"
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs tmpfs "$root/run"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for node in null zero full random urandom tty; do cp -a "/dev/$node" "$root/dev/"; done
  mkdir "$root/dev/shm" "$root/dev/pts" "$root/srv/inbox"
  mount -t devpts devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  mv "$work"/starmill.deb "$work"/spec-* "$root/srv/"
  # Nothing of this system starts but what every boot has, and nothing that sets the kernel.
  rm -rf "$root"/etc/systemd/system/*.wants
  printf '[Unit]\nRequires=basic.target\n' >"$root/etc/systemd/system/rehearsal.target"
  for unit in systemd-sysctl systemd-modules-load systemd-udevd systemd-timesyncd systemd-pstore \
    systemd-binfmt systemd-remount-fs systemd-random-seed modprobe@; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
  done
  ip link set lo up
  cd "$root"
  mkdir old
  pivot_root . old
  umount --lazy old
  dpkg --install --force-depends /srv/starmill.deb >/srv/install.log 2>&1
  exec env --ignore-environment container=starmill PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=rehearsal.target </dev/null >/dev/null 2>&1
}
export -f boot
(
  echo "$BASHPID" >"$group/cgroup.procs"
  exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child --propagation private \
    bash -euc "boot $work"
) &
container=$!

inside() {
  local first
  first=$(pgrep --parent "$container") || return
  nsenter --target "$first" --all -- "$@"
}
property() { inside systemctl show --value --property "$1" starmill; }
journal() { inside journalctl --quiet --unit starmill --output cat --no-pager; }
is() { [ "$(property "$1")" = "$2" ]; }
logged() { journal | grep -- "$1"; }

# Waits until a command succeeds: expect WHAT SECONDS COMMAND...
expect() {
  local what=$1 begin=$SECONDS limit=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $((SECONDS - begin)) -ge "$limit" ]; then
      inside systemctl status --no-pager --full starmill || true
      journal | tail -n 20 || true
      die "not within $limit s: $what"
    fi
    sleep 0.2
  done
  say "ok: $what"
}

configure() {
  inside tee /etc/starmill/starmill.toml >/dev/null <<TOML
watch.settle = 0.5
night.longitude = $1
$2
[[inbox]]
name = "live"
folder = "/srv/inbox"
priority = "live"
TOML
}
is_restarted() { [ "$(property NRestarts)" -gt "$1" ] && is ActiveState active; }
has_done() { [[ $(property StatusText) == "$1 files, "* ]]; }
deliver() { inside bash -c "cp /srv/$1 /srv/inbox/"; }
has_night() { inside bash -c "compgen -G '/var/lib/starmill/nights/$1'"; }

expect "systemd is up" 60 inside systemctl is-active --quiet rehearsal.target
inside cat /srv/install.log
configure 117.575 ''
inside systemctl start starmill || { journal && die "the unit does not start, see above"; }
expect "start waited for READY" 1 is SubState running
expect "it runs as its own user" 1 inside pgrep --uid starmill starmill
deliver 'spec-58397-*'
expect "a file is done, and systemctl status says so" 30 has_done 1

process=$(property MainPID)
configure 100.0 ''
inside systemctl reload starmill
expect "a reload takes a new configuration" 30 logged '"reloaded"'
configure 100.0 'nonsense = 1'
inside systemctl reload starmill || true
expect "a reload refuses a bad configuration" 30 logged 'reload refused'
expect "the same process goes on" 10 is MainPID "$process"
expect "in the state that it was in" 10 is SubState running

configure 117.575 ''
inside mkdir /etc/systemd/system/starmill.service.d
printf '[Service]\nWatchdogSec=5\n' |
  inside tee /etc/systemd/system/starmill.service.d/sooner.conf >/dev/null
inside systemctl daemon-reload
inside systemctl restart starmill
sleep 8
expect "the watchdog is fed for longer than its limit" 1 is NRestarts 0
inside kill -STOP "$(property MainPID)"
expect "the watchdog ends a process that is frozen, and it is started again" 60 is_restarted 0
expect "which the journal tells" 5 logged 'Watchdog timeout'
inside kill -KILL "$(property MainPID)"
expect "a crash is started again" 30 is_restarted 1
deliver 'spec-57287-*'
expect "and goes on with files" 30 has_night '2015-*'

inside systemctl stop starmill
expect "a stop ends with code 0" 1 is ExecMainStatus 0
expect "and is no failure" 1 is ActiveState inactive

configure 117.575 'nonsense = 1'
! inside systemctl start starmill 2>/dev/null || die "it starts with a bad configuration"
sleep 5
expect "a bad configuration is not tried again" 1 is ActiveState failed
inside dpkg --purge starmill >/dev/null 2>&1
expect "nights outlive the package" 1 has_night '2018-*'
say "the unit keeps its promises under systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
