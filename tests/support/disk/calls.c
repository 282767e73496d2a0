/*
 * The system calls that change or read files, in the place of libc's.
 */
#include "layer.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- Opening ---- */

static int open_any(int folder, const char *name, int flags, mode_t mode)
{
    if (!active)
        return syscall(SYS_openat, folder, name, flags, mode);
    char path[PATH_MAX];
    path_of(folder, name, path);
    int changes = (flags & (O_CREAT | O_TRUNC)) != 0;
    FAIL_IF_TOLD(changes ? "open for change" : "open", path);
    if (!recorded(path) || !(changes || (flags & O_TMPFILE) == O_TMPFILE))
        return syscall(SYS_openat, folder, name, flags, mode);
    pthread_mutex_lock(&order);
    struct stat before;
    int existed = fstatat(AT_FDCWD, path, &before, 0) == 0;
    int fd = syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0 && (flags & O_TMPFILE) == O_TMPFILE)
        record_unknown("O_TMPFILE", path);
    else if (fd >= 0 && !existed)
        record('c', path, 0, "", 0);
    else if (fd >= 0 && (flags & O_TRUNC))
        record('t', path, 0, "", 0);
    pthread_mutex_unlock(&order);
    return fd;
}

#define MODE_ARGUMENT(flags)                                                                       \
    mode_t mode = 0;                                                                               \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                         \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode = va_arg(arguments, mode_t);                                                          \
        va_end(arguments);                                                                         \
    }

int open(const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return open_any(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return open_any(AT_FDCWD, name, flags, mode);
}

int openat(int folder, const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return open_any(folder, name, flags, mode);
}

int openat64(int folder, const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return open_any(folder, name, flags, mode);
}

int creat(const char *name, mode_t mode)
{
    return open_any(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* ---- Reading and writing ---- */

ssize_t read(int fd, void *to, size_t length)
{
    char path[PATH_MAX];
    if (has_rules() && path_of_fd(fd, path)[0])
        FAIL_IF_TOLD("read", path);
    return syscall(SYS_read, fd, to, length);
}

ssize_t pread64(int fd, void *to, size_t length, off64_t offset)
{
    char path[PATH_MAX];
    if (has_rules() && path_of_fd(fd, path)[0])
        FAIL_IF_TOLD("read", path);
    return syscall(SYS_pread64, fd, to, length, offset);
}

ssize_t pread(int fd, void *to, size_t length, off_t at) { return pread64(fd, to, length, at); }

/* `at` < 0: where the file stands, which is asked afterwards because of O_APPEND. */
static ssize_t write_any(int fd, const void *from, size_t length, off64_t at)
{
    char path[PATH_MAX];
    if (!active || !path_of_fd(fd, path)[0])
        return at < 0 ? syscall(SYS_write, fd, from, length)
                      : syscall(SYS_pwrite64, fd, from, length, at);
    FAIL_IF_TOLD("write", path);
    int keep = recorded(path);
    if (keep)
        pthread_mutex_lock(&order);
    ssize_t n = at < 0 ? syscall(SYS_write, fd, from, length)
                       : syscall(SYS_pwrite64, fd, from, length, at);
    if (keep && n > 0) {
        off64_t end = at < 0 ? lseek64(fd, 0, SEEK_CUR) : at + n;
        record('w', path_of_fd(fd, path), end - n, from, n);
    }
    if (keep)
        pthread_mutex_unlock(&order);
    return n;
}

ssize_t write(int fd, const void *from, size_t length) { return write_any(fd, from, length, -1); }
ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { return write_any(fd, from, n, at); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
    return write_any(fd, from, n, at);
}

/* A short count is allowed, so only the first piece is written where it matters. */
ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    char path[PATH_MAX];
    if (!active || !path_of_fd(fd, path)[0])
        return syscall(SYS_writev, fd, pieces, count);
    for (int i = 0; i < count; i++)
        if (pieces[i].iov_len)
            return write_any(fd, pieces[i].iov_base, pieces[i].iov_len, -1);
    return 0;
}

/* Callers fall back to read and write. */
ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t n, unsigned flags)
{
    (void)in, (void)a, (void)out, (void)b, (void)n, (void)flags;
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t n)
{
    (void)out, (void)in, (void)at, (void)n;
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile(int out, int in, off_t *at, size_t n) { return sendfile64(out, in, at, n); }

static int truncate_any(int fd, off64_t size)
{
    char path[PATH_MAX];
    if (!active || !path_of_fd(fd, path)[0])
        return syscall(SYS_ftruncate, fd, size);
    FAIL_IF_TOLD("truncate", path);
    if (!recorded(path))
        return syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&order);
    int result = syscall(SYS_ftruncate, fd, size);
    if (result == 0)
        record('t', path_of_fd(fd, path), size, "", 0);
    pthread_mutex_unlock(&order);
    return result;
}

int ftruncate(int fd, off_t size) { return truncate_any(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncate_any(fd, size); }

static int sync_any(long call, int fd)
{
    char path[PATH_MAX];
    if (!active || !path_of_fd(fd, path)[0])
        return syscall(call, fd);
    FAIL_IF_TOLD("sync", path);
    if (!recorded(path))
        return syscall(call, fd);
    pthread_mutex_lock(&order);
    int result = syscall(call, fd);
    if (result == 0)
        record('s', path_of_fd(fd, path), 0, "", 0);
    pthread_mutex_unlock(&order);
    return result;
}

int fsync(int fd) { return sync_any(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_any(SYS_fdatasync, fd); }

/* SQLite maps its -shm file, which it rebuilds after a crash; nothing else may be changed so. */
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset)
{
    char path[PATH_MAX];
    if (active && fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        size_t n = strlen(path_of_fd(fd, path));
        if (n > 4 && strcmp(path + n - 4, "-shm") != 0)
            record_unknown("mmap", path);
    }
    return (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
    return mmap64(at, length, protection, flags, fd, offset);
}

/* ---- Folders ---- */

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (!active)
        return syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    char old[PATH_MAX], new[PATH_MAX];
    path_of(from_folder, from, old);
    path_of(to_folder, to, new);
    FAIL_IF_TOLD("rename", new);
    int keep = recorded(old) && recorded(new);
    if (!keep)
        record_unknown("rename across the border", recorded(old) ? old : new);
    pthread_mutex_lock(&order);
    int result = syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    if (result == 0 && keep) {
        const char *name = inside_root(new);
        record(flags ? '?' : 'r', old, 0, name, strlen(name));
    }
    pthread_mutex_unlock(&order);
    return result;
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *name, int flags)
{
    if (!active)
        return syscall(SYS_unlinkat, folder, name, flags);
    char path[PATH_MAX];
    path_of(folder, name, path);
    FAIL_IF_TOLD("unlink", path);
    if (!recorded(path))
        return syscall(SYS_unlinkat, folder, name, flags);
    pthread_mutex_lock(&order);
    int result = syscall(SYS_unlinkat, folder, name, flags);
    if (result == 0)
        record('u', path, 0, "", 0);
    pthread_mutex_unlock(&order);
    return result;
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int remove(const char *name)
{
    int result = unlinkat(AT_FDCWD, name, 0);
    return result != 0 && errno == EISDIR ? unlinkat(AT_FDCWD, name, AT_REMOVEDIR) : result;
}

int mkdirat(int folder, const char *name, mode_t mode)
{
    if (!active)
        return syscall(SYS_mkdirat, folder, name, mode);
    char path[PATH_MAX];
    path_of(folder, name, path);
    FAIL_IF_TOLD("mkdir", path);
    if (!recorded(path))
        return syscall(SYS_mkdirat, folder, name, mode);
    pthread_mutex_lock(&order);
    int result = syscall(SYS_mkdirat, folder, name, mode);
    if (result == 0)
        record('m', path, 0, "", 0);
    pthread_mutex_unlock(&order);
    return result;
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    char path[PATH_MAX];
    if (active)
        record_unknown("link", path_of(to_folder, to, path));
    return syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlink(const char *target, const char *name)
{
    char path[PATH_MAX];
    if (active)
        record_unknown("symlink", path_of(AT_FDCWD, name, path));
    return syscall(SYS_symlinkat, target, AT_FDCWD, name);
}

int truncate64(const char *name, off64_t size)
{
    char path[PATH_MAX];
    if (active)
        record_unknown("truncate", path_of(AT_FDCWD, name, path));
    return syscall(SYS_truncate, name, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    char path[PATH_MAX];
    if (active)
        record_unknown("fallocate", path_of_fd(fd, path));
    return syscall(SYS_fallocate, fd, mode, offset, length);
}

int truncate(const char *name, off_t size) { return truncate64(name, size); }

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return fallocate64(fd, mode, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    return fallocate64(fd, 0, offset, length) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    return posix_fallocate(fd, offset, length);
}
