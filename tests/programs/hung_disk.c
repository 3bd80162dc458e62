/* Loaded before libc: a system call named by HANG_IN hangs on a file whose name ends in ".hung", a read after HANG_AFTER
   bytes of it, as on a network mount whose server is gone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <stdio.h>

static void hang_if(const char *call, const char *path) {
    const char *name = getenv("HANG_IN"), *end = path ? strrchr(path, '.') : NULL;
    if (name && end && !strcmp(name, call) && !strcmp(end, ".hung")) sleep(20);
}

int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict result) {
    hang_if("stat", path);
    return syscall(SYS_statx, folder, path, flags, mask, result);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    hang_if("open", path);
    return syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

ssize_t read(int file, void *bytes, size_t count) {
    const char *after = getenv("HANG_AFTER");
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) > 0 && lseek(file, 0, SEEK_CUR) >= (after ? atol(after) : 0)) {
        hang_if("read", path);
    }
    return syscall(SYS_read, file, bytes, count);
}
