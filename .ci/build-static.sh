#!/bin/sh
# One file that needs no shared library: .build-static/release/pith.
#
# The linker takes a shared library wherever a folder has both kinds. So Debian's archives are
# linked into a folder of their own, and pkg-config is given descriptions that name only it.
set -eu
scratch="$PWD/.build-static"
archives="$scratch/archives"
packages="$scratch/pkgconfig"
mkdir -p "$archives" "$packages"

# Where an archive is, by its name; gcc knows its own folders and the system's.
place() {
  for folder in "/usr/lib/$(uname -m)-linux-gnu/hdf5/serial" "/usr/lib/$(uname -m)-linux-gnu/openblas-pthread"; do
    [ -e "$folder/$1" ] && { echo "$folder/$1"; return; }
  done
  path="$(gcc -print-file-name="$1")"
  [ "$path" != "$1" ] || { echo "error: $1 is missing; install the -dev package that has it" >&2; exit 1; }
  echo "$path"
}
for name in hdf5 openblas crypto pcre2-8 z sz aec gfortran quadmath stdc++; do
  ln -sf "$(place "lib$name.a")" "$archives/"
done

# Order matters: each library before those that it needs.
describe() { # name, compiler flags, libraries
  printf 'Name: %s\nDescription: static\nVersion: 1\nCflags: %s\nLibs: -L%s %s\n' "$1" "$2" "$archives" "$3" \
    > "$packages/$1.pc"
}
describe hdf5 "$(pkg-config --cflags hdf5)" "-lhdf5 -lsz -laec -lz -ldl -lm"
describe openblas "$(pkg-config --cflags openblas)" "-lopenblas -lgfortran -lquadmath -lm -lpthread"
describe lapacke "" ""
describe libcrypto "" "-lcrypto -ldl -lpthread"
describe libpcre2-8 "" "-lpcre2-8"
describe zlib "" "-lz"

PKG_CONFIG_PATH="$packages" swift build -c release --product pith --scratch-path "$scratch" \
  -Xswiftc -static-executable -Xlinker --strip-all
echo "built: .build-static/release/pith"
ldd "$scratch/release/pith" 2>&1 | sed 's/^/  /'
