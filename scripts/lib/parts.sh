# The real parts that tests and demo run against: how they are installed, and where they are. To be sourced.
#
# Everything but Debian packages goes into $CACHE; a second run finds it there and downloads nothing. Services that
# a package would start are kept from starting, and no service that runs already is touched.

SYNAPSE_VERSION=1.163.2
PARSER_TESTS_VERSION=0.0.4
SCHEMATHESIS_VERSION=4.32.5
# A wheel that carries axe-core 4 as one script; nothing else of it is used.
AXE_VERSION=0.1.8

if [ "$(id -u)" = 0 ]; then
    # Servers that refuse to be root must be able to reach it, which they cannot below /root.
    CACHE=${BUNRAKU_TEST_CACHE:-/var/cache/bunraku-test}
else
    CACHE=${BUNRAKU_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bunraku-test}
fi
VENV=$CACHE/venv
SCHEMATHESIS_VENV=$CACHE/schemathesis
HYBRID_ROOT=$CACHE/ircd-hybrid
AXE=$CACHE/axe-$AXE_VERSION/axe_playwright_python/axe.min.js

die() {
    echo "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root is needed for: $* (and there is no sudo)"
    fi
}

# run_logged NAME COMMAND...: quiet when it works, everything it said when it does not.
run_logged() {
    local log=$CACHE/$1.log
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "failed: $* (all of it: $log)"
    fi
}

prepare_cache() {
    umask 022
    mkdir -p "$CACHE"
    command -v python3 >/dev/null || die "python3 is needed and not installed"
}

# need_cargo: finds rustup's cargo too where a non-login shell does not.
need_cargo() {
    command -v cargo >/dev/null || PATH=$HOME/.cargo/bin:$PATH
    command -v cargo >/dev/null || die "Rust is needed and not installed: see https://rustup.rs"
}

# apt_update: once per run; lists that are missing or old make every download fail.
APT_UPDATED=no
apt_update() {
    [ "$APT_UPDATED" = no ] || return 0
    run_logged apt-update as_root apt-get update -q
    APT_UPDATED=yes
}

# apt_need FILE=PACKAGE...: installs the packages whose file (a shell pattern) is not there. Removes none.
apt_need() {
    local pair missing=()
    for pair in "$@"; do
        compgen -G "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "  installing Debian packages: ${missing[*]}"
    apt_update
    forbid_service_starts
    run_logged apt-install as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends --no-remove "${missing[@]}"
    allow_service_starts
}

# Debian asks /usr/sbin/policy-rc.d before a package starts its service. A machine's own policy stays.
# Whoever sources this calls allow_service_starts when it ends, too.
POLICY=/usr/sbin/policy-rc.d
POLICY_IS_OURS=no
forbid_service_starts() {
    [ ! -e "$POLICY" ] || return 0
    POLICY_IS_OURS=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}
allow_service_starts() {
    [ "$POLICY_IS_OURS" = yes ] || return 0
    as_root rm -f "$POLICY"
    POLICY_IS_OURS=no
}

# python_env: the virtual environment with Synapse and the parser cases.
python_env() {
    local stamp="$VENV/installed-$SYNAPSE_VERSION-$PARSER_TESTS_VERSION"
    [ ! -e "$stamp" ] || return 0
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_need /nonexistent=python3-venv
    echo "  installing Synapse $SYNAPSE_VERSION from PyPI"
    run_logged venv python3 -m venv --clear "$VENV"
    run_logged pip "$VENV/bin/pip" install -q \
        "matrix-synapse==$SYNAPSE_VERSION" "irc-parser-tests==$PARSER_TESTS_VERSION"
    touch "$stamp"
}

# schemathesis_env: asks the API what its document allows. Apart from Synapse, which wants other versions of the same packages.
schemathesis_env() {
    local stamp="$SCHEMATHESIS_VENV/installed-$SCHEMATHESIS_VERSION"
    [ ! -e "$stamp" ] || return 0
    echo "  installing schemathesis $SCHEMATHESIS_VERSION from PyPI"
    run_logged schemathesis-venv python3 -m venv --clear "$SCHEMATHESIS_VENV"
    run_logged schemathesis-pip "$SCHEMATHESIS_VENV/bin/pip" install -q "schemathesis==$SCHEMATHESIS_VERSION"
    touch "$stamp"
}

# axe_core: the rules by which the setup widget is judged, unpacked from a wheel without what it depends on.
axe_core() {
    [ ! -e "$AXE" ] || return 0
    echo "  unpacking axe-core"
    run_logged axe "$VENV/bin/pip" install -q --no-deps --target "$CACHE/axe-$AXE_VERSION" "axe-playwright-python==$AXE_VERSION"
}

# hybrid_root: ircd-hybrid, unpacked and not installed, because its package and ngIRCd's want to be the one server.
hybrid_root() {
    local binary=$HYBRID_ROOT/usr/sbin/ircd-hybrid
    if [ ! -x "$binary" ]; then
        echo "  unpacking ircd-hybrid"
        rm -rf "$HYBRID_ROOT.new"
        mkdir -p "$HYBRID_ROOT.new/download"
        apt_update
        (cd "$HYBRID_ROOT.new/download" && run_logged hybrid-download apt-get download -q ircd-hybrid)
        run_logged hybrid-unpack dpkg -x "$HYBRID_ROOT.new"/download/ircd-hybrid_*.deb "$HYBRID_ROOT.new"
        rm -rf "$HYBRID_ROOT"
        mv "$HYBRID_ROOT.new" "$HYBRID_ROOT"
    fi
    # The folder of its modules is compiled in. A real folder there is an installed package's, and as good.
    local modules=/usr/lib/ircd-hybrid
    if [ -L "$modules" ] || [ ! -e "$modules" ]; then
        [ "$(readlink "$modules" || true)" = "$HYBRID_ROOT$modules" ] ||
            as_root ln -sfn "$HYBRID_ROOT$modules" "$modules"
    fi
}

# open_ident_port: lets the tests listen on port 113 of loopback addresses, the only one that IRC servers ask for an
# ident. Whoever sources this calls close_ident_port when it ends, too.
LOWEST_PORT=net.ipv4.ip_unprivileged_port_start
LOWEST_PORT_WAS=''
open_ident_port() {
    local lowest
    lowest=$(cat "/proc/sys/${LOWEST_PORT//.//}")
    [ "$(id -u)" != 0 ] && [ "$lowest" -gt 113 ] || return 0
    echo "  letting users listen on port 113, for the time of this run"
    as_root sysctl -q -w "$LOWEST_PORT=113"
    LOWEST_PORT_WAS=$lowest
}
close_ident_port() {
    [ -n "$LOWEST_PORT_WAS" ] || return 0
    as_root sysctl -q -w "$LOWEST_PORT=$LOWEST_PORT_WAS"
    LOWEST_PORT_WAS=''
}

# open_ipv6_block: makes a block of private IPv6 addresses this machine's, so that tests can connect from them; only
# where the kernel has IPv6. Whoever sources this calls close_ipv6_block when it ends, too.
IPV6_BLOCK=fd00:b0a:ca::/64
IPV6_BLOCK_IS_OURS=no
open_ipv6_block() {
    [ -e /proc/net/ipv6_route ] || return 0
    ! grep -q '^fd000b0a00ca00000000000000000000 40' /proc/net/ipv6_route || return 0
    as_root ip -6 route add local "$IPV6_BLOCK" dev lo
    IPV6_BLOCK_IS_OURS=yes
}
close_ipv6_block() {
    [ "$IPV6_BLOCK_IS_OURS" = yes ] || return 0
    as_root ip -6 route del local "$IPV6_BLOCK" dev lo
    IPV6_BLOCK_IS_OURS=no
}

# open_small_disk: a disk small enough to be filled, for tests of users who may not mount one; root's tests mount their
# own. Whoever sources this calls close_small_disk when it ends, too.
SMALL_DISK=''
open_small_disk() {
    [ "$(id -u)" != 0 ] || return 0
    SMALL_DISK=$(mktemp -d "${TMPDIR:-/tmp}/bunraku-small.XXXXXX")
    as_root mount -t tmpfs -o "size=16m,uid=$(id -u),mode=700" tmpfs "$SMALL_DISK"
    export BUNRAKU_SMALL_DISK=$SMALL_DISK
}
close_small_disk() {
    [ -n "$SMALL_DISK" ] || return 0
    as_root umount "$SMALL_DISK"
    rmdir "$SMALL_DISK"
    SMALL_DISK=''
}

# end_group PID: ends a process group that we started, and waits for it.
end_group() {
    kill -TERM -- "-$1" 2>/dev/null || return 0
    local _
    for _ in $(seq 50); do
        kill -0 -- "-$1" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}

# free_port: a loopback port nobody listens on, below those the kernel gives to outgoing connections.
free_port() {
    python3 - <<'PY'
import random, socket
for port in random.sample(range(16000, 20000), 200):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(port)
        break
PY
}

# start_postgres DIR: a private PostgreSQL in DIR on a free port. Sets POSTGRES_PID and POSTGRES_URL.
start_postgres() {
    local dir=$1 port bin as=()
    bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1)
    port=$(free_port)
    mkdir -p "$dir"
    if [ "$(id -u)" = 0 ]; then
        # It refuses to be root.
        chown postgres "$dir"
        as=(setpriv --reuid=postgres --regid=postgres --init-groups)
    fi
    (cd "$dir" && run_logged initdb "${as[@]}" "$bin/initdb" -D "$dir/data" -U bunraku -A trust -E UTF8 --locale=C)
    # Tests want its semantics, not its durability.
    (cd "$dir" && exec "${as[@]}" "$bin/postgres" -D "$dir/data" -h 127.0.0.1 -p "$port" -k '' \
        -c fsync=off -c max_connections=200 >"$CACHE/postgres.log" 2>&1) &
    POSTGRES_PID=$!
    local _
    for _ in $(seq 100); do
        if "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; then break; fi
        kill -0 "$POSTGRES_PID" 2>/dev/null || die "PostgreSQL did not start; see $CACHE/postgres.log"
        sleep 0.1
    done
    POSTGRES_URL=postgres://bunraku@127.0.0.1:$port/postgres
}
