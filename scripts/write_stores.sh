# The part that write_ffcv.sh and write_dali.sh share. They source this file; it is not run by itself.

fail() {
  echo "error: $1" >&2
  exit 2
}

# write_stores COMMAND SUFFIX SOURCE OUT_DIR [options]: converts SOURCE/train and SOURCE/val to OUT_DIR/trainSUFFIX and
# OUT_DIR/valSUFFIX with `python -m dataprep COMMAND`.
write_stores() {
  local command=$1 suffix=$2
  shift 2
  [ $# -ge 2 ] || fail "give SOURCE (with train and val folders) and OUT_DIR: $0 SOURCE OUT_DIR [options]"
  local source_dir out_dir part
  source_dir=$(realpath -m -- "$1")
  out_dir=$(realpath -m -- "$2")
  shift 2
  for part in train val; do
    [ -d "$source_dir/$part" ] || fail "there is no folder $source_dir/$part; SOURCE must hold train and val"
  done

  local repository python
  repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
  python=$repository/.venv/bin/python
  if [ ! -x "$python" ]; then
    python=$(command -v python3) || fail "there is no Python; run scripts/setup.sh"
  fi
  export PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH}
  "$python" -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("ffcv") and u.find_spec("PIL")))' ||
    fail "$python lacks ffcv or Pillow; run scripts/setup.sh"

  for part in train val; do
    "$python" -m dataprep "$command" "$source_dir/$part" "$out_dir/$part$suffix" "$@"
  done
}
