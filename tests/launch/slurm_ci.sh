#!/usr/bin/env bash
# A real Slurm on one machine, for tests: a controller and two nodes. Needs root on Debian or Ubuntu, no systemd.
#
#   eval "$(tests/launch/slurm_ci.sh up)"    # installs what is missing, starts, and prints SLURM_CONF
#   tests/launch/slurm_ci.sh logs
#   tests/launch/slurm_ci.sh down            # ends what it started, and nothing else
#
# SLURM_LAB (/tmp/slurm-ci) holds configuration, state and logs; nothing in /etc/slurm is touched.
set -euo pipefail

LAB=${SLURM_LAB:-/tmp/slurm-ci}
NODES=2
NODE_MEMORY=${SLURM_NODE_MEMORY:-6000} # MiB that each node claims to have
MARK="# fivephase slurm_ci"
export SLURM_CONF=$LAB/slurm.conf

main() {
  case ${1:-} in
    up)
      install_packages >&2
      # A node name must resolve, or nobody finds rank 0.
      for node in $(node_names); do
        grep -q "[[:space:]]$node\([[:space:]]\|\$\)" /etc/hosts || echo "127.0.0.1 $node $MARK" >>/etc/hosts
      done
      rm -rf "$LAB"
      mkdir -p "$LAB"/{state,log,run}
      start_munge >&2
      configure
      start_daemons >&2
      wait_until_idle >&2
      echo "export SLURM_CONF=$SLURM_CONF"
      ;;
    down) stop_daemons ;;
    logs) tail -n 50 "$LAB"/log/*.log ;;
    *)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
}

node_names() { seq -f 'n%g' "$NODES"; }

install_packages() {
  if command -v slurmctld slurmd munged sbatch >/dev/null; then return; fi
  apt-get update -qq
  # The packages would start half-configured services; exit code 101 tells them not to.
  local policy=/usr/sbin/policy-rc.d ours=no
  if [[ ! -e $policy ]]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge
  if [[ $ours == yes ]]; then rm -f "$policy"; fi
}

# Slurm authenticates its messages with munge, which wants its own user, a private key, and folders that only
# systemd would make.
start_munge() {
  if munge -n </dev/null >/dev/null 2>&1; then return; fi
  [[ -s /etc/munge/munge.key ]] || mungekey --create
  chown -R munge:munge /etc/munge
  chmod 700 /etc/munge
  chmod 400 /etc/munge/munge.key
  install -d -m 755 -o munge -g munge /run/munge /var/log/munge
  runuser -u munge -- munged
  cp /run/munge/munged.pid "$LAB/run/munged.pid"
}

configure() {
  local host cores
  host=$(hostname -s)
  cores=$(nproc)
  # linuxproc and task/none keep Slurm away from cgroups, which a container does not let it have.
  # cred_expire is also how long a requeued job waits: 120 s by default. bf_interval and sched_interval: look for
  # work every second or two. kill_invalid_depend is left out on purpose: chain.sh must do without it. A job in the
  # partition high takes the nodes of one in low, which has a minute to end.
  cat >"$SLURM_CONF" <<CONF
ClusterName=ci
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
SlurmctldPort=16817
StateSaveLocation=$LAB/state
SlurmdSpoolDir=$LAB/spool-%n
SlurmctldPidFile=$LAB/run/slurmctld.pid
SlurmdPidFile=$LAB/run/slurmd-%n.pid
SlurmctldLogFile=$LAB/log/slurmctld.log
SlurmdLogFile=$LAB/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=2,batch_sched_delay=0
KillWait=5
MinJobAge=3600
PropagateResourceLimits=NONE
NodeName=n[1-$NODES] NodeHostname=$host NodeAddr=127.0.0.1 Port=[17001-$((17000 + NODES))] CPUs=$cores Boards=1 \
SocketsPerBoard=1 CoresPerSocket=$cores ThreadsPerCore=1 RealMemory=$NODE_MEMORY State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=test Nodes=n[1-$NODES] Default=YES MaxTime=INFINITE State=UP PreemptMode=OFF
PartitionName=low Nodes=n[1-$NODES] MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=high Nodes=n[1-$NODES] MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
CONF
  # From 23.11 on Slurm loads a cgroup plugin whatever the process tracking; there it must be told not to.
  case $(slurmd -V | cut -d ' ' -f 2) in
    22.* | 23.02*) ;;
    *) echo "CgroupPlugin=disabled" >"$LAB/cgroup.conf" ;;
  esac
}

start_daemons() {
  slurmctld -f "$SLURM_CONF"
  local node
  for node in $(node_names); do
    mkdir -p "$LAB/spool-$node"
    # Where the kernel allows it, each node has a hostname of its own.
    if unshare --uts true 2>/dev/null; then
      # shellcheck disable=SC2016  # expanded by the inner shell
      unshare --uts bash -c 'hostname "$1" && exec slurmd -f "$2" -N "$1"' - "$node" "$SLURM_CONF"
    else
      slurmd -f "$SLURM_CONF" -N "$node"
    fi
  done
}

wait_until_idle() {
  local attempt
  for attempt in $(seq 120); do
    if [[ $(sinfo --noheader --format=%T | sort -u) == idle ]]; then
      echo "Slurm is up after $((attempt / 4)) s: $(sinfo --noheader --format='%N %T')"
      return
    fi
    sleep 0.25
  done
  echo "the nodes did not become idle; see $LAB/log" >&2
  exit 1
}

stop_daemons() {
  local file
  for file in "$LAB"/run/*.pid; do
    if [[ -s $file ]]; then kill "$(cat "$file")" || true; fi
  done
  # /etc/hosts can be a bind mount that cannot be replaced, only rewritten.
  local kept
  kept=$(grep -v "$MARK" /etc/hosts)
  echo "$kept" >/etc/hosts
}

main "$@"
