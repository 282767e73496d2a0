/*
 * A layer between a program and the disk, loaded with LD_PRELOAD: it records what the program does
 * to a folder, and fails calls, runs commands and sets the clock back when it is told to.
 *
 *   DISK_ROOT=dir          the folder whose changes are recorded
 *   DISK_RECORD=file       where they are recorded, in the order in which they happened
 *   DISK_FAULT=rules       "op:path-part:errno:skip:count", separated by ';'
 *   DISK_HOOK=rules        "op:path-part:command:skip:count", separated by ';'; runs before the call
 *   DISK_FAULT_WHILE=file  faults hold only while this file exists
 *   DISK_FIRED=file        a line "op path rule" for every rule that acted, and "clock"
 *   DISK_CLOCK_BACK=s@n    the wall clock is s seconds slow from the n-th question on
 *
 * An op is open, read, write, sync, rename, unlink, mkdir or truncate; "change" is each of them but
 * read and open, and an open that may create or empty a file. The first `skip` calls pass, the next
 * `count` (-1: all) fail. Paths are those that the kernel tells, so renames and copies of
 * descriptors need no bookkeeping. A change of a kind that cannot be replayed is recorded as '?'.
 *
 * This file decides and records; calls.c and streams.c stand in for libc.
 */
#include "layer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- What the environment asks for ---- */

enum { RULES = 16 };

struct rule {
    const char *op, *part;
    const char *command; /* NULL: fail with `error` */
    const char *text;
    int error;
    long skip, count;
};

static struct rule rules[RULES];
static int rule_count, log_fd = -1, fired_fd = -1;
static char root[PATH_MAX];
static size_t root_length;
static const char *fault_while;
static long clock_back, clock_after = -1;
int active;

pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
/* Guards what is left of the rules. */
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static int error_number(const char *name)
{
    static const struct { const char *name; int number; } known[] = {
        {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}, {"EACCES", EACCES}, {"EDQUOT", EDQUOT},
        {"EMFILE", EMFILE}, {"ENOENT", ENOENT}, {"EINTR", EINTR}, {"ESTALE", ESTALE},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].number;
    fprintf(stderr, "disk layer: unknown error %s; add it to layer.c\n", name);
    _exit(125);
}

static void parse_rules(const char *variable, int hooks)
{
    const char *value = getenv(variable);
    char *rest = value ? strdup(value) : NULL, *text;
    while (rest && (text = strsep(&rest, ";")) != NULL) {
        char *copy = strdup(text), *fields[5];
        int found = 0;
        for (; found < 5 && copy; found++)
            fields[found] = strsep(&copy, ":");
        if (found < 5 || copy || rule_count == RULES) {
            fprintf(stderr, "disk layer: %s: \"%s\" is no rule\n", variable, text);
            _exit(125);
        }
        rules[rule_count++] = (struct rule){
            .op = fields[0], .part = fields[1], .text = text,
            .command = hooks ? fields[2] : NULL,
            .error = hooks ? 0 : error_number(fields[2]),
            .skip = atol(fields[3]), .count = atol(fields[4]),
        };
    }
}

static int append_to(const char *variable)
{
    const char *path = getenv(variable);
    if (!path)
        return -1;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        _exit(125);
    /* Out of the way of programs that close low descriptors. */
    int high = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 500);
    syscall(SYS_close, fd);
    return high;
}

__attribute__((constructor)) static void begin(void)
{
    const char *clock = getenv("DISK_CLOCK_BACK"), *folder = getenv("DISK_ROOT");
    if (clock)
        sscanf(clock, "%ld@%ld", &clock_back, &clock_after);
    if (folder && realpath(folder, root))
        root_length = strlen(root);
    fault_while = getenv("DISK_FAULT_WHILE");
    parse_rules("DISK_FAULT", 0);
    parse_rules("DISK_HOOK", 1);
    log_fd = append_to("DISK_RECORD");
    fired_fd = append_to("DISK_FIRED");
    active = log_fd >= 0 || rule_count > 0;
    /* Commands that a hook runs are not under the layer. */
    unsetenv("LD_PRELOAD");
}

/* ---- Paths ---- */

const char *path_of(int folder, const char *name, char *out)
{
    char joined[PATH_MAX * 2], parent[PATH_MAX], where[PATH_MAX];
    int saved = errno;
    if (name[0] == '/') {
        snprintf(joined, sizeof joined, "%s", name);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        const char *base = folder == AT_FDCWD ? "/proc/self/cwd" : link;
        ssize_t n = readlink(base, where, sizeof where - 1);
        where[n < 0 ? 0 : n] = 0;
        snprintf(joined, sizeof joined, "%s/%s", where, name);
    }
    char *slash = strrchr(joined, '/');
    *slash = 0;
    if (!realpath(joined[0] ? joined : "/", parent))
        snprintf(parent, sizeof parent, "%.*s", PATH_MAX - 1, joined);
    if (snprintf(out, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "", slash + 1) >= PATH_MAX)
        out[0] = 0; /* The kernel refuses such a name. */
    errno = saved;
    return out;
}

const char *path_of_fd(int fd, char *out)
{
    char link[64];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    out[n < 0 ? 0 : n] = 0;
    if (out[0] != '/')
        out[0] = 0;
    errno = saved;
    return out;
}

int recorded(const char *path)
{
    return log_fd >= 0 && root_length && strncmp(path, root, root_length) == 0
        && (path[root_length] == '/' || path[root_length] == 0);
}

const char *inside_root(const char *path)
{
    return path + root_length + (path[root_length] == '/');
}

/* ---- Recording ---- */

static void write_whole(int fd, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = syscall(SYS_write, fd, (const char *)bytes + done, length - done);
        if (n <= 0)
            _exit(125); /* A record with a hole would lie. */
        done += n;
    }
}

/* kind, length of the path, offset, length of the data (little-endian), path, data */
void record(char kind, const char *path, uint64_t offset, const void *data, uint64_t length)
{
    int saved = errno;
    const char *inside = inside_root(path);
    uint32_t path_length = strlen(inside);
    char head[1 + 4 + 8 + 8];
    head[0] = kind;
    memcpy(head + 1, &path_length, 4);
    memcpy(head + 5, &offset, 8);
    memcpy(head + 13, &length, 8);
    write_whole(log_fd, head, sizeof head);
    write_whole(log_fd, inside, path_length);
    write_whole(log_fd, data, length);
    errno = saved;
}

void record_unknown(const char *call, const char *path)
{
    if (recorded(path))
        record('?', path, 0, call, strlen(call));
}

/* ---- Faults and hooks ---- */

static int is_change(const char *op)
{
    return strcmp(op, "read") != 0 && strcmp(op, "open") != 0;
}

int verdict(const char *op, const char *path)
{
    int error = 0, saved = errno;
    const char *asked = strcmp(op, "open for change") == 0 ? "open" : op;
    for (int i = 0; i < rule_count && !error; i++) {
        struct rule *rule = &rules[i];
        int matches = strcmp(rule->op, asked) == 0
            || (strcmp(rule->op, "change") == 0 && is_change(op));
        if (!matches || !strstr(path, rule->part))
            continue;
        if (!rule->command && fault_while && access(fault_while, F_OK) != 0)
            continue;
        pthread_mutex_lock(&counting);
        int acts = rule->skip == 0 && rule->count != 0;
        if (rule->skip > 0)
            rule->skip--;
        else if (rule->count > 0)
            rule->count--;
        if (acts && fired_fd >= 0) {
            char line[PATH_MAX + 512];
            int n = snprintf(line, sizeof line, "%s %s %s\n", asked, path, rule->text);
            write_whole(fired_fd, line, n);
        }
        pthread_mutex_unlock(&counting);
        if (acts && rule->command && system(rule->command) != 0)
            _exit(125);
        if (acts)
            error = rule->error;
    }
    errno = saved;
    return error;
}

int has_rules(void) { return rule_count > 0; }

long slow_by(void)
{
    static long asked;
    long number = __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED);
    if (clock_after < 0 || number <= clock_after)
        return 0;
    if (number == clock_after + 1 && fired_fd >= 0)
        write_whole(fired_fd, "clock\n", 6);
    return clock_back;
}
