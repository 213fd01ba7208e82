#!/bin/sh
# Prepares a machine for `make demo`, `make test` (dev), `make test-cluster` (cluster), `make test-all`
# (all), `make bench`, `make portable` and `make mutation`. The Makefile calls it. By hand:
#
#   tools/setup.sh demo|dev|cluster|all|bench|portable|mutation  both of the following
#   tools/setup.sh apt  demo|...       install missing packages (Debian and Ubuntu; root or sudo):
#                                      Python; except for demo, the programs that the tests run;
#                                      for bench, also the programs to compare with
#   tools/setup.sh venv demo|...       create .venv and install the exporter into it; except for demo,
#                                      also the extra `dev` of pyproject.toml; for mutation, also the
#                                      extra `mutation`; for portable and all, the extra `portable`
#
# If nothing is missing, it ends quickly and changes nothing.
# PYTHON=... chooses the interpreter.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

# On Debian crm_mon and cibadmin are in /usr/sbin, which is not in an ordinary user's PATH.
PATH="$PATH:/usr/sbin:/sbin"

# Programs that the tests run beside Python: program, Debian package, purpose.
test_needs='
crm_mon     pacemaker-cli-utils  the exporter polls it
cibadmin    pacemaker-cli-utils  edits the CIBs for crm_mon
prometheus  prometheus           scrapes the exporter and evaluates the rules
promtool    prometheus           checks the metrics text, rules and their tests
amtool      prometheus-alertmanager  checks the routing; its package includes Alertmanager
prometheus-node-exporter prometheus-node-exporter  answers unusual requests, to compare with the exporter
curl        curl                 a client with TLS and passwords
openssl     openssl              a client limited to one TLS version
faketime    faketime             sets the clock of crm_mon to the time of a recorded CIB
locale-gen  locales             generates locales for the tests
systemd-analyze systemd         checks the unit
systemd-sysusers systemd        creates the user
systemd-socket-activate systemd  passes sockets
'

# Additional programs for tests/live.
cluster_needs='
corosync    corosync        connects the nodes
pacemakerd  pacemaker       the cluster
podman      podman          the container engine of the bundles
crun        crun            runs the containers
conmon      conmon          monitors the containers
catatonit   catatonit       reaps processes in nodes and containers
busybox     busybox-static  provides the syslog of a node
ip          iproute2        sets up the network of the nodes
pgrep       procps          finds daemons on a node
mmdebstrap  mmdebstrap      creates the container image
/usr/lib/ocf/resource.d/heartbeat/podman    resource-agents            the resource agent for containers
/usr/lib/ocf/resource.d/pacemaker/Stateful  pacemaker-resource-agents  the resource agent for services
'

# Additional programs for `make test-all`. They are large.
all_needs='
chromium      chromium         shows the status page
chromedriver  chromium-driver  lets the tests control Chromium
pcs           pcs              checks the commands in the runbooks
ha_cluster_exporter  prometheus-hacluster-exporter  another exporter, to compare metrics with
mmdebstrap    mmdebstrap       creates a clean Debian to install the package in
/usr/lib/podman/netavark      netavark      connects containers to a network
iptables      iptables         lets netavark publish their ports
/usr/lib/podman/aardvark-dns  aardvark-dns  lets containers find each other by name
lintian       lintian          checks the package
ansible-lint  ansible-lint     checks the Ansible role
rpm           rpm              lists the files of the RPM
mandoc        mandoc           checks the manual page
man           man-db           renders the manual page
zsh           zsh              tests the completions
fish          fish             tests the completions
'

# Programs for `make portable`, for make test-all too.
portable_needs='
patch         patch            applies the patches of the sources
xz            xz-utils         unpacks the sources
pod2text      perl             configures OpenSSL: perl-base does not suffice
readelf       binutils         reads programs, for the configure script of Python and for the tests
'

# Additional programs for `make bench`.
bench_needs='
nginx                nginx-light                    serves the same page
wrk                  wrk                            sends requests
ha_cluster_exporter  prometheus-hacluster-exporter  another exporter for Pacemaker
'

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- Python ---------------------------------------------------------------------------------

# Fails unless this Python is suitable; Debian ships ensurepip in python3-venv. Prints the path of
# the interpreter itself, not of a wrapper or of an active virtual environment, because this
# script may be about to replace that environment.
python_check='
import sys
assert sys.version_info >= (3, 11)
import ensurepip, venv
print(sys._base_executable or sys.executable)
'

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.14 python3.13 python3.12 python3.11 python3
    fi
    for candidate; do
        "$candidate" -c "$python_check" 2>/dev/null && return
    done
    return 1
}

# Identifies a Python: an upgrade changes sys.version, another installation sys.base_prefix.
python_identity='import sys; print(sys.version, sys.base_prefix)'

# Whether .venv works, was not moved (its scripts contain its path), and still has the same Python,
# which must be $PYTHON if that is set.
venv_works() {
    [ -f .venv/.made ] || return 1
    identity=$(.venv/bin/python -c "import pip; $python_identity" 2>/dev/null) || return 1
    [ "$(cat .venv/.made)" = "$root $identity" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -c "$python_identity" 2>/dev/null)" = "$identity" ]
}

# --- apt ------------------------------------------------------------------------------------

needs() {
    case $1 in
        dev | mutation) echo "$test_needs" ;;
        cluster) echo "$test_needs$cluster_needs" ;;
        all) echo "$test_needs$cluster_needs$all_needs$portable_needs" ;;
        portable) echo "$portable_needs" ;;
        bench) echo "$test_needs$bench_needs" ;;
    esac
}

missing_programs() {
    venv_works || find_python >/dev/null || echo 'Python >= 3.11 with venv and ensurepip'
    needs "$1" | while read -r program _; do
        [ -z "$program" ] || have "$program" || echo "$program"
    done
}

missing_packages() {
    venv_works || find_python >/dev/null || echo 'python3 python3-venv'
    needs "$1" | while read -r program package _; do
        [ -z "$program" ] || have "$program" || echo "$package"
    done | sort -u
}

is_debian() {
    have apt-get && grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release 2>/dev/null
}

# Whether sudo works without a password, or can ask for one.
may_sudo() {
    have sudo && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }
}

setup_apt() {
    packages=$(missing_packages "$1" | tr '\n' ' ')
    packages=${packages% }
    [ -n "$packages" ] || return 0
    if ! is_debian; then
        die "please install: $(missing_programs "$1" | sed 's/$/,/' | tr '\n' ' ' | sed 's/, $//')"
    fi
    command="apt-get install --no-install-recommends $packages"
    # shellcheck disable=SC2086 # packages is a list of words
    if [ "$(id -u)" = 0 ]; then
        say "installing with apt: $packages"
        "$root/tools/setup.sh" apt-as-root $packages || die "this failed: $command"
    elif may_sudo; then
        say "installing with sudo and apt: $packages"
        sudo "$root/tools/setup.sh" apt-as-root $packages || die "this failed: sudo $command"
    else
        die "missing apt packages: $packages; this user is neither root nor may use sudo; run as root: $command"
    fi
    # The packages of an old distribution may be too old.
    missing=$(missing_programs "$1" | tr '\n' ' ')
    [ -z "$missing" ] || die "installed $packages, still missing: $missing"
}

# The tests start all services themselves, on their own ports. But Debian's packages start and
# enable services, such as prometheus on port 9090, pacemaker and corosync. So:
# - While apt runs, /usr/sbin/policy-rc.d forbids starting services. This is Debian's own mechanism
#   and works with every init system (RUNLEVEL=1 works only with some). The file is removed
#   afterwards. If this script was killed, the next run recognises the file and replaces it.
#   An existing policy-rc.d, as in container images, is kept.
# - Newly installed services are disabled. Otherwise they would start at the next boot.
services='corosync.service pacemaker.service pcsd.service pcsd-ruby.service prometheus.service prometheus-alertmanager.service
prometheus-node-exporter.service nginx.service ha_cluster_exporter.service
podman.service podman.socket podman-restart.service podman-auto-update.timer'
policy=/usr/sbin/policy-rc.d
policy_mark='temporary, made by tools/setup.sh of pacemaker-bundle-exporter'

apt_as_root() {
    if { [ ! -e "$policy" ] && [ ! -L "$policy" ]; } || grep -q "$policy_mark" "$policy"; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        printf '#!/bin/sh\n# %s\nexit 101\n' "$policy_mark" >"$policy"
        chmod 755 "$policy"
    fi
    fresh=
    for service in $services; do
        [ -e "/lib/systemd/system/$service" ] || fresh="$fresh $service"
    done

    export DEBIAN_FRONTEND=noninteractive
    export NEEDRESTART_SUSPEND=1 # else Ubuntu's needrestart restarts services, or asks
    # The list that cannot be fetched, such as a third party's, may not be needed here.
    apt-get update -q || say 'apt-get update failed; continuing with the present package lists'
    # --no-remove: installing test programs must not remove other packages.
    apt-get install -q -y --no-install-recommends --no-remove \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" </dev/null

    have systemctl || return 0
    for service in $fresh; do
        [ ! -e "/lib/systemd/system/$service" ] || systemctl --quiet disable "$service"
    done
}

# --- venv -----------------------------------------------------------------------------------

setup_venv() {
    if ! venv_works; then
        python=$(find_python) || die 'no Python >= 3.11 with venv and ensurepip found'
        say "creating .venv with $python"
        rm -rf .venv
        "$python" -m venv .venv
        echo "$root $(.venv/bin/python -c "$python_identity")" >.venv/.made
    fi
    # The stamps contain checksums, because git changes the dates of unchanged files.
    wanted=$(cksum pyproject.toml constraints.txt)
    case $1 in
        dev | cluster | bench) stamps='.venv/.installed-dev .venv/.installed-portable' what='.[dev]' ;;
        all | portable) stamps=.venv/.installed-portable what='.[dev,portable]' ;;
        mutation) stamps=.venv/.installed-mutation what='.[dev,mutation]' ;;
        demo) stamps='.venv/.installed-demo .venv/.installed-dev' what='.' ;;
    esac
    for stamp in $stamps; do
        [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    done
    say "installing $what and its dependencies into .venv"
    # The two variables apply the constraints to the build's requirements too: older versions of
    # pip read the first one for that, newer ones the second.
    PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        -c constraints.txt -e "$what" || die "pip could not install $what"
    echo "$wanted" >"${stamps%% *}"
}

usage() { die 'usage: tools/setup.sh [apt|venv] demo|dev|cluster|all|bench|portable|mutation'; }

step=both
case ${1:-} in
    apt | venv | apt-as-root)
        step=$1
        shift
        ;;
esac
if [ "$step" = apt-as-root ]; then
    apt_as_root "$@"
    exit
fi
case $#:${1:-} in
    1:demo | 1:dev | 1:cluster | 1:all | 1:bench | 1:portable | 1:mutation) ;;
    *) usage ;;
esac
[ -z "${PYTHON:-}" ] || venv_works || find_python >/dev/null ||
    die "PYTHON=$PYTHON is not a Python >= 3.11 with venv and ensurepip (Debian: python3-venv)"
[ "$step" = venv ] || setup_apt "$1"
[ "$step" = apt ] || setup_venv "$1"
