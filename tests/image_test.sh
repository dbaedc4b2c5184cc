#!/usr/bin/env bash
# Builds the image of Dockerfile without a daemon, and works in it as its user does.
#   tests/image_test.sh [CUDA=1 …]      build arguments, if any
# debootstrap makes the base image from this machine's own mirror and settings, under the name that
# Dockerfile asks for; it is kept in ~/.cache. IMAGE_TEST_BASE names a tarball to use instead. This
# needs root, buildah and, unless there is a tarball, debootstrap; without them it says so and ends
# with 0.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "image-test: skipped: $*"; exit 0; }
say() { echo "image-test: $*"; }

[ "$(id -u)" = 0 ] || skip 'this is not root'
command -v buildah >/dev/null || skip 'no buildah here (apt-get install buildah)'
name=$(sed -n 's/^FROM \(\S*\).*/\1/p' Dockerfile | sort -u)
base=${IMAGE_TEST_BASE:-${XDG_CACHE_HOME:-$HOME/.cache}/fcn/${name//[:\/]/-}.tar}
work=$(mktemp -d "${TMPDIR:-/tmp}/image-test-XXXXXX")
container=
# The images of this test are kept apart from those of the machine.
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
store=(--root "$work/images" --runroot "$work/run")
cleanup() {
  buildah "${store[@]}" rm --all >/dev/null 2>&1 || true
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

make_base() { # TARBALL
  command -v debootstrap >/dev/null || skip 'no debootstrap here (apt-get install debootstrap)'
  local suite=${name#*:} root=$work/base
  suite=${suite%-slim}
  say "debootstrapping $suite"
  debootstrap --variant=minbase "$suite" "$root" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  mkdir -p "$(dirname "$1")"
  tar -C "$root" -cf "$1.partial" . && mv "$1.partial" "$1"
  rm -rf --one-file-system "$root"
}

# How this machine reaches its archives and package index: for the test only, in no committed file.
settings() {
  local path
  for path in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list \
      /etc/apt/apt.conf.d/99* /etc/pip.conf /usr/local/share/ca-certificates/*.crt /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$path" ] || buildah "${store[@]}" copy -q "$container" "$(readlink -f "$path")" "$path" >/dev/null
  done
}

[ -e "$base" ] || make_base "$base"
container=$(buildah "${store[@]}" from scratch)
buildah "${store[@]}" add -q "$container" "$base" / >/dev/null
buildah "${store[@]}" run "$container" -- sh -c 'rm -f /etc/apt/sources.list'
settings
buildah "${store[@]}" config --cmd bash "$container"
buildah "${store[@]}" commit -q --rm "$container" "docker.io/library/$name" >/dev/null

arguments=()
for argument in "$@"; do arguments+=(--build-arg "$argument"); done
SECONDS=0
buildah "${store[@]}" bud --format docker --pull-never --layers=false "${arguments[@]}" -t fcn . >"$work/log" 2>&1 ||
  { tail -n 60 "$work/log" >&2; say 'the build failed'; exit 1; }
say "built in $SECONDS s"

container=$(buildah "${store[@]}" from --pull-never localhost/fcn)
inside() { buildah "${store[@]}" run "$container" -- "$@"; }
imported=$(inside python -c 'import caffe; from caffe import _build; print(caffe.__version__, "CUDA", _build.CUDA)')
say "imported Caffe $imported"
[ "$(inside id -un)" = fcn ] || { say 'runs as another user than fcn'; exit 1; }
inside sh -c '! command -v gcc cc g++ c++ nvcc cmake' || { say 'a compiler is in the image'; exit 1; }
inside test -w runs -a -w data -a -w weights
buildah "${store[@]}" inspect --type image --format '{{.Docker.Config.Healthcheck}}' localhost/fcn | grep -q 'import caffe'
inside python nets/voc-fcn8s/net.py
inside fcn --version
for command in solve score infer prepare serve; do inside python "$command.py" --help >/dev/null; done
SECONDS=0
inside python -m miniature --quick
say "the miniature trained in $SECONDS s"
inside python infer.py data/mini/JPEGImages --net mini-fcn8s --out /tmp/inferred
inside sh -c "ls /tmp/inferred/*.png | wc -l | xargs echo pictures:"
inside sh -c 'python serve.py --host 0.0.0.0 & for second in $(seq 60); do
  curl --fail --silent http://127.0.0.1:8000/healthz && exit; sleep 1; done; exit 1'
say 'passed'
