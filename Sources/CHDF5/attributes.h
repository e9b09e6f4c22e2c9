// Attributes as records of the index; see index.h.
#pragma once
#include "child.h"

/// More objects, deeper nests or larger attributes than any checkpoint has.
enum {
  pith_index_depth = 256,
  pith_index_objects = 1 << 20,
  pith_index_name_bytes = 1 << 12,
  pith_index_attribute_bytes = 1 << 27,
  pith_index_total_bytes = 1 << 29,
};

/// Reads an attribute's texts; NULL when they cannot be read. They are freed with the process: in a
/// damaged file their lengths are not to be trusted again.
static inline void *pith_index_read_texts(hid_t attribute, hid_t type, size_t count) {
  int is_variable = H5Tis_variable_str(type) > 0;
  size_t size = is_variable ? sizeof(char *) : H5Tget_size(type);
  void *texts = calloc(count + 1, size);
  if (texts && H5Aread(attribute, type, texts) < 0) {
    free(texts);
    return NULL;
  }
  return texts;
}

/// Sends texts and frees them.
static inline void pith_index_put_texts(
    pith_child_pipe *pipe, hid_t type, hid_t space, size_t count, void *memory) {
  if (H5Tis_variable_str(type) > 0) {
    char **texts = (char **)memory;
    for (size_t item = 0; item < count; item += 1)
      pith_child_put_text(pipe, texts[item] ? texts[item] : "",
                          texts[item] ? strlen(texts[item]) : 0);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts);
  } else {
    size_t size = H5Tget_size(type);
    int is_padded_with_spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    for (size_t item = 0; item < count; item += 1) {
      const char *text = (const char *)memory + item * size;
      size_t length = strnlen(text, size);
      while (is_padded_with_spaces && length > 0 && text[length - 1] == ' ') length -= 1;
      pith_child_put_text(pipe, text, length);
    }
  }
  free(memory);
}

/// What an attribute is sent as: i, u or d (64 bits), s, or '-' when it is neither number nor text.
static inline char pith_index_attribute_kind(hid_t type, H5S_class_t extent) {
  H5T_class_t class_ = H5Tget_class(type);
  size_t size = H5Tget_size(type);
  if (extent == H5S_NULL) return '-';
  if (class_ == H5T_STRING) return 's';
  if (size > 8) return '-';
  if (class_ == H5T_FLOAT) return 'd';
  if (class_ == H5T_INTEGER && size == 8 && H5Tget_sign(type) == H5T_SGN_NONE) return 'u';
  return class_ == H5T_INTEGER || class_ == H5T_ENUM ? 'i' : '-';
}

/// Sends one attribute.
static inline herr_t pith_index_attribute(
    hid_t object, const char *name, const H5A_info_t *info, void *data) {
  (void)info;
  pith_child_pipe *pipe = (pith_child_pipe *)data;
  if (strlen(name) > pith_index_name_bytes) pith_child_fail(pipe, 'N', "");
  hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
  hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
  hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
  if (type < 0 || space < 0) pith_child_fail(pipe, 'A', name);
  H5S_class_t extent = H5Sget_simple_extent_type(space);
  hssize_t points = H5Sget_simple_extent_npoints(space);
  size_t size = H5Tget_size(type);
  if (points < 0 || size == 0) pith_child_fail(pipe, 'A', name);
  char kind = pith_index_attribute_kind(type, extent);
  size_t count = kind == '-' ? 0 : (size_t)points;
  if (count > pith_index_attribute_bytes / size || count > pith_index_attribute_bytes / 8)
    pith_child_fail(pipe, 'B', name);

  void *values = NULL;
  if (kind == 's') {
    values = pith_index_read_texts(attribute, type, count);
  } else if (kind != '-') {
    hid_t memory = kind == 'i' ? H5T_NATIVE_INT64
                               : kind == 'u' ? H5T_NATIVE_UINT64 : H5T_NATIVE_DOUBLE;
    values = calloc(count + 1, 8);
    if (values && H5Aread(attribute, memory, values) < 0) values = NULL;
  }
  if (kind != '-' && !values) pith_child_fail(pipe, 'A', name);
  pith_child_put8(pipe, 'A');
  pith_child_put_text(pipe, name, strlen(name));
  pith_child_put8(pipe, (uint8_t)kind);
  pith_child_put8(pipe, extent == H5S_SCALAR);
  pith_child_put64(pipe, count);
  if (kind == 's') {
    pith_index_put_texts(pipe, type, space, count, values);
  } else {
    pith_child_put(pipe, values, count * 8);
    free(values);
  }
  H5Sclose(space);
  H5Tclose(type);
  H5Aclose(attribute);
  return 0;
}

/// Sends all attributes of an object.
static inline void pith_index_attributes(pith_child_pipe *pipe, hid_t object) {
  hsize_t position = 0;
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &position, pith_index_attribute, pipe) < 0)
    pith_child_fail(pipe, 'A', "");
}
