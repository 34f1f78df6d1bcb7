// data/vector_clones.h – marks a loop that is compiled for several vector widths and chosen when the program
// starts. All forms give the same bits: loops in floats are not compiled for instructions that would fuse a
// multiplication with an addition. For files built with -O3 (see their part's CMakeLists.txt), which vectorises.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define PADDOCK_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
// Of a loop without floats.
#define PADDOCK_INTEGER_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define PADDOCK_VECTOR_CLONES
#define PADDOCK_INTEGER_VECTOR_CLONES
#endif
