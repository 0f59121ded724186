# Makes `.venv` ready. Sourced by the scripts beside it, which then call `ready` with an extra or with nothing.
# After it, `$root` is the project's folder, the current one, and `$python` the interpreter of its `.venv`.
set -euo pipefail
unset CDPATH PYTHONHOME PYTHONPATH
unset PYTHONDONTWRITEBYTECODE  # each of the many processes that tests start would compile all of Hush anew
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
python=$root/.venv/bin/python
stamp=$root/.venv/hush-installed

say() { printf '%s\n' "$*" >&2; }

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# A `.venv` whose making was broken off may lack pip.
stands() { fits "$python" && "$python" -c 'import pip' >/dev/null 2>&1; }

# Prints the first Python that is new enough. `PYTHON=python3.13 bash scripts/test` asks for a certain one.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3 python3.12 python3.13 python}; do
        if fits "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    if [ -n "${PYTHON:-}" ]; then
        say "Hush needs Python 3.11 or newer, and PYTHON=$PYTHON does not name one."
    else
        say "Hush needs Python 3.11 or newer, and found none: install it, or name it: PYTHON=/path/to/python3 bash scripts/test"
    fi
    return 1
}

make_venv() {
    local base=$1
    if ! "$base" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        say "$base lacks venv or pip. On Debian and Ubuntu: apt install python3-venv"
        return 1
    fi
    say "Making .venv with $("$base" --version) ..."
    "$base" -m venv --clear "$root/.venv"
}

# What the installed things depend on: the folder too, because an editable install points to it.
key() {
    "$python" - "$root" <<'PY'
import hashlib, pathlib, sys

parts = [sys.argv[1], sys.version]
parts += [pathlib.Path(name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
print(hashlib.sha256("\0".join(parts).encode()).hexdigest())
PY
}

# ready [EXTRA]: does nothing if the package stands installed with that extra, or with more.
ready() {
    local extra=${1:-} base now
    if ! stands || [ -n "${PYTHON:-}" ]; then
        base=$(find_python)
        if ! stands || [ "$("$base" --version)" != "$("$python" --version)" ]; then
            make_venv "$base"
        fi
    fi
    now=$(key)
    if [ -f "$stamp" ]; then
        case "$(cat "$stamp")" in
            "$now $extra" | "$now test") return ;;
        esac
    fi
    # The stamp goes first: an install that is broken off must not pass for a finished one.
    rm -f "$stamp"
    say "Installing into .venv (once; done again when pyproject.toml or constraints.txt change) ..."
    "$python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${extra:+[$extra]}"
    printf '%s %s\n' "$now" "$extra" >"$stamp"
}
