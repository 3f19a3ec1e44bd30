# shellcheck shell=bash
# Shared by the scripts here; source it after `set -euo pipefail`.

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

say() { echo "${0##*/}: $*" >&2; }

is_root() { [ "$(id -u)" = 0 ]; }

can_apt() { is_root && command -v apt-get >/dev/null; }

# apt_install PACKAGE...: one at a time across scripts, and quiet unless it fails.
apt_install() (
    mkdir -p /run/lock
    exec 8>/run/lock/provisioner-apt.lock
    flock 8
    export DEBIAN_FRONTEND=noninteractive
    say "installing $*"
    # A source that cannot be reached (or is stale) only matters when a package is missing afterwards.
    [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -mmin -60 -print -quit)" ] ||
        apt-get -qq -o Acquire::Check-Valid-Until=false -o Acquire::http::Timeout=20 -o Acquire::Retries=1 \
            update </dev/null 8>&- >/dev/null 2>&1 || true
    log=$(mktemp)
    if ! apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@" \
        </dev/null 8>&- >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install $*"
    fi
    rm -f "$log"
)
