// The allocator's ways with large blocks.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Blocks of a mebibyte or more get pages of their own from now on, which leave the process when they
/// are freed. Without effect where the C library is not glibc.
void pith_return_freed_memory(void);

#ifdef __cplusplus
}
#endif
