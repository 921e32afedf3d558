# setup - makes the running bash a build environment of <debian>: variables, functions, phases.
# Sourced by builds (default-builder.sh) and when a shell is entered. It starts no program and changes no option of
# the shell; it holds under `set -eu`. @env@ and @triplet@ were filled in when the environment was made.

# Attributes, where they are structured: variables, arrays and maps.
if [[ -n "${NIX_ATTRS_SH_FILE:-}" && -e "$NIX_ATTRS_SH_FILE" ]]; then
  # shellcheck source=/dev/null
  . "$NIX_ATTRS_SH_FILE"
  if declare -p outputs &>/dev/null && [[ "$(declare -p outputs)" == "declare -A"* ]]; then
    for _output in "${!outputs[@]}"; do export "$_output=${outputs[$_output]}"; done
    unset _output
  fi
fi

_env=@env@
_lib=$_env/usr/lib/@triplet@

# ---- Variables ------------------------------------------------------------------------------------------------

# They beat the run paths of the store's programs, or lead the machine's own programs astray.
unset LD_LIBRARY_PATH LD_PRELOAD LOCPATH GCONV_PATH PERL5LIB PYTHONHOME

# addToSearchPathWithCustomDelimiter : VARIABLE DIRECTORY
addToSearchPathWithCustomDelimiter() {
  local delimiter="$1" variable="$2" directory="$3"
  [[ -d "$directory" ]] || return 0
  export "${variable}=${!variable:+${!variable}$delimiter}$directory"
}
addToSearchPath() { addToSearchPathWithCustomDelimiter : "$@"; }

# _setIfThere VARIABLE PATH: exports a variable that names something in the environment, where it is there.
_setIfThere() { [[ ! -e "$2" ]] || export "$1=$2"; }

: "${stdenv:=$_env}" "${NIX_STORE:=${_env%/*}}" "${NIX_BUILD_CORES:=1}" "${NIX_LOG_FD:=}"
: "${system:=}" "${SOURCE_DATE_EPOCH:=315532800}"
export stdenv NIX_STORE NIX_BUILD_CORES SOURCE_DATE_EPOCH

PATH=
PKG_CONFIG_PATH= CMAKE_PREFIX_PATH= ACLOCAL_PATH= MANPATH= XDG_DATA_DIRS= XDG_CONFIG_DIRS=
# What the derivation names besides Debian's packages: build tools first, then libraries.
for _input in ${nativeBuildInputs[*]:-} ${propagatedNativeBuildInputs[*]:-} ${buildInputs[*]:-} \
  ${propagatedBuildInputs[*]:-}; do
  [[ -d "$_input" && "$_input" != "$_env" ]] || continue
  addToSearchPath PATH "$_input/bin"
  addToSearchPath PKG_CONFIG_PATH "$_input/lib/pkgconfig"
  addToSearchPath PKG_CONFIG_PATH "$_input/share/pkgconfig"
  addToSearchPath CMAKE_PREFIX_PATH "$_input"
  addToSearchPath ACLOCAL_PATH "$_input/share/aclocal"
  addToSearchPath MANPATH "$_input/share/man"
  addToSearchPath XDG_DATA_DIRS "$_input/share"
  # Unwrapped compilers look here; Debian's own places are in gcc's specs.
  addToSearchPath CPATH "$_input/include"
  addToSearchPath LIBRARY_PATH "$_input/lib"
  [[ ! -d "$_input/lib" ]] || NIX_LDFLAGS="${NIX_LDFLAGS:+$NIX_LDFLAGS }-rpath $_input/lib"
done
# ld takes its run path from here where no -rpath is given; gcc's specs always give one, so libraries of inputs
# are added through LDFLAGS.
if [[ -n "${NIX_LDFLAGS:-}" ]]; then
  export NIX_LDFLAGS
  export LDFLAGS="${LDFLAGS:+$LDFLAGS }-Wl,${NIX_LDFLAGS// /,}"
fi
unset _input

addToSearchPath PATH "$_env/usr/bin"
addToSearchPath PATH "$_env/usr/sbin"
addToSearchPath CMAKE_PREFIX_PATH "$_env/usr"
addToSearchPath ACLOCAL_PATH "$_env/usr/share/aclocal"
addToSearchPath MANPATH "$_env/usr/share/man"
addToSearchPath XDG_DATA_DIRS "$_env/usr/share"
addToSearchPath XDG_CONFIG_DIRS "$_env/etc/xdg"
export PATH
# It replaces pkg-config's built-in places; without it the machine's packages would be found.
export PKG_CONFIG_LIBDIR="$_lib/pkgconfig:$_env/usr/share/pkgconfig"
[[ -n "$PKG_CONFIG_PATH" ]] || unset PKG_CONFIG_PATH

export SHELL="$_env/usr/bin/bash" CONFIG_SHELL="$_env/usr/bin/bash"
export LANG="${LANG:-C.UTF-8}"
_setIfThere GIO_MODULE_DIR "$_lib/gio/modules"
_setIfThere GDK_PIXBUF_MODULE_FILE "$_lib/gdk-pixbuf-2.0/2.10.0/loaders.cache"
_setIfThere FONTCONFIG_FILE "$_env/etc/fonts/fonts.conf"
_setIfThere XKB_CONFIG_ROOT "$_env/usr/share/X11/xkb"
_setIfThere XLOCALEDIR "$_env/usr/share/X11/locale"
_setIfThere TZDIR "$_env/usr/share/zoneinfo"
_setIfThere SSL_CERT_FILE "$_env/etc/ssl/certs/ca-certificates.crt"
_setIfThere GETTEXTDATADIR "$_env/usr/share/gettext"
_setIfThere XML_CATALOG_FILES "$_env/etc/xml/catalog"
_setIfThere BISON_PKGDATADIR "$_env/usr/share/bison"
_setIfThere GI_TYPELIB_PATH "$_lib/girepository-1.0"
if [[ -d "$_lib/gtk-3.0" || -d "$_lib/gtk-2.0" || -d "$_lib/gtk-4.0" ]]; then
  export GTK_EXE_PREFIX="$_env/usr" GTK_DATA_PREFIX="$_env/usr"
fi
if [[ -d "$_env/usr/share/terminfo" || -d "$_env/usr/lib/terminfo" ]]; then
  export TERMINFO_DIRS="$_env/usr/share/terminfo:$_env/usr/lib/terminfo:/usr/share/terminfo:/lib/terminfo:/etc/terminfo"
fi
if [[ -x "$_env/usr/bin/gcc" ]]; then
  export CC="${CC:-gcc}" AR="${AR:-ar}" LD="${LD:-ld}" NM="${NM:-nm}" RANLIB="${RANLIB:-ranlib}" STRIP="${STRIP:-strip}"
fi
[[ ! -x "$_env/usr/bin/g++" ]] || export CXX="${CXX:-g++}"
# clang knows no specs: it is told by its own variable.
for _clang in "$_env"/usr/bin/clang "$_env"/usr/bin/clang-[0-9]*; do
  [[ -x "$_clang" ]] || continue
  export CCC_OVERRIDE_OPTIONS="# ^--sysroot=$_env ^-Wno-unused-command-line-argument ^-Wl,--dynamic-linker=@loader@ ^-Wl,-rpath,$_lib"
  break
done
unset _clang

: "${outputs:=out}"

# ---- Hooks and texts ------------------------------------------------------------------------------------------

# Runs NAME: a function, or a variable's text; and what the array NAMEHooks (preHooks …) lists.
_eval() {
  if declare -F "$1" >/dev/null; then "$@"; else eval "$1"; fi
}
runHook() {
  local hookName="$1" hook
  shift
  local -n _hooks="${hookName%Hook}Hooks"
  for hook in ${_hooks[@]+"${_hooks[@]}"}; do _eval "$hook" "$@"; done
  if declare -F "$hookName" >/dev/null; then
    "$hookName" "$@"
  elif [[ -n "${!hookName:-}" ]]; then
    eval "${!hookName}"
  fi
}
runOneHook() { runHook "$@"; }

echoCmd() { printf '%s:' "$1"; shift; printf ' %q' "$@"; echo; }
stripHash() {
  local name="${1##*/}"
  [[ "$name" =~ ^[a-z0-9]{32}- ]] && name="${name:33}"
  echo "$name"
}
isScript() { local magic; LC_ALL=C read -r -n 2 magic <"$1" 2>/dev/null && [[ "$magic" == "#!" ]]; }
isELF() { local magic; LC_ALL=C read -r -n 4 magic <"$1" 2>/dev/null && [[ "$magic" == $'\177ELF' ]]; }

# substituteStream TEXT-VARIABLE LABEL ARGUMENT...
substituteStream() {
  local -n _text="$1"
  local label="$2" pattern replacement mode
  shift 2
  while (($# > 0)); do
    case "$1" in
    --replace | --replace-warn | --replace-fail | --replace-quiet)
      mode="$1" pattern="$2" replacement="$3"
      shift 3
      if [[ "$_text" != *"$pattern"* ]]; then
        [[ "$mode" != --replace-fail ]] || {
          echo "substitute: pattern '$pattern' doesn't match anything in file '$label'" >&2
          return 1
        }
        [[ "$mode" == --replace-quiet ]] || echo "substitute: pattern '$pattern' doesn't match anything in file '$label'" >&2
        continue
      fi
      ;;
    --subst-var)
      pattern="@$2@" replacement="${!2-}"
      shift 2
      ;;
    --subst-var-by)
      pattern="@$2@" replacement="$3"
      shift 3
      ;;
    *)
      echo "substitute: Invalid command line argument: $1" >&2
      return 1
      ;;
    esac
    _text="${_text//"$pattern"/"$replacement"}"
  done
}
substitute() {
  local input="$1" output="$2" content
  shift 2
  [[ -f "$input" ]] || {
    echo "substitute: file '$input' does not exist" >&2
    return 1
  }
  IFS='' read -r -d '' content <"$input" || :
  substituteStream content "$input" "$@" || return 1
  printf '%s' "$content" >"$output"
}
substituteInPlace() {
  local -a files=()
  while (($# > 0)) && [[ "$1" != --* ]]; do
    files+=("$1")
    shift
  done
  local file
  for file in "${files[@]}"; do substitute "$file" "$file" "$@" || return 1; done
}
_variableArguments() {
  _arguments=()
  local name
  for name in $(compgen -e); do
    [[ "$name" =~ ^[a-z][a-zA-Z0-9_]*$ ]] && _arguments+=(--subst-var "$name")
  done
}
substituteAll() {
  local -a _arguments
  _variableArguments
  substitute "$1" "$2" "${_arguments[@]}"
}
substituteAllInPlace() {
  local file
  for file in "$@"; do substituteAll "$file" "$file"; done
}

# _words NAME TARGET: appends a list variable (array or words) to the array TARGET, then NAMEArray.
_words() {
  local -n _target="$2"
  local _declaration
  if _declaration="$(declare -p "$1" 2>/dev/null)" && [[ "$_declaration" == "declare -"*a* ]]; then
    local -n _source="$1"
    _target+=(${_source[@]+"${_source[@]}"})
  elif [[ -n "${!1:-}" ]]; then
    # shellcheck disable=SC2206
    _target+=(${!1})
  fi
  local -n _array="${1}Array"
  _target+=(${_array[@]+"${_array[@]}"})
}
_cores() {
  if [[ "$NIX_BUILD_CORES" == 0 ]]; then nproc; else echo "$NIX_BUILD_CORES"; fi
}

# ---- Phases ---------------------------------------------------------------------------------------------------

unpackFile() {
  curSrc="$1"
  echo "unpacking source archive $curSrc"
  runHook unpackCmd "$curSrc"
}
_unpack() {
  local source="$1"
  if [[ -d "$source" ]]; then
    cp -pr --reflink=auto -- "$source" "$(stripHash "$source")"
    return
  fi
  case "$source" in
  *.tar | *.tar.* | *.tgz | *.tbz2 | *.tbz | *.txz | *.tzst) tar xf "$source" --no-same-owner --mode=+w --warning=no-timestamp ;;
  *.zip) unzip -qq "$source" ;;
  *)
    echo "do not know how to unpack source archive $source" >&2
    return 1
    ;;
  esac
}
unpackPhase() {
  runHook preUnpack
  local -a sources=()
  _words srcs sources
  [[ ${#sources[@]} -gt 0 || -z "${src:-}" ]] || sources=("$src")
  if [[ ${#sources[@]} -eq 0 ]]; then
    echo 'variable $src or $srcs should point to the source'
    return 1
  fi
  local before="" entry one
  for entry in *; do [[ ! -d "$entry" ]] || before="$before:$entry:"; done
  for one in "${sources[@]}"; do
    if declare -F unpackCmd >/dev/null || [[ -n "${unpackCmd:-}" ]]; then unpackFile "$one"; else
      echo "unpacking source archive $one"
      _unpack "$one"
    fi
  done
  : "${sourceRoot=}"
  if [[ -n "${setSourceRoot:-}" ]]; then
    runHook setSourceRoot
  elif [[ -z "$sourceRoot" ]]; then
    for entry in *; do
      [[ -d "$entry" && "$before" != *":$entry:"* ]] || continue
      if [[ -n "$sourceRoot" ]]; then
        echo "unpacker produced multiple directories" >&2
        return 1
      fi
      sourceRoot="$entry"
    done
  fi
  if [[ -z "$sourceRoot" ]]; then
    echo "unpacker appears to have produced no directories" >&2
    return 1
  fi
  echo "source root is $sourceRoot"
  [[ -n "${dontMakeSourcesWritable:-}" ]] || chmod -R u+w -- "$sourceRoot"
  runHook postUnpack
}

patchPhase() {
  runHook prePatch
  local -a list=()
  _words patches list
  local one
  for one in ${list[@]+"${list[@]}"}; do
    echo "applying patch $one"
    case "$one" in
    *.gz) gzip -d <"$one" ;;
    *.bz2) bzip2 -d <"$one" ;;
    *.xz) xz -d <"$one" ;;
    *) cat "$one" ;;
    esac | patch ${patchFlags:--p1}
  done
  runHook postPatch
}

# Which build system the source has: autotools, cmake, meson or none; the variable buildSystem decides where it is set.
_buildSystem() {
  if [[ -n "${buildSystem:-}" ]]; then
    echo "$buildSystem"
  elif [[ -n "${configureScript:-}" || -x ./configure ]]; then
    echo autotools
  elif [[ -f CMakeLists.txt ]] && type -P cmake >/dev/null; then
    echo cmake
  elif [[ -f meson.build ]] && type -P meson >/dev/null; then
    echo meson
  elif [[ -f configure.ac || -f configure.in ]] && type -P autoreconf >/dev/null; then
    echo autoreconf
  else
    echo none
  fi
}
# $prefix is $out as it is when a phase runs: in a shell people set it to a place of their own.
configurePhase() {
  local prefix="${prefix:-${out:-}}"
  runHook preConfigure
  local -a flags=()
  local system
  system="$(_buildSystem)"
  case "$system" in
  autotools | autoreconf)
    if [[ "$system" == autoreconf ]]; then
      echo "running autoreconf"
      autoreconf --force --install --verbose
    fi
    : "${configureScript=./configure}"
    [[ -z "$prefix" || -n "${dontAddPrefix:-}" ]] || flags+=("${prefixKey:---prefix=}$prefix")
    _words configureFlags flags
    echoCmd "configure flags" ${flags[@]+"${flags[@]}"}
    # Else extensions of Tcl are installed beside Tcl itself.
    [[ -z "$prefix" ]] || export TCLLIBDIR="${TCLLIBDIR-$prefix/lib/tcltk}"
    # shellcheck disable=SC2086
    $configureScript ${flags[@]+"${flags[@]}"}
    ;;
  cmake)
    if [[ -z "${dontUseCmakeBuildDir:-}" ]]; then
      mkdir -p "${cmakeBuildDir:=build}"
      cd "$cmakeBuildDir"
      : "${cmakeDir:=..}"
    fi
    flags+=("-DCMAKE_BUILD_TYPE=${cmakeBuildType:-Release}" "-DCMAKE_INSTALL_LIBDIR=lib")
    [[ -z "$prefix" || -n "${dontAddPrefix:-}" ]] || flags+=("-DCMAKE_INSTALL_PREFIX=$prefix" "-DCMAKE_INSTALL_RPATH=$prefix/lib;$stdenv/usr/lib/@triplet@")
    [[ -z "${doCheck:-}" ]] && flags+=("-DBUILD_TESTING=OFF")
    _words cmakeFlags flags
    echoCmd "cmake flags" "${flags[@]}"
    cmake "${cmakeDir:-.}" "${flags[@]}"
    ;;
  meson)
    [[ -z "$prefix" ]] || flags+=("--prefix=$prefix")
    flags+=("--buildtype=${mesonBuildType:-plain}" "--libdir=lib" "--wrap-mode=nodownload")
    _words mesonFlags flags
    echoCmd "meson flags" "${flags[@]}"
    meson setup "${mesonBuildDir:=build}" . "${flags[@]}"
    cd "$mesonBuildDir"
    ;;
  *) echo "no configure script, doing nothing" ;;
  esac
  runHook postConfigure
}

_hasMakefile() { [[ -n "${makefile:-}" || -e Makefile || -e makefile || -e GNUmakefile ]]; }
_make() {
  # shellcheck disable=SC2086
  make ${makefile:+-f "$makefile"} SHELL="$SHELL" "$@"
}
buildPhase() {
  local prefix="${prefix:-${out:-}}"
  runHook preBuild
  local -a flags=()
  local cores=1
  [[ "${enableParallelBuilding-1}" == "" ]] || cores="$(_cores)"
  if [[ -e build.ninja ]] && type -P ninja >/dev/null; then
    _words ninjaFlags flags
    ninja "-j$cores" ${flags[@]+"${flags[@]}"}
  elif _hasMakefile; then
    _words makeFlags flags
    _words buildFlags flags
    echoCmd "build flags" "-j$cores" ${flags[@]+"${flags[@]}"}
    _make "-j$cores" ${flags[@]+"${flags[@]}"}
  else
    echo "no Makefile or custom buildPhase, doing nothing"
  fi
  runHook postBuild
}
checkPhase() {
  runHook preCheck
  local -a flags=()
  if [[ -e build.ninja ]] && type -P ninja >/dev/null; then
    ninja "-j$(_cores)" "${checkTarget:-test}"
  elif _hasMakefile; then
    if [[ -z "${checkTarget:-}" ]]; then
      if make -n ${makefile:+-f "$makefile"} check &>/dev/null; then
        checkTarget=check
      elif make -n ${makefile:+-f "$makefile"} test &>/dev/null; then
        checkTarget=test
      fi
    fi
    _words makeFlags flags
    _words checkFlags flags
    # shellcheck disable=SC2086
    [[ -z "${checkTarget:-}" ]] || _make ${flags[@]+"${flags[@]}"} $checkTarget
  fi
  runHook postCheck
}
installPhase() {
  local prefix="${prefix:-${out:-}}"
  runHook preInstall
  local -a flags=()
  if [[ -e build.ninja ]] && type -P ninja >/dev/null; then
    ninja install
  elif _hasMakefile; then
    [[ -z "$prefix" ]] || mkdir -p "$prefix"
    _words makeFlags flags
    _words installFlags flags
    # shellcheck disable=SC2086
    _make ${flags[@]+"${flags[@]}"} ${installTargets:-install}
  fi
  runHook postInstall
}

# Scripts of an output run the environment's interpreters.
patchShebangs() {
  local file line program name
  while IFS= read -r -d '' file; do
    isScript "$file" || continue
    IFS= read -r line <"$file" || :
    program="${line#\#!}"
    program="${program#"${program%%[! ]*}"}"
    case "$program" in
    "$NIX_STORE"/*) continue ;;
    /usr/bin/env\ * | /bin/env\ *) name="${program#* }" ;;
    /*) name="${program%% *}" name="${name##*/}${program#"${program%% *}"}" ;;
    *) continue ;;
    esac
    [[ -x "$stdenv/usr/bin/${name%% *}" ]] || continue
    sed -i "1s|^.*\$|#!$stdenv/usr/bin/$name|" "$file"
  done < <(find "$@" -type f -perm -0100 -print0)
}
stripDirs() {
  local file
  while IFS= read -r -d '' file; do
    ! isELF "$file" || strip -S -p "$file" 2>/dev/null || :
  done < <(find "$@" -type f -print0)
}
fixupOutput() {
  local output="$1"
  [[ -d "$output" ]] || return 0
  chmod -R u+w -- "$output"
  [[ -n "${dontPatchShebangs:-}" ]] || patchShebangs "$output"
  [[ -n "${dontStrip:-}" ]] || ! type -P strip >/dev/null || stripDirs "$output"
}
_outputNames() {
  if [[ -n "${NIX_ATTRS_SH_FILE:-}" ]]; then echo "${!outputs[@]}"; else echo "$outputs"; fi
}
fixupPhase() {
  runHook preFixup
  local output
  for output in $(_outputNames); do
    [[ -z "${!output:-}" ]] || fixupOutput "${!output}"
  done
  runHook postFixup
}
installCheckPhase() {
  runHook preInstallCheck
  local -a flags=()
  _words makeFlags flags
  if _hasMakefile; then _make ${flags[@]+"${flags[@]}"} "${installCheckTarget:-installcheck}"; fi
  runHook postInstallCheck
}
distPhase() {
  runHook preDist
  make ${distFlags:-} "${distTarget:-dist}"
  mkdir -p "$out/tarballs"
  cp -pvd ${tarballs:-*.tar.gz} "$out/tarballs"
  runHook postDist
}

showPhaseHeader() {
  case "$1" in
  unpackPhase) echo "unpacking sources" ;;
  patchPhase) echo "patching sources" ;;
  configurePhase) echo "configuring" ;;
  buildPhase) echo "building" ;;
  checkPhase) echo "running tests" ;;
  installPhase) echo "installing" ;;
  fixupPhase) echo "post-installation fixup" ;;
  installCheckPhase) echo "running install tests" ;;
  distPhase) echo "creating distribution tarball" ;;
  *) echo "running phase: $1" ;;
  esac
}
runPhase() {
  local curPhase="$1"
  case "$curPhase" in
  unpackPhase) [[ -z "${dontUnpack:-}" ]] || return 0 ;;
  patchPhase) [[ -z "${dontPatch:-}" ]] || return 0 ;;
  configurePhase) [[ -z "${dontConfigure:-}" ]] || return 0 ;;
  buildPhase) [[ -z "${dontBuild:-}" ]] || return 0 ;;
  checkPhase) [[ -n "${doCheck:-}" ]] || return 0 ;;
  installPhase) [[ -z "${dontInstall:-}" ]] || return 0 ;;
  fixupPhase) [[ -z "${dontFixup:-}" ]] || return 0 ;;
  installCheckPhase) [[ -n "${doInstallCheck:-}" ]] || return 0 ;;
  distPhase) [[ -n "${doDist:-}" ]] || return 0 ;;
  esac
  [[ -z "$NIX_LOG_FD" ]] || echo "@nix { \"action\": \"setPhase\", \"phase\": \"$curPhase\" }" >&"$NIX_LOG_FD"
  showPhaseHeader "$curPhase"
  # A variable of the phase's name holds its commands; else its function runs.
  eval "${!curPhase:-$curPhase}"
  if [[ "$curPhase" == unpackPhase && -n "${sourceRoot:-}" ]]; then cd -- "$sourceRoot"; fi
}
definePhases() {
  if [[ -z "${phases[*]:-}" ]]; then
    phases="${prePhases[*]:-} unpackPhase patchPhase ${preConfigurePhases[*]:-} configurePhase ${preBuildPhases[*]:-} \
buildPhase checkPhase ${preInstallPhases[*]:-} installPhase ${preFixupPhases[*]:-} fixupPhase installCheckPhase \
${preDistPhases[*]:-} distPhase ${postPhases[*]:-}"
  fi
}
_genericBuild() {
  if [[ -f "${buildCommandPath:-}" ]]; then
    # shellcheck source=/dev/null
    . "$buildCommandPath"
    return
  fi
  if [[ -n "${buildCommand:-}" ]]; then
    eval "$buildCommand"
    return
  fi
  definePhases
  local curPhase
  for curPhase in ${phases[*]}; do runPhase "$curPhase"; done
}
# The first failure ends it, with its status: in builds by `set -e`; in a shell, which has to stay, by a trap that
# leaves one function after another.
genericBuild() {
  if [[ $- == *e* ]]; then
    _genericBuild
    return
  fi
  local _trap _status
  _trap="$(trap -p ERR)"
  set -E
  trap '_status=$?; [[ "${FUNCNAME[0]:-}" != genericBuild ]] || { set +E; trap - ERR; eval "$_trap"; }; return "$_status"' ERR
  _genericBuild
  set +E
  trap - ERR
  eval "$_trap"
}

unset _env _lib
runHook preHook
if [[ -n "${setupHook:-}" && -f "$setupHook" ]]; then
  # shellcheck source=/dev/null
  . "$setupHook"
fi
runHook postHook
