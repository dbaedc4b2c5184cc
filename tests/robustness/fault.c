/* Makes the Nth use of the disk under a folder fail, in each process that loads this before libc.

   FAULT_UNDER    the folder
   FAULT_ERRNO    the error of the failing call
   FAULT_AT       which call fails, counted from 1 over all processes; with 0 none does
   FAULT_FOR_GOOD whether all later calls fail as well, as on a disk that is full
   FAULT_COUNTER  a file of eight bytes in which all processes count

   A use is a call that changes the disk: a file opened to be written, bytes written, a
   flush, a rename, a new folder. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static int number(const char *name) {
  const char *text = getenv(name);
  return text ? atoi(text) : 0;
}

static long *counter(void) {
  static long *shared;
  if (!shared) {
    int file = NEXT(open)(getenv("FAULT_COUNTER"), O_RDWR);
    if (file < 0) abort();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared == MAP_FAILED) abort();
  }
  return shared;
}

static int fails(const char *path) {
  const char *under = getenv("FAULT_UNDER");
  if (!under || !path || strncmp(path, under, strlen(under))) return 0;
  long use = __atomic_add_fetch(counter(), 1, __ATOMIC_SEQ_CST);
  long failing = number("FAULT_AT");
  if (!failing || use < failing || (use > failing && !number("FAULT_FOR_GOOD"))) return 0;
  errno = number("FAULT_ERRNO");
  return 1;
}

static int descriptor_fails(int descriptor) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(path);
}

#define OPEN(name)                                                              \
  int name(const char *path, int flags, ...) {                                  \
    va_list rest;                                                               \
    va_start(rest, flags);                                                      \
    mode_t mode = va_arg(rest, mode_t);                                         \
    va_end(rest);                                                               \
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails(path)) return -1;      \
    return NEXT(name)(path, flags, mode);                                       \
  }
OPEN(open)
OPEN(open64)

ssize_t write(int descriptor, const void *bytes, size_t count) {
  return descriptor_fails(descriptor) ? -1 : NEXT(write)(descriptor, bytes, count);
}

int fsync(int descriptor) { return descriptor_fails(descriptor) ? -1 : NEXT(fsync)(descriptor); }

int rename(const char *from, const char *to) { return fails(to) ? -1 : NEXT(rename)(from, to); }

int mkdir(const char *path, mode_t mode) { return fails(path) ? -1 : NEXT(mkdir)(path, mode); }
