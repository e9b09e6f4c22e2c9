// A child process that opens an HDF5 file: a crash, an endless loop or a flood of memory that a
// hostile file causes in libhdf5 ends the child and not the program.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "names.h"

/// What a child is to open, and its limits.
typedef struct {
  int file;              // descriptor of the file that holds the HDF5 file
  uint64_t offset;       // where in it the HDF5 file begins
  uint64_t length;       // bytes of the HDF5 file
  int output;            // descriptor of the pipe to the parent
  double seconds;        // wall time before the child is ended
  uint64_t memory_bytes; // address space beyond what the parent has now
} pith_child_job;

/// Bytes on their way to the parent.
typedef struct {
  int descriptor;
  size_t used;
  uint64_t room; // bytes that may still be sent: the parent holds them in memory
  unsigned char buffer[1 << 16];
} pith_child_pipe;

static inline void pith_child_flush(pith_child_pipe *pipe) {
  size_t done = 0;
  while (done < pipe->used) {
    ssize_t count = write(pipe->descriptor, pipe->buffer + done, pipe->used - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) _exit(2);
    done += (size_t)count;
  }
  pipe->used = 0;
}

static inline void pith_child_put(pith_child_pipe *pipe, const void *bytes, size_t count) {
  const unsigned char *source = (const unsigned char *)bytes;
  if (count > pipe->room) {
    pith_child_flush(pipe);
    _exit(3);
  }
  pipe->room -= count;
  while (count > 0) {
    size_t part = sizeof pipe->buffer - pipe->used;
    if (part > count) part = count;
    memcpy(pipe->buffer + pipe->used, source, part);
    pipe->used += part;
    source += part;
    count -= part;
    if (pipe->used == sizeof pipe->buffer) pith_child_flush(pipe);
  }
}

static inline void pith_child_put8(pith_child_pipe *pipe, uint8_t value) {
  pith_child_put(pipe, &value, 1);
}

static inline void pith_child_put64(pith_child_pipe *pipe, uint64_t value) {
  pith_child_put(pipe, &value, 8);
}

static inline void pith_child_put_text(pith_child_pipe *pipe, const char *text, size_t count) {
  pith_child_put64(pipe, count);
  pith_child_put(pipe, text, count);
}

/// Sends an error record (its kind, the name of what was being read, libhdf5's reason) and ends.
static inline void pith_child_fail(pith_child_pipe *pipe, char kind, const char *name) {
  char reason[400];
  pith_hdf5_last_error(reason);
  pith_child_put8(pipe, 'X');
  pith_child_put8(pipe, (uint8_t)kind);
  pith_child_put_text(pipe, name, strlen(name));
  pith_child_put_text(pipe, reason, strlen(reason));
  pith_child_flush(pipe);
  _exit(0);
}

/// Signals back to their defaults, the standard error closed, time and memory limited.
static inline void pith_child_prepare(const pith_child_job *job) {
  static const int signals[] = {SIGSEGV, SIGBUS,  SIGABRT, SIGFPE, SIGILL,
                                SIGALRM, SIGPIPE, SIGINT,  SIGTERM};
  for (size_t index = 0; index < sizeof signals / sizeof signals[0]; index += 1)
    signal(signals[index], SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);

  // glibc and assert would print there what is no news to the user.
  int nowhere = open("/dev/null", O_WRONLY);
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);

  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  struct itimerval timer;
  memset(&timer, 0, sizeof timer);
  timer.it_value.tv_sec = (time_t)job->seconds;
  timer.it_value.tv_usec = (suseconds_t)((job->seconds - (double)timer.it_value.tv_sec) * 1e6);
  setitimer(ITIMER_REAL, &timer, NULL);
}

/// Limits the address space to what is in use now and some more.
static inline void pith_child_limit_memory(const pith_child_job *job) {
#if defined(__linux__) && !defined(PITH_NO_MEMORY_LIMIT)
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long long pages = 0;
  if (!file) return;
  int found = fscanf(file, "%llu", &pages);
  fclose(file);
  if (found != 1) return;
  rlim_t bytes = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)job->memory_bytes;
  struct rlimit limit = {bytes, bytes};
  setrlimit(RLIMIT_AS, &limit);
#else
  (void)job;
#endif
}

// MARK: The file as an image in memory

static inline void *pith_image_malloc(size_t size, H5FD_file_image_op_t op, void *image) {
  (void)size;
  (void)op;
  return image;
}
static inline void *pith_image_memcpy(
    void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *image) {
  (void)from;
  (void)size;
  (void)op;
  (void)image;
  return to;
}
static inline herr_t pith_image_free(void *memory, H5FD_file_image_op_t op, void *image) {
  (void)memory;
  (void)op;
  (void)image;
  return 0;
}
static inline void *pith_image_copy(void *image) { return image; }
static inline herr_t pith_image_release(void *image) {
  (void)image;
  return 0;
}

/// Opens the mapped range as a file of libhdf5's memory driver, without copying it.
///
/// So the range may begin anywhere (a member of a zip archive), the file may have lost its name
/// already, and nothing is locked. A negative result means failure.
static inline hid_t pith_child_open(const pith_child_job *job) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  uint64_t lead = job->offset % page;
  char *memory = (char *)mmap(
      NULL, (size_t)(job->length + lead), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
      job->file, (off_t)(job->offset - lead));
  if (memory == (char *)MAP_FAILED) return -1;
  pith_child_limit_memory(job);
  char *image = memory + lead;
  H5FD_file_image_callbacks_t callbacks = {
      pith_image_malloc, pith_image_memcpy,  NULL, pith_image_free,
      pith_image_copy,   pith_image_release, image};
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access < 0 || H5Pset_fapl_core(access, 1 << 20, 0) < 0) return -1;
  if (H5Pset_file_image_callbacks(access, &callbacks) < 0) return -1;
  if (H5Pset_file_image(access, image, (size_t)job->length) < 0) return -1;
  // A link to another file must not be followed, whatever leads to it.
  H5Lunregister(H5L_TYPE_EXTERNAL);
  return H5Fopen("checkpoint", H5F_ACC_RDONLY, access);
}
