#!/bin/sh
# deps.sh [old]: fills the folder DEPS with what the demo and the tests need beside Rust: a Python
# environment with MLflow, libxgboost, scikit-learn and a private PostgreSQL; or, for `old`, the
# folder DEPS_OLD with MLflow 2.9.2 and the libraries of its time, which the tests read models with. A
# second run is instant. System packages are installed only when something lacks and root or sudo
# is there; system-wide Python packages never.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
if [ "${1:-}" = old ]; then
    name=old contents="MLflow 2.9.2 and libraries of its time: about 600 MB"
    DEPS=${DEPS_OLD:?the folder to fill}
else
    name=dev contents="MLflow, libxgboost, scikit-learn, PostgreSQL: about 250 MB"
    : "${DEPS:?the folder to fill}"
fi
requirements=$here/deploy/requirements-$name.txt
constraints=$here/deploy/constraints-$name.txt
stamp=$DEPS/.complete

. "$here/scripts/apt.sh"
fail() { printf 'make deps: %s\n' "$*" >&2; exit 1; }

command -v cargo >/dev/null || fail "Rust is missing: install Rust 1.95 or newer with rustup, then open a new shell"
command -v cc >/dev/null || apt_install gcc libc6-dev ||
    fail "a C compiler is missing: install gcc and libc6-dev"

wanted=$(cat "$requirements" "$constraints" | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$DEPS/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

find_python() {
    for python in python3.11 python3; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            return 0
        fi
    done
    return 1
}
find_python || { apt_install python3 python3-venv && find_python; } || fail "Python 3.11 or newer is missing"

new_environment() {
    say "Python environment in $DEPS ($("$python" --version))"
    rm -rf "$DEPS"
    mkdir -p "$(dirname "$DEPS")"
    if "$python" -c 'import ensurepip' 2>/dev/null ||
        { apt_install python3-venv && "$python" -c 'import ensurepip' 2>/dev/null; }; then
        "$python" -m venv "$DEPS"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        # The system's pip fills an environment that has none of its own.
        "$python" -m venv --without-pip "$DEPS"
    elif "$python" -m virtualenv --version >/dev/null 2>&1; then
        "$python" -m virtualenv --quiet "$DEPS"
    else
        fail "neither venv, pip nor virtualenv is there: install python3-venv"
    fi
}
"$DEPS/bin/python" -c '' 2>/dev/null || new_environment

say "$contents to fetch, 1 to 3 minutes"
pip="$DEPS/bin/python -m pip"
[ -x "$DEPS/bin/pip" ] || pip="$python -m pip --python $DEPS/bin/python"
$pip install --disable-pip-version-check --no-input --progress-bar off --prefer-binary \
    -r "$requirements" -c "$constraints" | grep -E '^Collecting' || true
# grep hides pip's exit status; what counts is that everything is there.
$pip check --disable-pip-version-check >/dev/null && "$DEPS/bin/mlflow" --version >/dev/null ||
    fail "pip did not install everything; its messages are above"

printf '%s\n' "$wanted" >"$stamp"
say "$DEPS is complete"
