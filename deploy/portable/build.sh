#!/bin/sh
# Builds the interpreter of the portable exporter: build.sh ZIG ARCHITECTURE SOURCES STAGE
#
#   ZIG           path of the compiler zig
#   ARCHITECTURE  x86_64 or aarch64
#   SOURCES       directory with the unpacked sources: openssl, zlib, xz, libffi and python
#   STAGE         directory for the build; the results are STAGE/python3.13 and STAGE/launch
#
# Every library is linked into the program, so that it needs only glibc 2.17. Their symbols are hidden: the
# libraries inside lxml and bcrypt must not find them. BUILD_PYTHON is a Python of the same version that runs on this
# machine; to build for another architecture, Python needs it.
set -eu
[ $# = 4 ] || { echo 'usage: build.sh ZIG ARCHITECTURE SOURCES STAGE' >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
zig=$(realpath "$1") architecture=$2 sources=$(realpath "$3") stage=$4
mkdir -p "$stage"
stage=$(realpath "$stage")
jobs=$(nproc)
target=$architecture-linux-gnu

# --- Compiler ---------------------------------------------------------------------------------

tools=$stage/tools libraries=$stage/libraries
mkdir -p "$tools" "$libraries"
export ZIG_GLOBAL_CACHE_DIR="$stage/zig-cache" ZIG_LOCAL_CACHE_DIR="$stage/zig-cache"
# Without paths of this machine, two builds give the same bytes. zig would check for undefined behaviour.
cat >"$tools/cc" <<END
#!/bin/sh
exec "$zig" cc -target $target.2.17 -fno-sanitize=undefined -Wno-date-time \\
    -ffile-prefix-map="$stage"=. -ffile-prefix-map="$sources"=. "\$@"
END
for tool in ar ranlib; do
    printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" "$tool" >"$tools/$tool"
done
chmod +x "$tools"/*
# By name, because OpenSSL and Python remember how they were compiled.
export PATH="$tools:$PATH" CC=cc AR=ar RANLIB=ranlib SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}" LC_ALL=C

hidden='-O2 -g0 -fPIC -fvisibility=hidden -fstack-protector-strong'

# A step that is done is not repeated when the build continues after a failure.
step() {
    [ ! -e "$stage/.$1" ] || return 0
    echo "portable: building $1"
    set +e # in a condition the shell would ignore errors inside the step, too
    (set -e; "build_$1") >"$stage/$1.log" 2>&1
    code=$?
    set -e
    if [ "$code" != 0 ]; then
        tail -n 20 "$stage/$1.log" >&2
        echo "portable: building $1 failed: the end of $stage/$1.log is above" >&2
        exit 1
    fi
    touch "$stage/.$1"
}

fresh() {
    rm -rf "${stage:?}/build/$1"
    mkdir -p "$stage/build/$1"
    cd "$stage/build/$1"
}

# --- Libraries --------------------------------------------------------------------------------

build_zlib() {
    rm -rf "$stage/build/zlib"
    mkdir -p "$stage/build"
    cp -r "$sources/zlib" "$stage/build/zlib" # builds only in its own directory
    cd "$stage/build/zlib"
    CFLAGS=$hidden CHOST=$target ./configure --static --prefix="$libraries"
    make -j "$jobs" libz.a
    install -D -m 644 -t "$libraries/lib" libz.a
    install -D -m 644 -t "$libraries/include" zlib.h zconf.h
}

build_xz() {
    fresh xz
    CFLAGS=$hidden "$sources/xz/configure" --quiet --host="$target" --prefix="$libraries" --disable-shared \
        --disable-xz --disable-xzdec --disable-lzmadec --disable-lzmainfo --disable-lzma-links --disable-scripts \
        --disable-doc --disable-nls --disable-threads --disable-dependency-tracking
    make -j "$jobs" install
}

# Debian's archive has no configure script, which only autotools could create. The few macros are known.
build_libffi() {
    fresh libffi
    ffi=$sources/libffi
    case $architecture in
        x86_64) name=X86_64 port=x86 files='ffi64.c ffiw64.c unix64.S win64.S' ;;
        aarch64) name=AARCH64 port=aarch64 files='ffi.c sysv.S' ;;
    esac
    sed "s/@TARGET@/$name/; s/@HAVE_LONG_DOUBLE@/1/; s/@FFI_EXEC_TRAMPOLINE_TABLE@/0/" "$ffi/include/ffi.h.in" >ffi.h
    for macro in ALLOCA_H AS_CFI_PSEUDO_OP AS_X86_PCREL HIDDEN_VISIBILITY_ATTRIBUTE LONG_DOUBLE MEMCPY MKOSTEMP MMAP; do
        echo "#define HAVE_$macro 1"
    done >fficonfig.h
    cat >>fficonfig.h <<'END'
#define STDC_HEADERS 1
#define FFI_EXEC_STATIC_TRAMP 1
#define EH_FRAME_FLAGS "a"
#ifdef LIBFFI_ASM
#define FFI_HIDDEN(name) .hidden name
#else
#define FFI_HIDDEN __attribute__ ((visibility ("hidden")))
#endif
END
    for file in prep_cif.c types.c raw_api.c java_raw_api.c closures.c tramp.c; do
        files="$files ../$file"
    done
    for file in $files; do
        # shellcheck disable=SC2086 # hidden is a list of words
        cc $hidden -DHAVE_CONFIG_H -I. -I"$ffi/include" -I"$ffi/src/$port" -I"$ffi/src" -c "$ffi/src/$port/$file"
    done
    ar rcs libffi.a ./*.o
    install -D -m 644 -t "$libraries/lib" libffi.a
    install -D -m 644 -t "$libraries/include" ffi.h "$ffi/src/$port/ffitarget.h"
}

# The exporter serves TLS 1.2 and 1.3; it reads keys and certificates. The machine's openssl.cnf is for another
# version and is not read.
build_openssl() {
    fresh openssl
    case $architecture in
        x86_64) system=linux-x86_64 ;;
        aarch64) system=linux-aarch64 ;;
    esac
    # shellcheck disable=SC2086 # hidden is a list of words
    "$sources/openssl/Configure" $system --prefix=/portable --libdir=lib --openssldir=/etc/ssl \
        no-shared no-tests no-docs no-apps no-module no-legacy no-autoload-config no-engine no-zlib no-comp no-async \
        no-secure-memory no-ssl3 no-tls1 no-tls1_1 no-dtls no-quic no-srp no-psk no-srtp no-ct no-ts no-cms no-cmp \
        no-ocsp no-gost no-idea no-rc2 no-rc4 no-seed no-camellia no-aria no-bf no-cast no-md4 no-mdc2 no-whirlpool \
        no-rmd160 no-sm2 no-sm3 no-sm4 no-siphash no-siv no-ec2m no-slh-dsa no-ml-dsa no-http no-uplink $hidden
    make -j "$jobs" build_libs
    make install_dev DESTDIR="$stage/openssl"
    cp -r "$stage/openssl/portable/." "$libraries"
}

# --- Python -----------------------------------------------------------------------------------

build_python() {
    fresh python
    # n/a leaves out the modules that the exporter does not import and that need more libraries.
    for module in _bz2 _curses _curses_panel _dbm _elementtree _gdbm _lsprof _sqlite3 _tkinter _uuid _zoneinfo \
        pyexpat readline; do
        export "py_cv_module_$module=n/a"
    done
    export MODULE_BUILDTYPE=static PKG_CONFIG=false
    export CPPFLAGS="-I$libraries/include" LDFLAGS="-L$libraries/lib -s"
    export OPT='-DNDEBUG -fwrapv -O2 -g0' CFLAGS='-fstack-protector-strong'
    export ZLIB_CFLAGS=" " ZLIB_LIBS="-lz" LIBLZMA_CFLAGS=" " LIBLZMA_LIBS="-llzma" LIBFFI_CFLAGS=" " LIBFFI_LIBS="-lffi"
    cross=
    [ -z "${BUILD_PYTHON:-}" ] || cross="--host=$target --build=$(uname -m)-linux-gnu --with-build-python=$BUILD_PYTHON
        ac_cv_file__dev_ptmx=yes ac_cv_file__dev_ptc=no ac_cv_buggy_getaddrinfo=no"
    # shellcheck disable=SC2086 # cross is a list of words
    "$(realpath --relative-to=. "$sources/python")/configure" --quiet --prefix=/python --disable-shared --disable-test-modules --without-ensurepip \
        --with-readline=no --with-openssl="$libraries" --with-openssl-rpath=no $cross
    make -j "$jobs" python
    install -m 755 python "$stage/python3.13"
}

# The interpreter once more, with another main: make links the program from Programs/python.o.
build_launch() {
    cd "$stage/build/python"
    cc -O2 -g0 -I"$sources/python/Include" -I. -c -o Programs/python.o "$here/launch.c"
    make BUILDPYTHON=launch launch
    install -m 755 launch "$stage/launch"
}

step zlib
step xz
step libffi
step openssl
step python
step launch
