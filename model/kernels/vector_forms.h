// model/kernels/vector_forms.h – which form of a vector loop runs: AVX-512, AVX2 with fused multiply-adds,
// or any processor's.
// A kernel's loops stand once, in NAME.inc, written with the vectors of vector.inc; every_form.inc compiles
// them for each set
// of instructions, in namespaces avx512, avx2 and any. Forms differ in the last bits; one form always gives
// the same.
// Other compilers than GCC on other processors than x86-64 get the last form alone. Threads: any.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define PADDOCK_HAS_VECTOR_FORMS 1
#else
#define PADDOCK_HAS_VECTOR_FORMS 0
#endif

namespace paddock::model {

enum class Instructions { kAny, kAvx2, kAvx512 };
// What this processor has; looked up once.
Instructions instructions();

// Returns function(arguments) in the best form.
#if PADDOCK_HAS_VECTOR_FORMS
#define PADDOCK_BEST_FORM(function, ...)    \
  switch (instructions()) {                 \
    case Instructions::kAvx512:             \
      return avx512::function(__VA_ARGS__); \
    case Instructions::kAvx2:               \
      return avx2::function(__VA_ARGS__);   \
    case Instructions::kAny:                \
      break;                                \
  }                                         \
  return any::function(__VA_ARGS__)
#else
#define PADDOCK_BEST_FORM(function, ...) return any::function(__VA_ARGS__)
#endif

}  // namespace paddock::model
