/*
 * libdevshell-root.so - lets a program with places under /usr compiled in run from another tree.
 *
 * It lies in <root>/usr/lib/<triplet>/ and is loaded before all other libraries of the programs that name it. Where
 * such a program opens, looks at or runs a file under /usr (not /usr/local) or under a few directories of /etc, and
 * <root> has that file, it gets <root>'s. All other paths pass unchanged. No variables, no state but the root.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

static char root[PATH_MAX];
static size_t root_length;

/* The root is what stands before the last /usr/ of the shim's own path. */
__attribute__((constructor)) static void find_root(void) {
  Dl_info info;
  if (root_length != 0 || dladdr((void *)&root, &info) == 0 || info.dli_fname == NULL) return;
  const char *name = info.dli_fname, *last = NULL, *at;
  for (at = name; (at = strstr(at, "/usr/")) != NULL; at++) last = at;
  if (last == NULL || last == name || (size_t)(last - name) >= sizeof root) return;
  memcpy(root, name, (size_t)(last - name));
  root_length = (size_t)(last - name);
}

static int starts(const char *path, const char *with) { return strncmp(path, with, strlen(with)) == 0; }

static int is_ours(const char *path) {
  if (starts(path, "/usr/")) return !starts(path, "/usr/local/");
  return starts(path, "/etc/perl") || starts(path, "/etc/fonts") || starts(path, "/etc/xml") ||
         starts(path, "/etc/groff") || starts(path, "/etc/R/");
}

/* The path to use for `path`; `room` holds PATH_MAX bytes. */
static const char *moved(const char *path, char *room) {
  if (path == NULL || path[0] != '/' || !is_ours(path)) return path;
  if (root_length == 0) find_root();
  size_t length = strlen(path);
  if (root_length == 0 || root_length + length >= PATH_MAX) return path;
  memcpy(room, root, root_length);
  memcpy(room + root_length, path, length + 1);
  return syscall(SYS_faccessat, AT_FDCWD, room, F_OK) == 0 ? room : path;
}

/* A shell command: each of its words that is one of our paths is moved. NULL where nothing changes. */
static char *moved_command(const char *command) {
  char room[PATH_MAX], word[PATH_MAX];
  if (command == NULL || strstr(command, "/usr/") == NULL) return NULL;
  if (root_length == 0) find_root();
  size_t length = strlen(command), room_size = length + 1, used = 0, words = 0;
  for (const char *at = command; (at = strstr(at, "/usr/")) != NULL; at += 5) words++;
  room_size += words * root_length;
  char *out = malloc(room_size);
  if (out == NULL) return NULL;
  for (size_t i = 0; i < length;) {
    int is_start = i == 0 || strchr(" \t\"'=;|&(`", command[i - 1]) != NULL;
    size_t size = is_start && starts(command + i, "/usr/") ? strcspn(command + i, " \t\"';|&()<>`$\n") : 0;
    if (size == 0 || size >= PATH_MAX) {
      out[used++] = command[i++];
      continue;
    }
    memcpy(word, command + i, size);
    word[size] = 0;
    const char *to = moved(word, room);
    size_t to_size = strlen(to);
    memcpy(out + used, to, to_size);
    used += to_size;
    i += size;
  }
  out[used] = 0;
  return out;
}

/* What `sh -c COMMAND` starts, with the command moved. The old image is replaced, so nothing is freed; where exec
   fails, one small block is lost. `room` holds four pointers; longer argument lists stay as they are. */
static char *const *moved_argv(const char *path, char *const argv[], char **room) {
  const char *name = strrchr(path, '/');
  if (argv == NULL || name == NULL || (strcmp(name, "/sh") != 0 && strcmp(name, "/bash") != 0)) return argv;
  if (argv[0] == NULL || argv[1] == NULL || strcmp(argv[1], "-c") != 0 || argv[2] == NULL || argv[3] != NULL) return argv;
  char *command = moved_command(argv[2]);
  if (command == NULL) return argv;
  room[0] = argv[0];
  room[1] = argv[1];
  room[2] = command;
  room[3] = NULL;
  return room;
}

#define ROOM char room[PATH_MAX]
#define MOVED(path) moved(path, room)
/* What is opened for writing is meant as it is said. */
#define READ(path, flags) (((flags)&O_ACCMODE) == O_RDONLY && ((flags)&O_CREAT) == 0 ? MOVED(path) : (path))
#define READ_MODE(path, mode) ((mode)[0] == 'r' && strchr(mode, '+') == NULL ? MOVED(path) : (path))
#define NEXT(name)                                                \
  static __typeof__(&name) next;                                  \
  if (next == NULL) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* A mode follows only flags that create. */
static mode_t mode_of(int flags, va_list list) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
}

#define OPEN(name)                                \
  int name(const char *path, int flags, ...) {    \
    ROOM;                                         \
    NEXT(name);                                   \
    va_list list;                                 \
    va_start(list, flags);                        \
    mode_t mode = mode_of(flags, list);           \
    va_end(list);                                 \
    return next(READ(path, flags), flags, mode);  \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                      \
  int name(int at, const char *path, int flags, ...) {    \
    ROOM;                                                 \
    NEXT(name);                                           \
    va_list list;                                         \
    va_start(list, flags);                                \
    mode_t mode = mode_of(flags, list);                   \
    va_end(list);                                         \
    return next(at, READ(path, flags), flags, mode);      \
  }
OPENAT(openat)
OPENAT(openat64)

#define PASS(type, name, parameters, arguments) \
  type name parameters {                        \
    ROOM;                                       \
    NEXT(name);                                 \
    return next arguments;                      \
  }
PASS(FILE *, fopen, (const char *path, const char *mode), (READ_MODE(path, mode), mode))
PASS(FILE *, fopen64, (const char *path, const char *mode), (READ_MODE(path, mode), mode))
PASS(FILE *, freopen, (const char *path, const char *mode, FILE *file), (READ_MODE(path, mode), mode, file))
PASS(FILE *, freopen64, (const char *path, const char *mode, FILE *file), (READ_MODE(path, mode), mode, file))
PASS(DIR *, opendir, (const char *path), (MOVED(path)))
PASS(int, access, (const char *path, int mode), (MOVED(path), mode))
PASS(int, eaccess, (const char *path, int mode), (MOVED(path), mode))
PASS(int, euidaccess, (const char *path, int mode), (MOVED(path), mode))
PASS(int, faccessat, (int at, const char *path, int mode, int flags), (at, MOVED(path), mode, flags))
PASS(int, chdir, (const char *path), (MOVED(path)))
PASS(ssize_t, readlink, (const char *path, char *out, size_t size), (MOVED(path), out, size))
PASS(ssize_t, readlinkat, (int at, const char *path, char *out, size_t size), (at, MOVED(path), out, size))
PASS(char *, realpath, (const char *path, char *out), (MOVED(path), out))
PASS(int, statfs, (const char *path, struct statfs *out), (MOVED(path), out))
PASS(int, statx,
     (int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict out),
     (at, MOVED(path), flags, mask, out))
PASS(void *, dlopen, (const char *path, int flags), (MOVED(path), flags))
int execve(const char *path, char *const argv[], char *const envp[]) {
  ROOM;
  NEXT(execve);
  char *arguments[4];
  return next(MOVED(path), moved_argv(path, argv, arguments), envp);
}
int execv(const char *path, char *const argv[]) {
  ROOM;
  NEXT(execv);
  char *arguments[4];
  return next(MOVED(path), moved_argv(path, argv, arguments));
}
PASS(int, execvp, (const char *path, char *const argv[]), (MOVED(path), argv))
PASS(int, execvpe, (const char *path, char *const argv[], char *const envp[]), (MOVED(path), argv, envp))
PASS(int, posix_spawn,
     (pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
      char *const argv[], char *const envp[]),
     (pid, MOVED(path), actions, attributes, argv, envp))
PASS(int, posix_spawnp,
     (pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
      char *const argv[], char *const envp[]),
     (pid, MOVED(path), actions, attributes, argv, envp))
PASS(int, stat, (const char *restrict path, struct stat *restrict out), (MOVED(path), out))
PASS(int, lstat, (const char *restrict path, struct stat *restrict out), (MOVED(path), out))
PASS(int, stat64, (const char *restrict path, struct stat64 *restrict out), (MOVED(path), out))
PASS(int, lstat64, (const char *restrict path, struct stat64 *restrict out), (MOVED(path), out))
PASS(int, fstatat, (int at, const char *restrict path, struct stat *restrict out, int flags),
     (at, MOVED(path), out, flags))
PASS(int, fstatat64, (int at, const char *restrict path, struct stat64 *restrict out, int flags),
     (at, MOVED(path), out, flags))

/* What programs linked against a glibc before 2.33 call. */
int __xstat(int version, const char *path, struct stat *out);
int __lxstat(int version, const char *path, struct stat *out);
int __xstat64(int version, const char *path, struct stat64 *out);
int __lxstat64(int version, const char *path, struct stat64 *out);
PASS(int, __xstat, (int version, const char *path, struct stat *out), (version, MOVED(path), out))
PASS(int, __lxstat, (int version, const char *path, struct stat *out), (version, MOVED(path), out))
PASS(int, __xstat64, (int version, const char *path, struct stat64 *out), (version, MOVED(path), out))
PASS(int, __lxstat64, (int version, const char *path, struct stat64 *out), (version, MOVED(path), out))

/* Fortified callers. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
char *__realpath_chk(const char *path, char *out, size_t size);
ssize_t __readlink_chk(const char *path, char *out, size_t size, size_t room_size);
PASS(int, __open_2, (const char *path, int flags), (READ(path, flags), flags))
PASS(int, __open64_2, (const char *path, int flags), (READ(path, flags), flags))
PASS(char *, __realpath_chk, (const char *path, char *out, size_t size), (MOVED(path), out, size))
PASS(ssize_t, __readlink_chk, (const char *path, char *out, size_t size, size_t room_size),
     (MOVED(path), out, size, room_size))

/* git puts its own directory before PATH for what it starts through a shell. */
int setenv(const char *name, const char *value, int overwrite) {
  static const char directory[] = "/usr/lib/git-core";
  ROOM;
  NEXT(setenv);
  size_t length = sizeof directory - 1;
  if (strcmp(name, "PATH") != 0 || !starts(value, directory) || (value[length] != ':' && value[length] != 0))
    return next(name, value, overwrite);
  const char *to = MOVED(directory);
  char *path = malloc(strlen(to) + strlen(value) + 1);
  if (path == NULL) return next(name, value, overwrite);
  strcpy(path, to);
  strcat(path, value + length);
  int status = next(name, path, overwrite);
  free(path);
  return status;
}

/* The variadic exec functions call libc's own execve, which is not ours. */
#define COLLECT(first)                                                 \
  va_list list;                                                        \
  int count = 1;                                                       \
  va_start(list, first);                                               \
  while (va_arg(list, char *) != NULL) count++;                        \
  va_end(list);                                                        \
  char *argv[count + 1];                                               \
  va_start(list, first);                                               \
  argv[0] = (char *)first;                                             \
  for (int i = 1; i <= count; i++) argv[i] = va_arg(list, char *)
int execl(const char *path, const char *first, ...) {
  COLLECT(first);
  va_end(list);
  return execv(path, argv);
}
int execlp(const char *path, const char *first, ...) {
  COLLECT(first);
  va_end(list);
  return execvp(path, argv);
}
int execle(const char *path, const char *first, ...) {
  COLLECT(first);
  char *const *envp = va_arg(list, char *const *);
  va_end(list);
  return execve(path, argv, envp);
}

FILE *popen(const char *command, const char *mode) {
  NEXT(popen);
  char *ours = moved_command(command);
  FILE *file = next(ours != NULL ? ours : command, mode);
  free(ours);
  return file;
}
int system(const char *command) {
  NEXT(system);
  char *ours = moved_command(command);
  int status = next(ours != NULL ? ours : command);
  free(ours);
  return status;
}
