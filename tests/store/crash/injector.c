/*
 * Preloaded into a process, makes its n-th change of the file system below one directory the last, or the first that
 * fails. What a power cut is taken to be stands in crash.test.ts.
 *
 * CRASH_ROOT    the directory
 * CRASH_AT      which change, from 1; 0 only counts
 * CRASH_ACTION  kill | power-cut | EIO (that one fails) | ENOSPC (from then on all that need space fail)
 * CRASH_SEED    decides what a power cut takes
 * CRASH_FLUSH   1: a rename over a file brings the new one's data to the disk
 * CRASH_REPORT  a file that is told what could not be undone
 *
 * Processes that this one starts are left alone: the variables are taken out of the environment.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum action { COUNT, KILL, POWER_CUT, FAIL_ONCE, DISK_FULL };

static char *root;
static size_t root_length;
static long crash_at;
static enum action action;
static int renames_flush;
static char *report_file;
static uint64_t random_state;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long calls;

#define MAX_FD 65536
/* Whether a descriptor is of a file below the root. */
static char tracked[MAX_FD];

/* libc's own, which the functions below hide. */
static struct {
    int (*open64)(const char *, int, ...);
    int (*openat64)(int, const char *, int, ...);
    int (*close)(int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*pwrite64)(int, const void *, size_t, off64_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*pwritev64)(int, const struct iovec *, int, off64_t);
    int (*ftruncate64)(int, off64_t);
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*syncfs)(int);
    int (*mkdirat)(int, const char *, mode_t);
    char *(*mkdtemp)(char *);
    int (*unlinkat)(int, const char *, int);
    int (*renameat2)(int, const char *, int, const char *, unsigned);
    int (*linkat)(int, const char *, int, const char *, int);
    int (*symlinkat)(const char *, int, const char *);
    int (*fchmodat)(int, const char *, mode_t, int);
    int (*fchmod)(int, mode_t);
    int (*utimensat)(int, const char *, const struct timespec[2], int);
    int (*futimens)(int, const struct timespec[2]);
} real;

#define LOAD(name) *(void **)&real.name = dlsym(RTLD_NEXT, #name)

static char *variable(const char *name) {
    const char *value = getenv(name);
    char *copy = value == NULL ? NULL : strdup(value);
    unsetenv(name);
    return copy;
}

static long number(const char *name) {
    char *value = variable(name);
    return value == NULL ? 0 : atol(value);
}

/* Other libraries' constructors may call us before ours has run. */
static void load(void) {
    if (real.open64 != NULL) return;
    LOAD(openat64); LOAD(close); LOAD(write); LOAD(pwrite64); LOAD(writev); LOAD(pwritev64); LOAD(ftruncate64);
    LOAD(fsync); LOAD(fdatasync); LOAD(syncfs); LOAD(mkdirat); LOAD(mkdtemp); LOAD(unlinkat); LOAD(renameat2);
    LOAD(linkat); LOAD(symlinkat); LOAD(fchmodat); LOAD(fchmod); LOAD(utimensat); LOAD(futimens);
    LOAD(open64);
}

__attribute__((constructor)) static void start(void) {
    load();
    char *name = variable("CRASH_ACTION");
    if (name != NULL)
        action = !strcmp(name, "kill")        ? KILL
                 : !strcmp(name, "power-cut") ? POWER_CUT
                 : !strcmp(name, "EIO")       ? FAIL_ONCE
                 : !strcmp(name, "ENOSPC")    ? DISK_FULL
                                              : COUNT;
    crash_at = number("CRASH_AT");
    random_state = (uint64_t)number("CRASH_SEED") * 2654435761u + 88172645463325252u;
    renames_flush = number("CRASH_FLUSH") == 1;
    report_file = variable("CRASH_REPORT");
    root = variable("CRASH_ROOT");
    root_length = root == NULL ? 0 : strlen(root);
    unsetenv("LD_PRELOAD");
}

/* How many changes there have been: for the process itself, which finds this by its name. */
long crash_calls(void) { return calls; }

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 11;
}

static void report(const char *what, const char *path) {
    char line[PATH_MAX + 200];
    int length = snprintf(line, sizeof line, "%s %s: %s\n", what, path, strerror(errno));
    if (report_file == NULL) return;
    int fd = real.open64(report_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (real.write(fd, line, (size_t)length) != length) abort();
    real.close(fd);
}

/* Paths */

static int is_inside(const char *path) {
    return root != NULL && path != NULL && !strncmp(path, root, root_length) && path[root_length] == '/';
}

static int ends_with(const char *path, const char *ending) {
    size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && !strcmp(path + length - tail, ending);
}

/* What means nothing after a reboot: locks, the memory that SQLite's processes share. */
static int is_ephemeral(const char *path) {
    return ends_with(path, ".lock") || ends_with(path, "-shm") || ends_with(path, "/big-lock") ||
           strstr(path, "/temproots/") != NULL;
}

static const char *path_of(int fd, char buffer[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return buffer;
}

/* The absolute path, or NULL where it is not below the root. */
static const char *locate(int directory, const char *path, char buffer[PATH_MAX]) {
    if (root == NULL || path == NULL) return NULL;
    if (path[0] == '/') return is_inside(path) ? path : NULL;
    if (directory == AT_FDCWD || path_of(directory, buffer) == NULL) return NULL;
    size_t length = strlen(buffer);
    if (length + strlen(path) + 2 > PATH_MAX) return NULL;
    buffer[length] = '/';
    strcpy(buffer + length + 1, path);
    return is_inside(buffer) ? buffer : NULL;
}

static int is_tracked(int fd) { return root != NULL && fd >= 0 && fd < MAX_FD && tracked[fd]; }

static ino_t inode_of(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 ? status.st_ino : 0;
}

static ino_t parent_of(const char *path) {
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    return inode_of(parent);
}

/* Data that is not on the disk */

struct file {
    ino_t inode;
    int fd;
    int is_dirty;
    /* What is on the disk. */
    char *content;
    size_t size;
};

static struct file *files;
static size_t file_count;

static struct file *file_of(ino_t inode) {
    for (size_t i = 0; i < file_count; i++)
        if (files[i].inode == inode) return &files[i];
    return NULL;
}

static char *read_all(int fd, size_t size) {
    char *content = calloc(1, size + 1);
    for (size_t done = 0; done < size;) {
        ssize_t count = pread64(fd, content + done, size - done, (off64_t)done);
        if (count <= 0) break;
        done += (size_t)count;
    }
    return content;
}

static void write_all(int fd, const char *content, size_t size, const char *path) {
    for (size_t done = 0; done < size;) {
        ssize_t count = real.pwrite64(fd, content + done, size - done, (off64_t)done);
        if (count <= 0) {
            report("cannot write", path);
            return;
        }
        done += (size_t)count;
    }
}

/* By another descriptor where this one cannot read. SQLite's can: closing another one would end its locks. */
static char *content_of(int fd, size_t size) {
    if (size == 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY) return read_all(fd, size);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int other = real.open64(link, O_RDONLY | O_CLOEXEC);
    char *content = read_all(other, size);
    if (other >= 0) real.close(other);
    return content;
}

/* Before a file's data changes: remembers what the disk has. */
static void before_write(int fd) {
    struct stat status;
    char buffer[PATH_MAX];
    if (action != POWER_CUT || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
    const char *path = path_of(fd, buffer);
    if (path == NULL || is_ephemeral(path)) return;
    struct file *file = file_of(status.st_ino);
    if (file == NULL) {
        files = realloc(files, (file_count + 1) * sizeof *files);
        file = &files[file_count++];
        memset(file, 0, sizeof *file);
        file->inode = status.st_ino;
        /* Open until the end, so that no other file gets the inode's number. */
        file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 200);
        if (file->fd < 0) report("cannot keep open", path);
    }
    if (file->is_dirty) return;
    file->is_dirty = 1;
    file->size = (size_t)status.st_size;
    file->content = content_of(fd, file->size);
}

static void data_synced(struct file *file) {
    if (file == NULL || !file->is_dirty) return;
    file->is_dirty = 0;
    free(file->content);
    file->content = NULL;
}

static void revert_data(const struct file *file) {
    char buffer[PATH_MAX];
    const char *path = path_of(file->fd, buffer);
    /* Emptied first: one that was opened for appending can be written at its end only. */
    if (real.ftruncate64(file->fd, 0) != 0) report("cannot truncate", path == NULL ? "?" : path);
    write_all(file->fd, file->content, file->size, path == NULL ? "?" : path);
}

/* Changes of directories */

/* What lay at a path; mode 0 where nothing did. */
struct saved {
    mode_t mode;
    char *content;
    size_t size;
};

enum kind { MADE, MADE_DIRECTORY, REMOVED, RENAMED, EXCHANGED, CHANGED_MODE };

struct change {
    enum kind kind;
    char *path;
    char *other;
    struct saved saved;
    ino_t object, parent, other_parent;
};

static struct change *changes;
static size_t change_count;
/* Of these the disk knows. */
static size_t durable_count;

static struct saved save(const char *path) {
    struct saved saved = {0, NULL, 0};
    struct stat status;
    if (action != POWER_CUT || lstat(path, &status) != 0) return saved;
    saved.mode = status.st_mode;
    if (S_ISLNK(status.st_mode)) {
        saved.content = calloc(1, PATH_MAX);
        if (readlink(path, saved.content, PATH_MAX - 1) < 0) report("cannot read", path);
    } else if (S_ISREG(status.st_mode) && !is_ephemeral(path)) {
        const struct file *file = file_of(status.st_ino);
        if (file != NULL && file->is_dirty && (next_random() & 1)) {
            saved.size = file->size;
            saved.content = calloc(1, file->size + 1);
            memcpy(saved.content, file->content, file->size);
            return saved;
        }
        int fd = real.open64(path, O_RDONLY | O_CLOEXEC);
        saved.size = (size_t)status.st_size;
        saved.content = read_all(fd, saved.size);
        if (fd >= 0) real.close(fd);
    }
    return saved;
}

static void restore(const char *path, const struct saved *saved) {
    if (S_ISLNK(saved->mode)) {
        if (real.symlinkat(saved->content, AT_FDCWD, path) != 0) report("cannot restore link", path);
        return;
    }
    if (S_ISDIR(saved->mode)) {
        if (real.mkdirat(AT_FDCWD, path, 0755) != 0) report("cannot restore directory", path);
    } else if (S_ISREG(saved->mode) && !is_ephemeral(path)) {
        int fd = real.open64(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) {
            report("cannot restore file", path);
            return;
        }
        write_all(fd, saved->content, saved->size, path);
        real.close(fd);
    } else
        return;
    if (real.fchmodat(AT_FDCWD, path, saved->mode & 07777, 0) != 0) report("cannot restore mode", path);
}

static void note(enum kind kind, const char *path, const char *other, struct saved saved, ino_t object) {
    if (action != POWER_CUT) return;
    changes = realloc(changes, (change_count + 1) * sizeof *changes);
    changes[change_count++] = (struct change){
        .kind = kind,
        .path = strdup(path),
        .other = other == NULL ? NULL : strdup(other),
        .saved = saved,
        .object = object,
        .parent = parent_of(path),
        .other_parent = other == NULL ? 0 : parent_of(other),
    };
}

static const struct saved nothing;

static void undo(const struct change *change) {
    switch (change->kind) {
    case MADE:
        if (real.unlinkat(AT_FDCWD, change->path, 0) != 0 && !is_ephemeral(change->path))
            report("cannot undo making", change->path);
        break;
    case MADE_DIRECTORY:
        /* A builder, whom nobody watched, may have left something in it. */
        if (real.unlinkat(AT_FDCWD, change->path, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY)
            report("cannot undo making", change->path);
        break;
    case REMOVED:
        restore(change->path, &change->saved);
        break;
    case RENAMED:
        if (real.renameat2(AT_FDCWD, change->other, AT_FDCWD, change->path, 0) != 0)
            report("cannot undo renaming", change->other);
        restore(change->other, &change->saved);
        break;
    case EXCHANGED:
        if (real.renameat2(AT_FDCWD, change->other, AT_FDCWD, change->path, 2) != 0)
            report("cannot undo exchanging", change->path);
        break;
    case CHANGED_MODE:
        if (real.fchmodat(AT_FDCWD, change->path, change->saved.mode & 07777, 0) != 0)
            report("cannot undo changing the mode of", change->path);
        break;
    }
}

/* The log of changes is written in order: what is known of an inode's last one is known of all before. */
static void entry_synced(ino_t inode) {
    for (size_t i = change_count; i > durable_count; i--) {
        const struct change *change = &changes[i - 1];
        if (change->object != inode && change->parent != inode && change->other_parent != inode) continue;
        durable_count = i;
        return;
    }
}

/* Memory that SQLite's processes share; a reboot ends it. */
static char *shared_memory[16];
static size_t shared_count;

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static void cut_power(void) {
    size_t known = durable_count + next_random() % (change_count - durable_count + 1);
    for (size_t i = change_count; i > known; i--) undo(&changes[i - 1]);
    for (size_t i = 0; i < file_count; i++)
        if (files[i].is_dirty && (next_random() & 1)) revert_data(&files[i]);
    for (size_t i = 0; i < shared_count; i++) real.unlinkat(AT_FDCWD, shared_memory[i], 0);
    die();
}

/* Every change begins and ends with these. @returns the error that it shall fail with, or 0 */
static int begin(int needs_space) {
    pthread_mutex_lock(&mutex);
    calls++;
    if (crash_at == 0 || calls < crash_at) return 0;
    switch (action) {
    case KILL: die(); break;
    case POWER_CUT: cut_power(); break;
    case FAIL_ONCE: return calls == crash_at ? EIO : 0;
    case DISK_FULL: return needs_space ? ENOSPC : 0;
    case COUNT: break;
    }
    return 0;
}

static int end(int result) {
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return result;
}

static int fail(int error) {
    errno = error;
    return end(-1);
}

/* Opening and closing */

static int open_at(int directory, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    struct stat status;
    load();
    const char *full = locate(directory, path, buffer);
    int changes_something = full != NULL && (flags & (O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE;
    int is_there = changes_something && lstat(full, &status) == 0;
    if (is_there && (!(flags & O_TRUNC) || status.st_size == 0)) changes_something = 0;
    if (!changes_something) {
        int fd = real.openat64(directory, path, flags, mode);
        if (fd >= 0 && fd < MAX_FD) tracked[fd] = full != NULL;
        return fd;
    }
    int error = begin(1);
    if (error != 0) return fail(error);
    /* Emptied only once its data is remembered. */
    int fd = real.openat64(directory, path, flags & ~O_TRUNC, mode);
    if (fd >= 0 && !is_there) note(MADE, full, NULL, nothing, inode_of(full));
    if (fd >= 0 && is_there) {
        before_write(fd);
        if (real.ftruncate64(fd, 0) != 0) report("cannot truncate", full);
    }
    if (fd >= 0 && fd < MAX_FD) tracked[fd] = 1;
    if (fd >= 0 && ends_with(full, "-shm") && shared_count < 16) shared_memory[shared_count++] = strdup(full);
    return end(fd);
}

#define OPEN(name, parameters, directory) \
    int name parameters { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        return open_at(directory, path, flags, mode); \
    }

OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int directory, const char *path, int flags, ...), directory)
OPEN(openat64, (int directory, const char *path, int flags, ...), directory)

int close(int fd) {
    load();
    if (fd >= 0 && fd < MAX_FD) tracked[fd] = 0;
    return real.close(fd);
}

/* Data */

#define WRITE(result_type, name, parameters, needs_space, call) \
    result_type name parameters { \
        load(); \
        if (!is_tracked(fd)) return call; \
        int error = begin(needs_space); \
        if (error != 0) return fail(error); \
        before_write(fd); \
        result_type result = call; \
        end(0); \
        return result; \
    }

WRITE(ssize_t, write, (int fd, const void *data, size_t size), 1, real.write(fd, data, size))
WRITE(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), 1, real.pwrite64(fd, data, size, at))
WRITE(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), 1, real.pwrite64(fd, data, size, at))
WRITE(ssize_t, writev, (int fd, const struct iovec *parts, int count), 1, real.writev(fd, parts, count))
WRITE(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), 1,
      real.pwritev64(fd, parts, count, at))
WRITE(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), 1,
      real.pwritev64(fd, parts, count, at))
WRITE(int, ftruncate, (int fd, off_t size), 0, real.ftruncate64(fd, size))
WRITE(int, ftruncate64, (int fd, off64_t size), 0, real.ftruncate64(fd, size))

static int sync_one(int fd, int (*call)(int)) {
    struct stat status;
    load();
    if (!is_tracked(fd)) return call(fd);
    int error = begin(0);
    if (error != 0) return fail(error);
    int result = call(fd);
    if (result == 0 && fstat(fd, &status) == 0) {
        data_synced(file_of(status.st_ino));
        entry_synced(status.st_ino);
    }
    return end(result);
}

int fsync(int fd) {
    load();
    return sync_one(fd, real.fsync);
}

int fdatasync(int fd) {
    load();
    return sync_one(fd, real.fdatasync);
}

int syncfs(int fd) {
    load();
    pthread_mutex_lock(&mutex);
    int result = real.syncfs(fd);
    if (result == 0) {
        for (size_t i = 0; i < file_count; i++) data_synced(&files[i]);
        durable_count = change_count;
    }
    return end(result);
}

/* Directories */

int mkdirat(int directory, const char *path, mode_t mode) {
    char buffer[PATH_MAX];
    load();
    const char *full = locate(directory, path, buffer);
    if (full == NULL) return real.mkdirat(directory, path, mode);
    int error = begin(1);
    if (error != 0) return fail(error);
    int result = real.mkdirat(directory, path, mode);
    if (result == 0) note(MADE_DIRECTORY, full, NULL, nothing, inode_of(full));
    return end(result);
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

char *mkdtemp(char *template) {
    load();
    if (!is_inside(template)) return real.mkdtemp(template);
    int error = begin(1);
    if (error != 0) {
        fail(error);
        return NULL;
    }
    char *result = real.mkdtemp(template);
    if (result != NULL) note(MADE_DIRECTORY, result, NULL, nothing, inode_of(result));
    end(0);
    return result;
}

int unlinkat(int directory, const char *path, int flags) {
    char buffer[PATH_MAX];
    load();
    const char *full = locate(directory, path, buffer);
    if (full == NULL) return real.unlinkat(directory, path, flags);
    int error = begin(0);
    if (error != 0) return fail(error);
    ino_t inode = inode_of(full);
    struct saved saved = save(full);
    int result = real.unlinkat(directory, path, flags);
    if (result == 0) note(REMOVED, full, NULL, saved, inode);
    return end(result);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX];
    load();
    const char *old = locate(from_directory, from, from_buffer), *new = locate(to_directory, to, to_buffer);
    if (old == NULL || new == NULL) return real.renameat2(from_directory, from, to_directory, to, flags);
    int error = begin(0);
    if (error != 0) return fail(error);
    ino_t inode = inode_of(old);
    struct saved saved = flags == 0 ? save(new) : nothing;
    if (renames_flush && S_ISREG(saved.mode)) data_synced(file_of(inode));
    int result = real.renameat2(from_directory, from, to_directory, to, flags);
    if (result == 0) note(flags == 2 ? EXCHANGED : RENAMED, old, new, saved, inode);
    return end(result);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    char buffer[PATH_MAX];
    load();
    const char *full = locate(to_directory, to, buffer);
    if (full == NULL) return real.linkat(from_directory, from, to_directory, to, flags);
    int error = begin(1);
    if (error != 0) return fail(error);
    int result = real.linkat(from_directory, from, to_directory, to, flags);
    if (result == 0) note(MADE, full, NULL, nothing, inode_of(full));
    return end(result);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int directory, const char *path) {
    char buffer[PATH_MAX];
    load();
    const char *full = locate(directory, path, buffer);
    if (full == NULL) return real.symlinkat(target, directory, path);
    int error = begin(1);
    if (error != 0) return fail(error);
    int result = real.symlinkat(target, directory, path);
    if (result == 0) note(MADE, full, NULL, nothing, inode_of(full));
    return end(result);
}

int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

/* Modes and times; a time that is lost does no harm, so it is not undone. */

int fchmodat(int directory, const char *path, mode_t mode, int flags) {
    char buffer[PATH_MAX];
    struct stat status = {0};
    load();
    const char *full = locate(directory, path, buffer);
    if (full == NULL) return real.fchmodat(directory, path, mode, flags);
    int error = begin(0);
    if (error != 0) return fail(error);
    struct saved saved = {lstat(full, &status) == 0 ? status.st_mode : 0, NULL, 0};
    int result = real.fchmodat(directory, path, mode, flags);
    if (result == 0) note(CHANGED_MODE, full, NULL, saved, status.st_ino);
    return end(result);
}

int chmod(const char *path, mode_t mode) { return fchmodat(AT_FDCWD, path, mode, 0); }

int fchmod(int fd, mode_t mode) {
    char buffer[PATH_MAX];
    struct stat status = {0};
    load();
    const char *path = is_tracked(fd) ? path_of(fd, buffer) : NULL;
    if (path == NULL || !is_inside(path)) return real.fchmod(fd, mode);
    int error = begin(0);
    if (error != 0) return fail(error);
    struct saved saved = {fstat(fd, &status) == 0 ? status.st_mode : 0, NULL, 0};
    int result = real.fchmod(fd, mode);
    if (result == 0) note(CHANGED_MODE, path, NULL, saved, status.st_ino);
    return end(result);
}

int utimensat(int directory, const char *path, const struct timespec times[2], int flags) {
    char buffer[PATH_MAX];
    load();
    if (locate(directory, path, buffer) == NULL) return real.utimensat(directory, path, times, flags);
    int error = begin(0);
    if (error != 0) return fail(error);
    return end(real.utimensat(directory, path, times, flags));
}

int futimens(int fd, const struct timespec times[2]) {
    load();
    if (!is_tracked(fd)) return real.futimens(fd, times);
    int error = begin(0);
    if (error != 0) return fail(error);
    return end(real.futimens(fd, times));
}
