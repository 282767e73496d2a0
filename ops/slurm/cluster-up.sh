#!/usr/bin/env bash
# Starts a private Slurm cluster of several nodes on this machine, for tests: on loopback alone, without
# systemd, control groups or a database, as root or as any user.
#   ops/slurm/cluster-up.sh DIR [NODES [OWNER]]     then: export SLURM_CONF=DIR/slurm.conf
# With the number of a process as OWNER the cluster ends when that does, however it does.
# Run again, it starts what has ended. ops/slurm/cluster-down.sh DIR ends it. Debian's packages are munge,
# slurmctld, slurmd and slurm-client; 22.05 is tested. Exit code 3 means that they are missing.
set -euo pipefail
[ $# -ge 1 ] || { printf 'usage: %s DIR [NODES]\n' "$0" >&2 && exit 2; }
dir=$(realpath --canonicalize-missing -- "$1") nodes=${2:-4} owner=${3:-}
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

export PATH=$PATH:/usr/sbin
for program in munged slurmctld slurmd sbatch squeue scontrol sinfo; do
  command -v "$program" >/dev/null || {
    say "there is no $program; apt-get install munge slurmctld slurmd slurm-client"
    exit 3
  }
done
# Values of slurm.conf end at blanks.
[[ $dir =~ ^[A-Za-z0-9_./-]+$ ]] || die "$dir: choose a folder named with letters, digits, _, . and -"
[[ $nodes =~ ^[1-9][0-9]?$ && $owner =~ ^[0-9]*$ ]] || die "$nodes nodes of owner '$owner' cannot be; choose 1 to 99, and the number of a process"
mkdir -p "$dir"/{munge,state,spool,log,run}
# munged wants its socket's folder to be reachable by all and writable by itself alone.
chmod 755 "$dir" && chmod 711 "$dir/munge"
export SLURM_CONF=$dir/slurm.conf

# A process that has ended but was not waited for is none.
is_alive() {
  local state
  state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) && [ "$state" != Z ]
}

# Starts a daemon unless it runs: daemon NAME COMMAND...
daemon() {
  local name=$1 pid=$dir/run/$1.pid
  shift
  if [ -s "$pid" ] && is_alive "$(<"$pid")"; then
    return
  fi
  setsid "$@" >>"$dir/log/$name.out" 2>&1 </dev/null &
  echo $! >"$pid"
}

# Waits until a command succeeds: expect WHAT SECONDS COMMAND...
expect() {
  local what=$1 begin=$SECONDS limit=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $((SECONDS - begin)) -ge "$limit" ]; then
      tail -n 5 "$dir"/log/* >&2 || true
      die "not within $limit s: $what; see $dir/log"
    fi
    sleep 0.1
  done
}

# The first of some ports that nobody listens at.
free_ports() {
  local first port
  for _ in {1..50}; do
    first=$((20000 + RANDOM % 10000))
    for ((port = first; port <= first + nodes; port++)); do
      ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue 2
    done
    echo "$first"
    return
  done
  die "no free ports were found; end what listens at 127.0.0.1"
}

configure() {
  local host user first
  host=$(hostname -s) user=$(id -un) first=$(free_ports)
  cat >"$SLURM_CONF.new" <<CONF
ClusterName=starmill
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
SlurmctldPort=$first
NodeName=n[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((first + 1))-$((first + nodes))] CPUs=2 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
# A job that is begun again waits until its first credential has expired, two minutes by default. Less than
# 5 s is not taken.
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/state/slurmctld.pid
SlurmdPidFile=$dir/spool/%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
# No control groups: processes are found by their parents, and memory is counted but not enforced.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Nodes have the processors that they claim.
SlurmdParameters=config_overrides
DefMemPerCPU=500
MpiDefault=none
MailProg=/bin/true
# A task that waits starts within a second.
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0
# A node that is silent is given up after some ten seconds. Sites wait five minutes.
SlurmdTimeout=5
MessageTimeout=2
TCPTimeout=1
KillWait=30
ReturnToService=2
# Small, so that a few shards need several arrays.
MaxArraySize=${STARMILL_MAX_ARRAY:-1001}
CONF
  # From 23.11 on slurmd ends where it finds no control groups unless it is told; earlier it ends where
  # it reads the word.
  case $(slurmd -V | awk '{print $NF}') in
    2[0-2].* | 23.02*) ;;
    *) echo CgroupPlugin=disabled >"$dir/cgroup.conf" ;;
  esac
  mv "$SLURM_CONF.new" "$SLURM_CONF"
}

# shellcheck disable=SC2016
[ -z "$owner" ] || daemon keeper bash -c 'while kill -0 "$1"; do sleep 1; done; exec "$2" "$3"' \
  keeper "$owner" "$PWD/ops/slurm/cluster-down.sh" "$dir"
[ -s "$dir/munge/key" ] || (umask 077 && head -c 128 /dev/urandom >"$dir/munge/key")
[ -s "$SLURM_CONF" ] || configure
daemon munged munged --foreground --force --num-threads 2 --key-file "$dir/munge/key" \
  --socket "$dir/munge/socket" --pid-file "$dir/munge/pid" --log-file "$dir/munge/log" \
  --seed-file "$dir/munge/seed"
expect "munged answers" 30 test -S "$dir/munge/socket"
daemon slurmctld slurmctld -D -f "$SLURM_CONF"
for ((node = 1; node <= nodes; node++)); do
  mkdir -p "$dir/spool/n$node"
  daemon "slurmd.n$node" slurmd -D -N "n$node" -f "$SLURM_CONF"
done
# A node that does not answer is marked behind its state.
is_up() { [ "$(sinfo --noheader --Node --format=%T | grep -cxE 'idle|mixed|allocated')" -ge "$nodes" ]; }
expect "$nodes nodes are up" 120 is_up
say "export SLURM_CONF=$SLURM_CONF"
