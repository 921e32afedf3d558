# Names that developers expect, and what they mean in Debian: the first is the package that the attribute is, the
# others join it in an environment. A name that is a package of Debian's own stands here only to bring others along.
{
  # Programs that need more than Debian makes them depend on.
  curl = [ "curl" "ca-certificates" ];
  wget = [ "wget" "ca-certificates" ];
  git = [ "git" "ca-certificates" ];
  openssl = [ "openssl" "libssl-dev" ];
  sqlite3 = [ "sqlite3" "libsqlite3-dev" ];
  zstd = [ "zstd" "libzstd-dev" ];
  rustc = [ "rustc" "cargo" ];

  # Programs under other names.
  fd = [ "fd-find" ];
  gnugrep = [ "grep" ];
  gnumake = [ "make" ];
  gnused = [ "sed" ];
  gnutar = [ "tar" ];
  go = [ "golang-go" ];
  jdk = [ "default-jdk" ];
  ninja = [ "ninja-build" ];
  node = [ "nodejs" ];
  pkg-config = [ "pkgconf" ];
  pkgconfig = [ "pkg-config" ];
  python = [ "python3" ];
  rust = [ "rustc" "cargo" ];
  sqlite = [ "sqlite3" "libsqlite3-dev" ];
  xz = [ "xz-utils" "liblzma-dev" ];

  # Libraries, with what is needed to compile against them.
  boost = [ "libboost-all-dev" ];
  bzip2 = [ "bzip2" "libbz2-dev" ];
  expat = [ "expat" "libexpat1-dev" ];
  ffmpeg = [ "ffmpeg" "libavcodec-dev" "libavformat-dev" "libavutil-dev" ];
  freetype = [ "libfreetype-dev" ];
  glib = [ "libglib2.0-dev" ];
  gmp = [ "libgmp-dev" ];
  gnutls = [ "libgnutls28-dev" ];
  gtk3 = [ "libgtk-3-dev" ];
  gtk4 = [ "libgtk-4-dev" ];
  libcurl = [ "libcurl4-openssl-dev" "ca-certificates" ];
  libffi = [ "libffi-dev" ];
  libjpeg = [ "libjpeg-dev" ];
  libpng = [ "libpng-dev" ];
  libuv = [ "libuv1-dev" ];
  libxml2 = [ "libxml2" "libxml2-dev" ];
  libyaml = [ "libyaml-dev" ];
  ncurses = [ "libncurses-dev" ];
  pcre2 = [ "libpcre2-dev" ];
  readline = [ "libreadline-dev" ];
  SDL2 = [ "libsdl2-dev" ];
  zlib = [ "zlib1g-dev" ];
}
