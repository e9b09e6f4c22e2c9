// The LAPACK routines that the room LinearAlgebra calls, in a form that Swift's importer takes.
//
// LAPACKE's header drags in C99 complex types, which the importer does not take, and its
// row-major entries transpose into hidden copies. These wrappers call the Fortran symbols
// directly: column-major, scalars by value, `info` as the result, and the hidden string lengths
// that Fortran compilers expect at the end.
#pragma once
#include <stddef.h>

#define PITH_LAPACK_ROUTINES(T, p)                                                                \
  void p##gesdd_(const char *, const int *, const int *, T *, const int *, T *, T *,              \
                 const int *, T *, const int *, T *, const int *, int *, int *, size_t);          \
  void p##gesvd_(const char *, const char *, const int *, const int *, T *, const int *, T *,     \
                 T *, const int *, T *, const int *, T *, const int *, int *, size_t, size_t);    \
  void p##gelqf_(const int *, const int *, T *, const int *, T *, T *, const int *, int *);       \
  void p##orglq_(const int *, const int *, const int *, T *, const int *, const T *, T *,         \
                 const int *, int *);                                                             \
  void p##syevd_(const char *, const char *, const int *, T *, const int *, T *, T *,             \
                 const int *, int *, const int *, int *, size_t, size_t);                         \
  void p##syevr_(const char *, const char *, const char *, const int *, T *, const int *,         \
                 const T *, const T *, const int *, const int *, const T *, int *, T *, T *,      \
                 const int *, int *, T *, const int *, int *, const int *, int *, size_t, size_t, \
                 size_t);                                                                         \
  void p##potrf_(const char *, const int *, T *, const int *, int *, size_t);                     \
  void p##trtri_(const char *, const char *, const int *, T *, const int *, int *, size_t,        \
                 size_t);                                                                         \
                                                                                                  \
  static inline int pith_##p##gesdd(char job, int m, int n, T *a, int lda, T *s, T *u, int ldu,   \
                                    T *vt, int ldvt, T *work, int lwork, int *iwork) {            \
    int info = 0;                                                                                 \
    p##gesdd_(&job, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &lwork, iwork, &info, 1);       \
    return info;                                                                                  \
  }                                                                                               \
  static inline int pith_##p##gesvd(char job, int m, int n, T *a, int lda, T *s, T *u, int ldu,   \
                                    T *vt, int ldvt, T *work, int lwork) {                        \
    int info = 0;                                                                                 \
    p##gesvd_(&job, &job, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &lwork, &info, 1, 1);     \
    return info;                                                                                  \
  }                                                                                               \
  static inline int pith_##p##gelqf(int m, int n, T *a, int lda, T *tau, T *work, int lwork) {    \
    int info = 0;                                                                                 \
    p##gelqf_(&m, &n, a, &lda, tau, work, &lwork, &info);                                         \
    return info;                                                                                  \
  }                                                                                               \
  static inline int pith_##p##orglq(int m, int n, int k, T *a, int lda, const T *tau, T *work,    \
                                    int lwork) {                                                  \
    int info = 0;                                                                                 \
    p##orglq_(&m, &n, &k, a, &lda, tau, work, &lwork, &info);                                     \
    return info;                                                                                  \
  }                                                                                               \
  static inline int pith_##p##syevd(char uplo, int n, T *a, int lda, T *w, T *work, int lwork,    \
                                    int *iwork, int liwork) {                                     \
    int info = 0;                                                                                 \
    char job = 'V';                                                                               \
    p##syevd_(&job, &uplo, &n, a, &lda, w, work, &lwork, iwork, &liwork, &info, 1, 1);            \
    return info;                                                                                  \
  }                                                                                               \
  /* Eigenvalues first...last (from 1, ascending) with their vectors. */                          \
  static inline int pith_##p##syevr(char uplo, int n, T *a, int lda, int first, int last, T *w,   \
                                    T *z, int ldz, int *isuppz, T *work, int lwork, int *iwork,   \
                                    int liwork) {                                                 \
    int info = 0, found = 0;                                                                      \
    char job = 'V', range = 'I';                                                                  \
    T none = 0;                                                                                   \
    p##syevr_(&job, &range, &uplo, &n, a, &lda, &none, &none, &first, &last, &none, &found, w, z, \
              &ldz, isuppz, work, &lwork, iwork, &liwork, &info, 1, 1, 1);                        \
    return info;                                                                                  \
  }                                                                                               \
  static inline int pith_##p##potrf(char uplo, int n, T *a, int lda) {                            \
    int info = 0;                                                                                 \
    p##potrf_(&uplo, &n, a, &lda, &info, 1);                                                      \
    return info;                                                                                  \
  }                                                                                               \
  static inline int pith_##p##trtri(char uplo, int n, T *a, int lda) {                            \
    int info = 0;                                                                                 \
    char diagonal = 'N';                                                                          \
    p##trtri_(&uplo, &diagonal, &n, a, &lda, &info, 1, 1);                                        \
    return info;                                                                                  \
  }

PITH_LAPACK_ROUTINES(float, s)
PITH_LAPACK_ROUTINES(double, d)

#undef PITH_LAPACK_ROUTINES
