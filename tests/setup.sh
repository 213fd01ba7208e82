#!/bin/sh
# Gets a bare machine ready for `make demo`, `make test` (dev), `make test-cluster` (cluster) and
# `make test-all` (all). The Makefile calls it; by hand:
#
#   tests/setup.sh demo|dev|cluster|all|bench|mutation  both of the following
#   tests/setup.sh apt  demo|...       install what is missing of Python, and but for demo of the
#                                      programs the tests run; for bench also of what they are
#                                      compared with (Debian and Ubuntu; root or sudo)
#   tests/setup.sh venv demo|...       make .venv and install the exporter into it; but for demo
#                                      also the tools that pyproject.toml lists as `dev`, for mutation also
#                                      its `mutation`
#
# When nothing is missing it does nothing, and is quick at finding that out.
# PYTHON=... chooses the interpreter.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

# On Debian crm_mon and cibadmin are in /usr/sbin, which is not in an ordinary user's PATH.
PATH="$PATH:/usr/sbin:/sbin"

# What the tests run beside Python: program, Debian package, what for.
test_needs='
crm_mon     pacemaker-cli-utils  the real one, to be polled by the exporter
cibadmin    pacemaker-cli-utils  edits the CIBs that crm_mon is given
prometheus  prometheus           scrapes the exporter and evaluates the rules
promtool    prometheus           checks the metrics text, rules and their tests
amtool      prometheus-alertmanager  checks the routing; with it comes the real Alertmanager
curl        curl                 a client of TLS and users, as people use it
openssl     openssl              a client of one version of TLS
faketime    faketime             gives crm_mon the time at which a CIB was recorded
systemd-analyze systemd         checks the unit
systemd-sysusers systemd        makes the user
'

# What tests/cluster needs beyond that.
cluster_needs='
corosync    corosync        the nodes talk through it
pacemakerd  pacemaker       the cluster
podman      podman          the engine of the bundles
crun        crun            runs their containers
conmon      conmon          watches them
catatonit   catatonit       reaps in nodes and containers
busybox     busybox-static  the log of a node
ip          iproute2        the network of the nodes
pgrep       procps          finds daemons on a node
mmdebstrap  mmdebstrap      makes the image of the containers
/usr/lib/ocf/resource.d/heartbeat/podman    resource-agents            the agent of the bundles
/usr/lib/ocf/resource.d/pacemaker/Stateful  pacemaker-resource-agents  the agent of the services
'

# What only `make test-all` runs: large.
all_needs='
chromium      chromium         shows the status page
chromedriver  chromium-driver  lets the tests lead it
pcs           pcs              takes the commands of the runbooks
mmdebstrap    mmdebstrap       makes a clean Debian to install the package in
lintian       lintian          checks the package
ansible-lint  ansible-lint     checks the Ansible role
rpmbuild      rpm              reads the spec of the RPM
mandoc        mandoc           checks the manual page
man           man-db           shows it
zsh           zsh              tries its completions
fish          fish             tries its completions
'

# What only `make bench` runs.
bench_needs='
nginx                nginx-light                    serves the same bytes
wrk                  wrk                            asks for them
ha_cluster_exporter  prometheus-hacluster-exporter  the peer
'

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- Python ---------------------------------------------------------------------------------

# Fails unless this Python will do; ensurepip is what Debian puts into python3-venv. Prints
# the interpreter's path: not a wrapper's, nor that of an active virtual environment, which
# may be the very one that is about to be replaced.
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

# What tells one Python from another: an upgrade changes the first, another Python the second.
python_identity='import sys; print(sys.version, sys.base_prefix)'

# Whether .venv is there, works, is where it was made (its scripts have its path in them) and
# has the Python it was made with; and, if PYTHON is given, whether that is the one.
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
        all) echo "$test_needs$cluster_needs$all_needs" ;;
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

# sudo that works without a password, or that can ask for it.
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
        "$root/tests/setup.sh" apt-as-root $packages || die "this failed: $command"
    elif may_sudo; then
        say "installing with sudo and apt: $packages"
        sudo "$root/tests/setup.sh" apt-as-root $packages || die "this failed: sudo $command"
    else
        die "missing apt packages: $packages; neither root nor sudo here, so let root run: $command"
    fi
    # On an old distribution the packages may be there and too old.
    missing=$(missing_programs "$1" | tr '\n' ' ')
    [ -z "$missing" ] || die "installed $packages, still missing: $missing"
}

# The tests start what they need themselves, on ports of their own. But Debian's packages start
# and enable services: prometheus on port 9090, pacemaker and corosync. So:
# - While apt runs, /usr/sbin/policy-rc.d forbids it to start any. That is Debian's own means,
#   honoured with every init system (RUNLEVEL=1 only works with some). It is removed afterwards;
#   and should it be left over because this script was killed, the next run knows it as its own.
#   A policy-rc.d of somebody else's, as in container images, is left as it is.
# - Those that came with this run are disabled, or they would start at the next boot.
services='corosync.service pacemaker.service pcsd.service pcsd-ruby.service prometheus.service prometheus-alertmanager.service
nginx.service ha_cluster_exporter.service
podman.service podman.socket podman-restart.service podman-auto-update.timer'
policy=/usr/sbin/policy-rc.d
policy_mark='temporary, made by tests/setup.sh of pacemaker-bundle-exporter'

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
    export NEEDRESTART_SUSPEND=1 # Ubuntu's needrestart would restart services, or ask
    # A list that cannot be fetched (a third party's, say) need not be one that matters here.
    apt-get update -q || say 'apt-get update failed, going on with the package lists there are'
    # --no-remove: tests are no reason to take anything off a machine.
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
        python=$(find_python) || die 'no Python >= 3.11 with venv and ensurepip'
        say "making .venv with $python"
        rm -rf .venv
        "$python" -m venv .venv
        echo "$root $(.venv/bin/python -c "$python_identity")" >.venv/.made
    fi
    # The stamps have checksums and not just a date: git gives files new dates at will.
    wanted=$(cksum pyproject.toml constraints.txt)
    case $1 in
        dev | cluster | all | bench) stamps=.venv/.installed-dev what='.[dev]' ;;
        mutation) stamps=.venv/.installed-mutation what='.[dev,mutation]' ;;
        demo) stamps='.venv/.installed-demo .venv/.installed-dev' what='.' ;;
    esac
    for stamp in $stamps; do
        [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    done
    say "installing $what and what it needs into .venv"
    # The two variables hold the build's own requirements to the same versions: older pips
    # look at the first there, newer ones at the second.
    PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        -c constraints.txt -e "$what" || die "pip could not install $what"
    echo "$wanted" >"${stamps%% *}"
}

usage() { die 'usage: tests/setup.sh [apt|venv] demo|dev|cluster|all|bench|mutation'; }

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
    1:demo | 1:dev | 1:cluster | 1:all | 1:bench | 1:mutation) ;;
    *) usage ;;
esac
[ -z "${PYTHON:-}" ] || venv_works || find_python >/dev/null ||
    die "PYTHON=$PYTHON is no Python >= 3.11 with venv and ensurepip (Debian: python3-venv)"
[ "$step" = venv ] || setup_apt "$1"
[ "$step" = apt ] || setup_venv "$1"
