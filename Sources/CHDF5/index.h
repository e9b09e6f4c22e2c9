// The walk over a file's objects, in a child process, and the records that it sends.
//
// Numbers are 64 bits in the machine's order, texts a count and their bytes. Records:
//   G name address                 a group begins (the root's name is empty); attributes follow
//   A name kind isScalar count …   an attribute of the last G or D: kind i, u (64 bits), d, s, or '-'
//   D name address type space …    a dataset; see pith_index_dataset
//   L name address                 another hard link to an object that was sent before
//   S name target address          a soft link; the address is 2^64 − 1 when it leads nowhere
//   O name reason                  an object that is neither a group nor a dataset
//   g                              the group ends
//   X kind name reason             nothing more: the walk failed
//   E                              the end
#pragma once
#include "attributes.h"

typedef struct {
  pith_child_pipe pipe;
  hid_t file;
  uint64_t objects;
  // The addresses that were visited: an open hash table, 2^64 − 1 where it is empty.
  uint64_t *seen;
  size_t seen_size, seen_count;
} pith_index;

/// Whether the address is new; it is remembered.
static inline int pith_index_is_new(pith_index *index, uint64_t address) {
  if ((index->seen_count + 1) * 2 > index->seen_size) {
    size_t size = index->seen_size ? index->seen_size * 2 : 1024;
    uint64_t *table = (uint64_t *)malloc(size * sizeof(uint64_t));
    if (!table) _exit(3);
    memset(table, 0xFF, size * sizeof(uint64_t));
    for (size_t old = 0; old < index->seen_size; old += 1) {
      uint64_t value = index->seen[old];
      if (value == UINT64_MAX) continue;
      size_t slot = (size_t)(value * 0x9E3779B97F4A7C15u >> 20) % size;
      while (table[slot] != UINT64_MAX) slot = (slot + 1) % size;
      table[slot] = value;
    }
    free(index->seen);
    index->seen = table;
    index->seen_size = size;
  }
  size_t slot = (size_t)(address * 0x9E3779B97F4A7C15u >> 20) % index->seen_size;
  while (index->seen[slot] != UINT64_MAX) {
    if (index->seen[slot] == address) return 0;
    slot = (slot + 1) % index->seen_size;
  }
  index->seen[slot] = address;
  index->seen_count += 1;
  return 1;
}

// MARK: Datasets

/// Whether an enumeration is the one that h5py writes for bool: FALSE = 0, TRUE = 1 in one byte.
static inline int pith_index_is_bool(hid_t type) {
  if (H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) return 0;
  int8_t value = -1;
  if (H5Tenum_valueof(type, "FALSE", &value) < 0 || value != 0) return 0;
  return H5Tenum_valueof(type, "TRUE", &value) >= 0 && value == 1;
}

/// Sends an element type: class, bytes, order (0 little-endian, 1 big-endian, 2 none, 3 another),
/// isSigned, isBool, precision, offset, and a float's five fields and bias.
static inline void pith_index_type(pith_index *index, hid_t type) {
  H5T_class_t class_ = H5Tget_class(type);
  uint64_t size = H5Tget_size(type);
  uint64_t is_bool = 0;
  hid_t base = type;
  if (class_ == H5T_ENUM) {
    is_bool = (uint64_t)pith_index_is_bool(type);
    base = H5Tget_super(type);
  }
  uint64_t fields[12] = {(uint64_t)(int64_t)class_, size, 3, 0, is_bool, 0, 0, 0, 0, 0, 0, 0};
  if (class_ == H5T_INTEGER || class_ == H5T_FLOAT || class_ == H5T_ENUM) {
    H5T_order_t order = H5Tget_order(base);
    fields[2] = order == H5T_ORDER_LE ? 0 : order == H5T_ORDER_BE ? 1
                : order == H5T_ORDER_NONE ? 2 : 3;
    fields[5] = H5Tget_precision(base);
    fields[6] = (uint64_t)(int64_t)H5Tget_offset(base);
  }
  if (class_ == H5T_INTEGER || class_ == H5T_ENUM) fields[3] = H5Tget_sign(base) == H5T_SGN_2;
  if (class_ == H5T_FLOAT) {
    size_t sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
    H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits);
    fields[7] = sign;
    fields[8] = exponent << 8 | exponent_bits;
    fields[9] = mantissa << 8 | mantissa_bits;
    fields[10] = H5Tget_ebias(type);
    fields[11] = H5Tget_norm(type) == H5T_NORM_IMPLIED;
  }
  pith_child_put(&index->pipe, fields, sizeof fields);
}

/// Sends a dataset: type; space (0 null, 1 scalar, 2 simple), rank, extents; layout (0 compact,
/// 1 contiguous, 2 chunked, 3 virtual), offset (2^64 − 1 for none), stored bytes, external files,
/// chunk rank and extents, filters as text; its attributes.
static inline void pith_index_dataset(pith_index *index, hid_t dataset, const char *name) {
  pith_child_pipe *pipe = &index->pipe;
  hid_t type = H5Dget_type(dataset);
  hid_t space = H5Dget_space(dataset);
  hid_t list = H5Dget_create_plist(dataset);
  if (type < 0 || space < 0 || list < 0) pith_child_fail(pipe, 'D', name);
  pith_index_type(index, type);

  hsize_t extents[H5S_MAX_RANK];
  H5S_class_t extent = H5Sget_simple_extent_type(space);
  int rank = extent == H5S_SIMPLE ? H5Sget_simple_extent_dims(space, extents, NULL) : 0;
  if (rank < 0 || rank > H5S_MAX_RANK) pith_child_fail(pipe, 'D', name);
  pith_child_put64(pipe, extent == H5S_NULL ? 0 : extent == H5S_SCALAR ? 1 : 2);
  pith_child_put64(pipe, (uint64_t)rank);
  for (int axis = 0; axis < rank; axis += 1) pith_child_put64(pipe, extents[axis]);

  H5D_layout_t layout = H5Pget_layout(list);
  int external = H5Pget_external_count(list);
  if (layout < 0 || external < 0) pith_child_fail(pipe, 'D', name);
  uint64_t offset = layout == H5D_CONTIGUOUS && external == 0 ? H5Dget_offset(dataset) : UINT64_MAX;
  uint64_t stored = external == 0 && layout != H5D_VIRTUAL ? H5Dget_storage_size(dataset) : 0;
  pith_child_put64(pipe, (uint64_t)layout);
  pith_child_put64(pipe, offset);
  pith_child_put64(pipe, stored);
  pith_child_put64(pipe, (uint64_t)external);

  hsize_t chunk[H5S_MAX_RANK];
  int chunk_rank = layout == H5D_CHUNKED ? H5Pget_chunk(list, H5S_MAX_RANK, chunk) : 0;
  if (chunk_rank < 0 || chunk_rank > H5S_MAX_RANK) pith_child_fail(pipe, 'D', name);
  pith_child_put64(pipe, (uint64_t)chunk_rank);
  for (int axis = 0; axis < chunk_rank; axis += 1) pith_child_put64(pipe, chunk[axis]);

  char filters[256] = "";
  int filter_count = layout == H5D_CHUNKED ? H5Pget_nfilters(list) : 0;
  for (int filter = 0; filter < filter_count; filter += 1) {
    char filter_name[32] = "";
    unsigned flags = 0, values[8], configuration = 0;
    size_t value_count = 8;
    H5Z_filter_t code = H5Pget_filter2(
        list, (unsigned)filter, &flags, &value_count, values, sizeof filter_name, filter_name,
        &configuration);
    if (code < 0) pith_child_fail(pipe, 'D', name);
    size_t used = strlen(filters);
    if (H5Zfilter_avail(code) > 0)
      snprintf(filters + used, sizeof filters - used, "%s%.31s", used ? ", " : "", filter_name);
    else
      snprintf(filters + used, sizeof filters - used, "%s!%d", used ? ", " : "", (int)code);
  }
  pith_child_put_text(pipe, filters, strlen(filters));
  pith_index_attributes(pipe, dataset);
  H5Pclose(list);
  H5Sclose(space);
  H5Tclose(type);
}

// MARK: Groups and links

typedef struct {
  char *name;
  H5L_type_t type;
} pith_index_link;

typedef struct {
  pith_index_link *items;
  size_t count, capacity;
} pith_index_links;

static inline herr_t pith_index_add_link(
    hid_t group, const char *name, const H5L_info_t *info, void *data) {
  (void)group;
  pith_index_links *links = (pith_index_links *)data;
  if (links->count >= pith_index_objects) return -1;
  if (links->count == links->capacity) {
    links->capacity = links->capacity ? links->capacity * 2 : 16;
    links->items =
        (pith_index_link *)realloc(links->items, links->capacity * sizeof(pith_index_link));
    if (!links->items) _exit(3);
  }
  char *copy = strdup(name);
  if (!copy) _exit(3);
  links->items[links->count].name = copy;
  links->items[links->count].type = info->type;
  links->count += 1;
  return 0;
}

/// A name that would lead elsewhere when it is looked up.
static inline int pith_index_is_bad_name(const char *name) {
  return name[0] == 0 || strchr(name, '/') || strcmp(name, ".") == 0 ||
         strlen(name) > pith_index_name_bytes;
}

static inline uint64_t pith_index_address(hid_t object) {
  H5O_info_t info;
  if (H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0) return UINT64_MAX;
  return (uint64_t)info.addr;
}

static inline void pith_index_group(
    pith_index *index, hid_t group, const char *name, uint64_t address, unsigned depth);

static inline void pith_index_soft_link(pith_index *index, hid_t group, const char *name) {
  H5L_info_t info;
  if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0) pith_child_fail(&index->pipe, 'O', name);
  char target[pith_index_name_bytes + 1];
  memset(target, 0, sizeof target);
  size_t room = info.u.val_size < sizeof target - 1 ? info.u.val_size : sizeof target - 1;
  if (H5Lget_val(group, name, target, room, H5P_DEFAULT) < 0)
    pith_child_fail(&index->pipe, 'O', name);
  H5O_info_t object;
  uint64_t address = UINT64_MAX;
  if (H5Oget_info_by_name2(group, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) >= 0)
    address = (uint64_t)object.addr;
  pith_child_put8(&index->pipe, 'S');
  pith_child_put_text(&index->pipe, name, strlen(name));
  pith_child_put_text(&index->pipe, target, strlen(target));
  pith_child_put64(&index->pipe, address);
}

static inline void pith_index_hard_link(
    pith_index *index, hid_t group, const char *name, unsigned depth) {
  hid_t object = H5Oopen(group, name, H5P_DEFAULT);
  uint64_t address = object < 0 ? UINT64_MAX : pith_index_address(object);
  if (address == UINT64_MAX) pith_child_fail(&index->pipe, 'O', name);
  pith_child_pipe *pipe = &index->pipe;
  H5I_type_t kind = H5Iget_type(object);
  index->objects += 1;
  if (index->objects > pith_index_objects) pith_child_fail(pipe, 'M', name);
  if (kind == H5I_GROUP || kind == H5I_DATASET) {
    if (!pith_index_is_new(index, address)) {
      pith_child_put8(pipe, 'L');
      pith_child_put_text(pipe, name, strlen(name));
      pith_child_put64(pipe, address);
    } else if (kind == H5I_GROUP) {
      pith_index_group(index, object, name, address, depth + 1);
    } else {
      pith_child_put8(pipe, 'D');
      pith_child_put_text(pipe, name, strlen(name));
      pith_child_put64(pipe, address);
      pith_index_dataset(index, object, name);
    }
  } else {
    pith_child_put8(pipe, 'O');
    pith_child_put_text(pipe, name, strlen(name));
    pith_child_put_text(pipe, "a named type", 12);
  }
  H5Oclose(object);
}

static inline void pith_index_group(
    pith_index *index, hid_t group, const char *name, uint64_t address, unsigned depth) {
  pith_child_pipe *pipe = &index->pipe;
  if (depth > pith_index_depth) pith_child_fail(pipe, 'P', name);
  pith_child_put8(pipe, 'G');
  pith_child_put_text(pipe, name, strlen(name));
  pith_child_put64(pipe, address);
  pith_index_attributes(pipe, group);

  unsigned order = 0;
  hid_t list = H5Gget_create_plist(group);
  if (list < 0) pith_child_fail(pipe, 'O', name);
  H5Pget_link_creation_order(list, &order);
  H5Pclose(list);
  // The links are gathered first, so that recursion does not go through the library's own frames.
  pith_index_links links = {NULL, 0, 0};
  H5_index_t by = order & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
  if (H5Literate(group, by, H5_ITER_INC, NULL, pith_index_add_link, &links) < 0)
    pith_child_fail(pipe, links.count >= pith_index_objects ? 'M' : 'O', name);
  for (size_t position = 0; position < links.count; position += 1) {
    pith_index_link link = links.items[position];
    if (pith_index_is_bad_name(link.name)) pith_child_fail(pipe, 'N', link.name);
    if (link.type == H5L_TYPE_HARD) pith_index_hard_link(index, group, link.name, depth);
    else if (link.type == H5L_TYPE_SOFT) pith_index_soft_link(index, group, link.name);
    else pith_child_fail(pipe, 'E', link.name);
    free(link.name);
  }
  free(links.items);
  pith_child_put8(pipe, 'g');
}

/// Forks a child that sends the index of a file; its process identifier, or −1.
static inline pid_t pith_index_start(pith_child_job job) {
  pid_t child = fork();
  if (child != 0) return child;
  pith_child_prepare(&job);
  pith_hdf5_be_quiet();
  pith_index *index = (pith_index *)calloc(1, sizeof(pith_index));
  if (!index) _exit(3);
  index->pipe.descriptor = job.output;
  index->pipe.room = pith_index_total_bytes;
  index->file = pith_child_open(&job);
  if (index->file < 0) pith_child_fail(&index->pipe, 'F', "");
  hid_t root = H5Gopen2(index->file, "/", H5P_DEFAULT);
  uint64_t address = root < 0 ? UINT64_MAX : pith_index_address(root);
  if (address == UINT64_MAX) pith_child_fail(&index->pipe, 'F', "/");
  pith_index_is_new(index, address);
  pith_index_group(index, root, "", address, 0);
  pith_child_put8(&index->pipe, 'E');
  pith_child_flush(&index->pipe);
  // No H5Fclose: closing is where a damaged file crashes next, and there is nothing to save.
  _exit(0);
}
