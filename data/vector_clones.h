// data/vector_clones.h – marks a loop that is compiled twice, for AVX2 and for any processor, and chosen when the program
// starts. AVX2 without fused multiply-add: both forms give the same bits.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define PADDOCK_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define PADDOCK_VECTOR_CLONES
#endif
