# For `.`: how the set-up scripts install system packages and speak.

say() { printf '==> %s\n' "$*"; }

# apt_install PACKAGE...: false without root, sudo or apt.
apt_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then sudo=; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo=sudo; else return 1; fi
    say "Installing $* with apt"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
