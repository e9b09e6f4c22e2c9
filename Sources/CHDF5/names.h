// libhdf5's constants that are macros over variables or casts.
#pragma once
#include <hdf5.h>

static inline hid_t pith_hdf5_default(void) { return H5P_DEFAULT; }
static inline hid_t pith_hdf5_create_file_list(void) { return H5Pcreate(H5P_FILE_CREATE); }
static inline hid_t pith_hdf5_access_file_list(void) { return H5Pcreate(H5P_FILE_ACCESS); }
static inline hid_t pith_hdf5_create_group_list(void) { return H5Pcreate(H5P_GROUP_CREATE); }
static inline hid_t pith_hdf5_create_dataset_list(void) { return H5Pcreate(H5P_DATASET_CREATE); }
static inline hid_t pith_hdf5_create_link_list(void) { return H5Pcreate(H5P_LINK_CREATE); }
static inline hid_t pith_hdf5_create_attribute_list(void) {
  return H5Pcreate(H5P_ATTRIBUTE_CREATE);
}
static inline unsigned pith_hdf5_truncate(void) { return H5F_ACC_TRUNC; }
static inline unsigned pith_hdf5_read_write(void) { return H5F_ACC_RDWR; }
static inline H5F_libver_t pith_hdf5_latest(void) { return H5F_LIBVER_LATEST; }
static inline unsigned pith_hdf5_order_tracked(void) { return H5P_CRT_ORDER_TRACKED; }

/// The file's type for an element: kind 'f' (IEEE float), 'i' or 'u' (integer), and its bytes.
static inline hid_t pith_hdf5_file_type(char kind, int bytes) {
  switch (kind) {
  case 'f':
    if (bytes == 8) return H5Tcopy(H5T_IEEE_F64LE);
    if (bytes == 4) return H5Tcopy(H5T_IEEE_F32LE);
    if (bytes == 2) {
      // 1.10 has no name for the 16-bit float; h5py makes the same type.
      hid_t type = H5Tcopy(H5T_IEEE_F32LE);
      H5Tset_fields(type, 15, 10, 5, 0, 10);
      H5Tset_size(type, 2);
      H5Tset_ebias(type, 15);
      return type;
    }
    return -1;
  case 'i':
    return H5Tcopy(
        bytes == 8 ? H5T_STD_I64LE
                   : bytes == 4 ? H5T_STD_I32LE : bytes == 2 ? H5T_STD_I16LE : H5T_STD_I8LE);
  default:
    return H5Tcopy(
        bytes == 8 ? H5T_STD_U64LE
                   : bytes == 4 ? H5T_STD_U32LE : bytes == 2 ? H5T_STD_U16LE : H5T_STD_U8LE);
  }
}

/// A variable-length text in UTF-8.
static inline hid_t pith_hdf5_text_type(void) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}
static inline hid_t pith_hdf5_native_int64(void) { return H5T_NATIVE_INT64; }
static inline hid_t pith_hdf5_native_double(void) { return H5T_NATIVE_DOUBLE; }

/// Keeps the library from locking files: on some network disks it cannot, and then refuses them.
static inline void pith_hdf5_unlock(hid_t access) {
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERSION_GE(1, 12, 0) && !H5_VERSION_GE(1, 12, 1))
  H5Pset_file_locking(access, 0, 1);
#else
  (void)access;
#endif
}

/// Keeps the library from printing its error stack.
static inline void pith_hdf5_be_quiet(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

static inline herr_t pith_hdf5_keep_description(unsigned n, const H5E_error2_t *error, void *text) {
  (void)n;
  const char *description = error->desc;
  if (description && description[0]) {
    char *target = (char *)text;
    size_t index = 0;
    while (index < 399 && description[index]) {
      target[index] = description[index];
      index += 1;
    }
    target[index] = 0;
  }
  return 0;
}

/// The innermost message of the library's error stack; `text` has room for 400 bytes.
static inline void pith_hdf5_last_error(char *text) {
  text[0] = 0;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, pith_hdf5_keep_description, text);
}
