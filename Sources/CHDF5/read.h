// Decoding rows of a dataset that is chunked, compressed, compact or big-endian, in a child process.
#pragma once
#include "child.h"

/// The rows to decode.
typedef struct {
  uint64_t address;       // of the dataset's object header
  uint64_t first, count;  // rows: steps of the outermost extent; one row for a scalar
  uint64_t element_bytes; // as the index had them
  uint64_t total_bytes;   // of the rows: what `target` has room for
  void *target;           // memory that parent and child share
} pith_read_request;

/// Reads the rows into the shared memory; 0 and a reason in the error stack on failure.
static inline int pith_read_rows(hid_t file, const pith_read_request *request) {
  hid_t dataset = H5Oopen_by_addr(file, (haddr_t)request->address);
  if (dataset < 0 || H5Iget_type(dataset) != H5I_DATASET) return 0;
  hid_t type = H5Dget_type(dataset);
  hid_t space = H5Dget_space(dataset);
  if (type < 0 || space < 0 || H5Tget_size(type) != request->element_bytes) return 0;
  // The same type in this machine's order: bytes are swapped, never converted.
  if (H5Tget_class(type) == H5T_ENUM) type = H5Tget_super(type);
  hid_t memory_type = H5Tcopy(type);
  if (memory_type < 0) return 0;
  if (H5Tget_order(memory_type) == H5T_ORDER_BE && H5Tset_order(memory_type, H5T_ORDER_LE) < 0)
    return 0;

  hsize_t extents[H5S_MAX_RANK], start[H5S_MAX_RANK];
  int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || rank > H5S_MAX_RANK) return 0;
  hsize_t points = 1;
  if (rank > 0) {
    if (H5Sget_simple_extent_dims(space, extents, NULL) < 0) return 0;
    if (request->first > extents[0] || request->count > extents[0] - request->first) return 0;
    memset(start, 0, sizeof start);
    start[0] = request->first;
    extents[0] = request->count;
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extents, NULL) < 0) return 0;
    for (int axis = 0; axis < rank; axis += 1)
      if (__builtin_mul_overflow(points, extents[axis], &points)) return 0;
  }
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(points, request->element_bytes, &bytes)) return 0;
  if (bytes != request->total_bytes) return 0;
  hid_t memory_space = H5Screate_simple(1, &points, NULL);
  if (memory_space < 0) return 0;
  return H5Dread(dataset, memory_type, memory_space, space, H5P_DEFAULT, request->target) >= 0;
}

/// Forks a child that decodes rows; it sends E, or X and a reason. Its identifier, or −1.
static inline pid_t pith_read_start(pith_child_job job, pith_read_request request) {
  pid_t child = fork();
  if (child != 0) return child;
  pith_child_prepare(&job);
  pith_hdf5_be_quiet();
  pith_child_pipe *pipe = (pith_child_pipe *)calloc(1, sizeof(pith_child_pipe));
  if (!pipe) _exit(3);
  pipe->descriptor = job.output;
  pipe->room = 1 << 16;
  hid_t file = pith_child_open(&job);
  if (file < 0) pith_child_fail(pipe, 'F', "");
  if (!pith_read_rows(file, &request)) pith_child_fail(pipe, 'D', "");
  pith_child_put8(pipe, 'E');
  pith_child_flush(pipe);
  _exit(0);
}
